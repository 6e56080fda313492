import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { ssh } from "./clients.ts";
import { eventually, within } from "./process.ts";
import { exec as execOn } from "./raw_exec.ts";
import { kexInit, packet, rawConnect } from "./raw_ssh.ts";
import { flag, isBytes, op, RawSftp, status, str, u32, u64, u8 } from "./raw_sftp.ts";
import { call, type Channel, login, sendPacket } from "./ssh2_client.ts";
import { unharmed } from "./unharmed.ts";
import { fileWorld } from "./world.ts";

const world = fileWorld([{ username: "ann" }], { config: { sftpd: { max_handles: 200 } } });
const ann = () => world().target("ann");

const alive = async () => {
  const { code, stderr } = await ssh(ann(), ["pwd"]);
  assert.equal(code, 0, stderr);
};

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
