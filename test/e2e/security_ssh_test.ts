import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import ssh2 from "ssh2";
import { makeKey, publicKey, ssh } from "./clients.ts";
import { eventually, pause } from "./process.ts";
import { exec as execOn } from "./raw_exec.ts";
import { kexInit, packet, rawConnect } from "./raw_ssh.ts";
import { flag, isBytes, op, RawSftp, status, str, u32, u64, u8 } from "./raw_sftp.ts";
import { call, type Channel, type Connection, dial, login, sendPacket } from "./ssh2_client.ts";
import { unharmed } from "./unharmed.ts";
import { fileWorld } from "./world.ts";

const password = "correct horse battery";
const world = fileWorld([{ username: "ann" }, { username: "pat", password }], {
  config: { sftpd: { max_handles: 200 } },
});
const ann = () => world().target("ann");

const alive = async () => {
  const { code, stderr } = await ssh(ann(), ["pwd"]);
  assert.equal(code, 0, stderr);
};

/** A connection after the key exchange that asks for nothing by itself. */
const beforeLogin = async (): Promise<Connection> => {
  const connection = await dial({ port: world().server.port, user: "pat" }, {
    authHandler: () => {},
  });
  await new Promise((resolve) => connection.client.on("handshake", resolve));
  await pause(100);
  return connection;
};

