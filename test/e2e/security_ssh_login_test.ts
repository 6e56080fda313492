import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import ssh2 from "ssh2";
import { makeKey, publicKey, ssh } from "./clients.ts";
import { pause, within } from "./process.ts";
import { rawConnect } from "./raw_ssh.ts";
import { flag, op, RawSftp, status, str, u32, u64, u8 } from "./raw_sftp.ts";
import { dial, sendPacket } from "./ssh2_client.ts";
import { beforeLogin, request } from "./ssh_before_login.ts";
import { unharmed } from "./unharmed.ts";
import { fileWorld } from "./world.ts";

const password = "correct horse battery";
const world = fileWorld([{ username: "ann" }, { username: "pat", password }]);
const ann = () => world().target("ann");

const alive = async () => {
  const { code, stderr } = await ssh(ann(), ["pwd"]);
  assert.equal(code, 0, stderr);
};

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
    await using connection = await beforeLogin(world().server.port);
    sendPacket(connection.client, Buffer.concat([u8(type), body]));
    assert.notEqual(
      await within(10, connection.closed),
      "late",
      `message ${type} is not answered by a cut`,
    );
  }
  for (const type of [51, 52]) {
    await using connection = await beforeLogin(world().server.port);
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
        await using connection = await beforeLogin(world().server.port);
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
      await using connection = await beforeLogin(world().server.port);
      let ready = false;
      connection.client.on("ready", () => ready = true);
      sendPacket(connection.client, Buffer.concat([u8(5), str("ssh-userauth")]));
      sendPacket(connection.client, request("pat", "password", body));
      await within(1.5, connection.closed);
      assert.equal(ready, false, name);
    }
    await using connection = await beforeLogin(world().server.port);
    const ready = new Promise((resolve) => connection.client.on("ready", () => resolve("ready")));
    sendPacket(connection.client, Buffer.concat([u8(5), str("ssh-userauth")]));
    sendPacket(connection.client, request("pat", "password", u8(0), str(password)));
    const outcome = await within(5, Promise.race([ready, connection.closed]));
    assert.notEqual(outcome, "late", "the right password by the same road is answered");
  });
});