const within = <A>(seconds: number, promise: Promise<A>): Promise<A | "late"> => {
  const { promise: late, resolve } = Promise.withResolvers<"late">();
  const timer = setTimeout(() => resolve("late"), seconds * 1000);
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

/** RFC 4252 section 5: a request to log in. */
const request = (user: string, method: string, ...fields: Uint8Array[]) =>
  Buffer.concat([u8(50), str(user), str("ssh-connection"), str(method), ...fields]);

Deno.test("SECURITY 6.11: login and channel messages before the login end the connection, and nothing else", async () => {
  const w = world();
  await using other = await RawSftp.open(ann());
  const steady = await other.handle("/steady", flag.write | flag.creat);
  const session = Buffer.concat([str("session"), u32(0), u32(1 << 20), u32(1 << 15)]);
  const early: ReadonlyArray<readonly [number, Buffer]> = [
    [51, Buffer.concat([str("password"), u8(0)])],
    [52, Buffer.alloc(0)],
    [60, Buffer.concat([str("ssh-ed25519"), str("x")])],
    [80, Buffer.concat([str("tcpip-forward"), u8(1), str(""), u32(0)])],
    [90, session],
    [94, Buffer.concat([u32(0), str("data")])],
    [98, Buffer.concat([u32(0), str("exec"), u8(1), str("id")])],
    [100, u32(0)],
  ];
  for (const [type, body] of early) {
    await using connection = await beforeLogin();
    sendPacket(connection.client, Buffer.concat([u8(type), body]));
    assert.notEqual(
      await within(10, connection.closed),
      "late",
      `message ${type} is not answered by a cut`,
    );
  }
  for (const type of [51, 52]) {
    await using connection = await beforeLogin();
    // SECURITY 3.1.1: the answer to this request comes after the message that empties the queue.
    sendPacket(connection.client, Buffer.concat([u8(5), str("ssh-userauth")]));
    sendPacket(connection.client, request("pat", "password", u8(0), str("wrong")));
    sendPacket(
      connection.client,
      Buffer.concat([u8(type), type === 51 ? str("x") : Buffer.alloc(0), u8(0)]),
    );
    await within(5, connection.closed);
    let opened = false;
    try {
      connection.client.subsys("sftp", (error) => opened ||= !error);
    } catch {
      // The socket is gone already.
    }
    await pause(300);
    assert.equal(opened, false);
  }
  const wrote = await other.request(op.write, str(steady), u64(0), str("still here"));
  assert.equal(wrote.code, status.ok);
  assert.equal((await other.close(steady)).code, status.ok);
  assert.equal(w.server.escapedErrors, 0, w.server.stderr.slice(-2000));
  await alive();
});

Deno.test("SECURITY 6.11: garbage for and after the identification ends the connection", async () => {
  await unharmed(world(), async () => {
    const port = world().server.port;
    const openings: ReadonlyArray<readonly [string, Buffer]> = [
      ["300 KB without a line", Buffer.alloc(300_000, 65)],
      ["300 KB identification", Buffer.from(`SSH-2.0-${"x".repeat(300_000)}\r\n`)],
      ["HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000))],
      ["SSH 1", Buffer.from("SSH-1.5-old\r\n")],
      ["noise", Buffer.concat([Buffer.from("SSH-2.0-x\r\n"), Buffer.alloc(100_000, 0xa5)])],
      ["zeros", Buffer.concat([Buffer.from("SSH-2.0-x\r\n"), Buffer.alloc(100_000)])],
      ["a packet of 4 GB", Buffer.concat([Buffer.from("SSH-2.0-x\r\n"), Buffer.alloc(64, 0xff)])],
    ];
    for (const [name, bytes] of openings) {
      const raw = await rawConnect(port);
      raw.socket.write(bytes);
      assert.ok(await raw.closedWithin(10), `${name} was not cut`);
    }
    await alive();
  });
});

Deno.test("SECURITY 6.12: the connection ends after six wrong tries by mixed methods", async () => {
  const key = await makeKey(world().dir, "strange");
  const privateKey = await Deno.readTextFile(key);
  let tries = 0;
  let guesses = 0;
  await using connection = await dial({ port: world().server.port, user: "pat" }, {
    authHandler: (_l: unknown, _p: unknown, next: (method: unknown) => void) => {
      const turn = tries++ % 3;
      if (tries > 20) return next(false);
      // Offering a key that is not known guesses nothing, and has a limit of its own.
      if (turn !== 1) guesses++;
      if (turn === 0) return next({ type: "password", username: "pat", password: "wrong" });
      if (turn === 1) return next({ type: "publickey", username: "pat", key: privateKey });
      next({
        type: "keyboard-interactive",
        username: "pat",
        prompt: (_n: string, _i: string, _g: string, p: unknown[], done: (a: string[]) => void) =>
          done(p.map(() => "wrong")),
      });
    },
  });
  const ready = new Promise((resolve) => connection.client.on("ready", () => resolve("ready")));
  const outcome = await within(40, Promise.race([connection.closed, ready]));
  assert.notEqual(outcome, "late");
  assert.notEqual(outcome, "ready");
  assert.ok(guesses >= 5 && guesses <= 7, `${guesses} guesses`);
});

/** An agent whose signatures are what `spoil` makes of right ones. */
class SpoilingAgent extends ssh2.BaseAgent {
  constructor(
    readonly line: string,
    readonly spoil: (data: Buffer) => Buffer,
  ) {
    super();
  }
  getIdentities(done: (error: undefined, keys: unknown[]) => void) {
    done(undefined, [ssh2.utils.parseKey(this.line)]);
  }
  sign(
    _key: unknown,
    data: Buffer,
    options: unknown,
    done: (error: undefined, signature: Buffer) => void,
  ) {
    const finish = typeof options === "function" ? options as typeof done : done;
    finish(undefined, this.spoil(data));
  }
}

Deno.test("SECURITY 6.13: wrong, cut, empty and foreign signatures are refused", async () => {
  const { dir, server, key } = world();
  const line = await publicKey(key);
  const other = ssh2.utils.parseKey(await Deno.readTextFile(await makeKey(dir, "other-signer")));
  const right = ssh2.utils.parseKey(await Deno.readTextFile(key));
  const spoilers: Readonly<Record<string, (data: Buffer) => Buffer>> = {
    "another key": (data) => other.sign(data),
    "a cut one": (data) => right.sign(data).subarray(0, 40),
    "an empty one": () => Buffer.alloc(0),
    "zeros": () => Buffer.alloc(64),
    "too long": (data) => Buffer.concat([right.sign(data), Buffer.alloc(10)]),
    "other data": () => right.sign(Buffer.from("other")),
  };
  for (const [name, spoil] of Object.entries(spoilers)) {
    const agent = new SpoilingAgent(line, spoil);
    let asked = false;
    await using connection = await dial({ port: server.port, user: "ann" }, {
      authHandler: (_l: unknown, _p: unknown, next: (method: unknown) => void) => {
        if (asked) return next(false);
        asked = true;
        next({ type: "agent", username: "ann", agent });
      },
    });
    const ready = new Promise((resolve) => connection.client.on("ready", () => resolve("ready")));
    const outcome = await within(20, Promise.race([connection.closed, ready]));
    assert.notEqual(outcome, "ready", name);
    assert.notEqual(outcome, "late", name);
  }
  {
    const agent = new SpoilingAgent(line, (data) => right.sign(data));
    await using connection = await dial({ port: server.port, user: "ann" }, { agent });
    const ready = new Promise((resolve) => connection.client.on("ready", () => resolve("ready")));
    assert.equal(await within(20, ready), "ready", "the same agent unspoilt logs in");
  }
  assert.equal(server.escapedErrors, 0);
  await alive();
});

Deno.test("SECURITY 6.13: broken key blobs and unknown key types are refused without harm", async () => {
  const rsa1024 = await makeKey(world().dir, "rsa1024", "-t", "rsa", "-b", "1024");
  const blob = Buffer.from((await publicKey(rsa1024)).split(" ")[1] ?? "", "base64");
  const keys: ReadonlyArray<readonly [string, Buffer]> = [
    ["ssh-rsa", blob],
    ["rsa-sha2-256", blob],
    ["ssh-ed25519", Buffer.alloc(0)],
    ["ssh-ed25519", Buffer.concat([str("ssh-ed25519"), str("short")])],
    ["ssh-ed25519", Buffer.concat([str("ssh-ed25519"), u32(0xffffffff)])],
    ["ecdsa-sha2-nistp256", Buffer.concat([str("ecdsa-sha2-nistp256"), str("nistp256"), str("x")])],
    ["ssh-dss", str("ssh-dss")],
    ["", Buffer.alloc(0)],
    ["ssh-ed25519-cert-v01@openssh.com", Buffer.alloc(300, 1)],
  ];
  await unharmed(world(), async () => {
    for (const [algorithm, key] of keys) {
      for (const signature of [undefined, Buffer.concat([str(algorithm), str(Buffer.alloc(64))])]) {
        await using connection = await beforeLogin();
        let ready = false;
        connection.client.on("ready", () => ready = true);
        sendPacket(connection.client, Buffer.concat([u8(5), str("ssh-userauth")]));
        const signed = signature === undefined ? [] : [str(signature)];
        const flagged = u8(signature === undefined ? 0 : 1);
        sendPacket(
          connection.client,
          request("ann", "publickey", flagged, str(algorithm), str(key), ...signed),
        );
        await within(0.3, connection.closed);
        assert.equal(ready, false);
      }
    }
    await alive();
  });
});

Deno.test("SECURITY 6.14: a password change, a huge, an empty and a NUL password are refused", async () => {
  await unharmed(world(), async () => {
    const bodies: ReadonlyArray<readonly [string, Buffer]> = [
      ["change", Buffer.concat([u8(1), str(password), str("new password")])],
      ["30 KB", Buffer.concat([u8(0), str("x".repeat(30_000))])],
      ["1,025 bytes", Buffer.concat([u8(0), str(password.padEnd(1025, "x"))])],
      ["empty", Buffer.concat([u8(0), str("")])],
      ["NUL", Buffer.concat([u8(0), str(`${password}\0`)])],
      ["no string at all", u8(0)],
      ["a length of 4 GB", Buffer.concat([u8(0), u32(0xffffffff)])],
    ];
    for (const [name, body] of bodies) {
      await using connection = await beforeLogin();
      let ready = false;
      connection.client.on("ready", () => ready = true);
      sendPacket(connection.client, Buffer.concat([u8(5), str("ssh-userauth")]));
      sendPacket(connection.client, request("pat", "password", body));
      await within(1.5, connection.closed);
      assert.equal(ready, false, name);
    }
    await using connection = await beforeLogin();
    const ready = new Promise((resolve) => connection.client.on("ready", () => resolve("ready")));
    sendPacket(connection.client, Buffer.concat([u8(5), str("ssh-userauth")]));
    sendPacket(connection.client, request("pat", "password", u8(0), str(password)));
    const outcome = await within(5, Promise.race([ready, connection.closed]));
    assert.notEqual(outcome, "late", "the right password by the same road is answered");
  });
});

Deno.test("SECURITY 6.15: a packet before KEXINIT with strict key exchange ends the connection", async () => {
  const port = world().server.port;
  const ident = Buffer.from("SSH-2.0-probe\r\n");
  const ignore = packet(Buffer.concat([u8(2), str("padding")]));
  const debug = packet(Buffer.concat([u8(4), u8(0), str("x"), str("")]));
  const probes: ReadonlyArray<readonly [string, ReadonlyArray<Buffer>]> = [
    ["IGNORE before", [ident, ignore, packet(kexInit())]],
    ["DEBUG before", [ident, debug, packet(kexInit())]],
    ["IGNORE after", [ident, packet(kexInit()), ignore]],
    ["KEXINIT twice", [ident, packet(kexInit()), packet(kexInit())]],
  ];
  for (const [name, parts] of probes) {
    const raw = await rawConnect(port);
    for (const part of parts) raw.socket.write(part);
    assert.ok(await raw.closedWithin(10), `${name}: not cut`);
    assert.ok(raw.received().includes("kex-strict-s-v00@openssh.com"), "strict kex is offered");
  }
  await alive();
});

Deno.test("SECURITY 6.16: absurd lengths and offsets, dead handles and 5,000 opens are answered", async () => {
  await unharmed(world(), async () => {
    await using sftp = await RawSftp.open(ann());
    await sftp.put("/sixteen", "x".repeat(1000));
    const handle = await sftp.handle("/sixteen", flag.read);
    const huge = await sftp.request(op.read, str(handle), u64(0), u32(0xffffffff));
    assert.equal(huge.type, 103);
    assert.equal(huge.body.readUInt32BE(0), 1000);
    for (const offset of [2n ** 63n, 2n ** 64n - 1n, 2n ** 53n, 1000n]) {
      const past = await sftp.request(op.read, str(handle), u64(offset), u32(10));
      assert.ok(
        [status.eof, status.failure].some((c) => c === past.code),
        `${offset}: ${past.code}`,
      );
    }
    assert.notEqual((await sftp.request(op.write, str(handle), u64(0), str("x"))).code, status.ok);
    assert.equal((await sftp.close(handle)).code, status.ok);
    for (const dead of [handle, Buffer.from("none"), Buffer.alloc(0), Buffer.alloc(300, 1)]) {
      const attempts = [
        sftp.request(op.read, str(dead), u64(0), u32(10)),
        sftp.request(op.write, str(dead), u64(0), str("x")),
        sftp.request(op.readdir, str(dead)),
        sftp.request(op.fstat, str(dead)),
        sftp.close(dead),
      ];
      for (const { code } of await Promise.all(attempts)) assert.equal(code, status.failure);
    }
    const own = await sftp.handle("/sixteen", flag.read);
    await using second = await RawSftp.open(ann());
    const foreign = await second.request(op.read, str(own), u64(0), u32(10));
    assert.equal(foreign.code, status.failure, "a handle of another session");

    const opened = await Promise.all(
      Array.from({ length: 5000 }, () => sftp.open("/sixteen", flag.read)),
    );
    const good = opened.filter(isBytes);
    assert.ok(good.length <= 200 && good.length >= 150, `${good.length} handles`);
    for (const refused of opened) {
      if (!isBytes(refused)) assert.equal(refused.code, status.failure);
    }
    for (const h of good) await sftp.close(h);
    assert.equal(String(await sftp.get("/sixteen")).length, 1000, "the session lives");
    await sftp.request(op.remove, str("/sixteen"));
  });
});

Deno.test("SECURITY 6.17: impossible packet lengths end the session, unknown requests do not", async () => {
  await unharmed(world(), async () => {
    for (const length of [0, 0x80000000, 0xffffffff, 300 * 1024]) {
      await using sftp = await RawSftp.open(ann());
      sftp.bytes(Buffer.concat([u32(length), Buffer.alloc(64)]));
      if (length === 300 * 1024) sftp.bytes(Buffer.alloc(length));
      assert.notEqual(await within(10, sftp.ended), "late", `length ${length}`);
    }
    await using sftp = await RawSftp.open(ann());
    const unknown = await sftp.request(op.extended, str("none@example.org"), str("x"));
    assert.equal(unknown.code, status.unsupported);
    assert.equal((await sftp.request(99, str("x"))).code, status.unsupported);
    assert.equal((await sftp.request(op.realpath, str("."))).type, 104);
    // A request whose fields end early is that request's error, or the session's end.
    const cut = await within(5, sftp.request(op.stat, u32(1000)).catch(() => "ended" as const));
    assert.notEqual(cut, "late");
  });
});

/** Runs one command on a connection of its own. */
const exec = async (command: string, input: ReadonlyArray<Uint8Array | string> = []) => {
  await using connection = await login(ann());
  return await execOn(connection, command, input, input.length > 0 ? 50 : 0);
};

Deno.test("SECURITY 6.18: a hostile scp source gets an error text and makes no file", async () => {
  await unharmed(world(), async () => {
    const lines = [
      "C0644 5 ../x\n",
      "C0644 5 /etc/x\n",
      "C0644 5 a/b\n",
      "C0644 5 ..\n",
      "C0644 5 .\n",
      "C0644 5 \n",
      "C0644 5 a\\b\n",
      "C0644 abc f\n",
      "C0644 -5 f\n",
      "C0644 99999999999999999999999 f\n",
      "C0644 5\n",
      "C9999 5 f\n",
      "D0755 0 ../d\n",
      "X what\n",
      "C0644 5 " + "n".repeat(100_000),
    ];
    for (const line of lines) {
      const { stdout, stderr, code } = await exec("scp -r -t .", [line, "12345\0"]);
      assert.notEqual(code, 0, line.slice(0, 60));
      // After the sink's readiness byte comes an error byte with its text.
      const text = stdout.subarray(1);
      assert.ok(
        (text[0] === 1 || text[0] === 2 || stderr !== "") && text.length + stderr.length > 5,
        line.slice(0, 60),
      );
    }
    for (const tail of ["12345x", "12345", "123"]) {
      const { code } = await exec("scp -t cut", ["C0644 5 cut\n", tail]);
      assert.notEqual(code, 0, tail);
    }
  });
});

Deno.test("SECURITY 6.19: nothing but our own commands runs, and nothing is ever spawned", async () => {
  const { server } = world();
  await unharmed(world(), async () => {
    const commands = [
      "sh",
      "bash -c id",
      "id",
      "rsync --server -vlogDtpre.iLsfxC . x",
      "git-upload-pack x",
      "/usr/bin/scp -t x; id",
      "scp -t x && id",
      "sha256sum `id`",
      "sha256sum $(id)",
      "sha256sum /etc/passwd",
      "sha256sum ../../../etc/passwd",
      "",
      "\0",
      "x".repeat(20_000),
    ];
    for (const command of commands) {
      const { refused, stdout, stderr, code } = await exec(command);
      assert.ok(refused || code !== 0, `${command.slice(0, 60)}: exit ${code}`);
      assert.doesNotMatch(stdout.toString() + stderr, /uid=|root:/);
    }
    await using connection = await login(ann());
    const { client } = connection;
    await assert.rejects(call((done) => client.forwardIn("127.0.0.1", 0, done)));
    await assert.rejects(
      call((done) => client.forwardOut("127.0.0.1", 1, "127.0.0.1", server.port, done)),
    );
    await assert.rejects(call((done) => client.shell(done)));
    await assert.rejects(call((done) => client.subsys("netconf", done)));
    const channel = await call<Channel>((done) => client.subsys("sftp", done));
    const requests: ReadonlyArray<readonly [string, Buffer]> = [
      ["auth-agent-req@openssh.com", Buffer.alloc(0)],
      ["x11-req", Buffer.concat([u8(0), str("MIT-MAGIC-COOKIE-1"), str("00"), u32(0)])],
      ["pty-req", Buffer.concat([str("vt100"), u32(80), u32(24), u32(0), u32(0), str("")])],
      ["shell", Buffer.alloc(0)],
      ["exec", str("id")],
      ["none@example.org", Buffer.alloc(0)],
    ];
    for (const [type, fields] of requests) {
      const answer = new Promise<boolean>((resolve) =>
        channel._callbacks.push((failed) => resolve(failed))
      );
      const head = [u8(98), u32(channel.outgoing.id), str(type), u8(1)];
      sendPacket(client, Buffer.concat([...head, fields]));
      assert.equal(await within(5, answer), true, `${type} was agreed to`);
    }
  });
  const literal = await exec("scp -t $(id)", ["C0644 2 f\n", "hi\0"]);
  assert.doesNotMatch(literal.stdout.toString() + literal.stderr, /uid=/);
  for (const task of Deno.readDirSync(`/proc/${server.pid}/task`)) {
    const children = await Deno.readTextFile(`/proc/${server.pid}/task/${task.name}/children`)
      .catch(() => "");
    assert.equal(children.trim(), "");
  }
});

Deno.test("SECURITY 3.1.20: channels of one connection are capped", async () => {
  await using connection = await login(ann());
  const opened = await Promise.allSettled(
    Array.from(
      { length: 30 },
      () => call<Channel>((done) => connection.client.subsys("sftp", done)),
    ),
  );
  const good = opened.filter((o) => o.status === "fulfilled").length;
  assert.ok(good >= 1 && good <= 10, `${good} channels`);
  await eventually("the server still answers", async () => (await ssh(ann(), ["pwd"])).code === 0);
});
