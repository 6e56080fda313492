import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { noise, noiseFile } from "./files.ts";
import { pause } from "./process.ts";
import { flag, op, RawSftp, str, u32, u64, u8 } from "./raw_sftp.ts";
import { login } from "./ssh2_client.ts";
import { fileWorld } from "./world.ts";

const MiB = 1024 * 1024;
const world = fileWorld([{ username: "ann" }], {
  config: {
    common: { max_per_host_connections: 0 },
    sftpd: { max_startups: 1000, keepalive_interval: 0 },
  },
});
const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));
const open = () => RawSftp.open(world().target("ann"));

/** The highest memory seen while `seconds` pass. */
const peak = async (seconds: number): Promise<number> => {
  let most = 0;
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    most = Math.max(most, world().server.rss);
    await pause(50);
  }
  return most;
};

/** Everything a server touches once is touched, so that growth is growth by clients. */
const warmUp = async () => {
  const sessions = await Promise.all(Array.from({ length: 20 }, open));
  await Promise.all(sessions.map((s, i) => s.put(`/warm${i}`, noise(8 * MiB, i))));
  await Promise.all(sessions.map((s, i) => s.get(`/warm${i}`)));
  await Promise.all(sessions.map((s) => s[Symbol.asyncDispose]()));
  await pause(1000);
};

const clients = 20;

Deno.test("Must show 7: 20 clients that pipeline WRITEs and read nothing cost under 5 MiB each", async () => {
  await warmUp();
  const sessions = await Promise.all(Array.from({ length: clients }, open));
  const before = world().server.rss;
  for (const [n, session] of sessions.entries()) {
    const handle = await session.handle(`/flood${n}`, flag.write | flag.creat | flag.trunc);
    // From here the client is deaf: no answer, no window, no key exchange is read.
    session.connection.socket.pause();
    const block = noise(32 * 1024, n);
    for (let i = 0; i < 1024; i++) {
      session.post(op.write, str(handle), u64(i * block.length), str(block));
    }
  }
  const most = await peak(8);
  const each = (most - before) / clients / MiB;
  say(`Must show 7: writers that do not read: ${each.toFixed(2)} MiB each`);
  for (const session of sessions) await session[Symbol.asyncDispose]();
  assert.ok(each < 5, `${each} MiB each`);
});

Deno.test("Must show 7: 20 clients that request 64 MiB and never read cost under 5 MiB each", async () => {
  await noiseFile(`${world().home("ann")}/big`, 64 * MiB);
  const sessions = await Promise.all(Array.from({ length: clients }, open));
  const before = world().server.rss;
  for (const session of sessions) {
    const handle = await session.handle("/big", flag.read);
    const { client, socket } = session.connection;
    // A window of 2 GiB, as some clients open it (SECURITY 3.1.17).
    client._protocol.channelWindowAdjust(session.channel.outgoing.id, 0x7f000000);
    socket.pause();
    const reads: Buffer[] = [];
    for (let i = 0; i < 256; i++) {
      const body = Buffer.concat([
        u8(op.read),
        u32(1e6 + i),
        str(handle),
        u64(i * 256 * 1024),
        u32(256 * 1024),
      ]);
      reads.push(u32(body.length), body);
    }
    session.bytes(Buffer.concat(reads));
  }
  const most = await peak(8);
  const each = (most - before) / clients / MiB;
  say(`Must show 7: readers that do not read: ${each.toFixed(2)} MiB each`);
  for (const session of sessions) await session[Symbol.asyncDispose]();
  assert.ok(each < 5, `${each} MiB each`);
});

Deno.test("Must show 7: 500 idle sessions cost at most 200 KiB each", async () => {
  const idle = 500;
  const connections: Array<Awaited<ReturnType<typeof login>>> = [];
  const open = async (count: number) => {
    for (let i = 0; i < count; i += 20) {
      connections.push(
        ...await Promise.all(Array.from({ length: 20 }, async () => {
          const connection = await login(world().target("ann"));
          await RawSftp.on(connection);
          return connection;
        })),
      );
    }
  };
  // The first ones pay for what all share.
  await open(100);
  await pause(2000);
  const before = world().server.rss;
  await open(idle);
  // What the logins left is collected once the threads are quiet, on a busy machine later.
  const cost = () => (world().server.rss - before) / idle / 1024;
  for (let second = 0; second < 30 && cost() > 200; second++) await pause(1000);
  const each = cost();
  say(`Must show 7: idle sessions: ${each.toFixed(0)} KiB each`);
  await Promise.all(connections.map((c) => c[Symbol.asyncDispose]()));
  assert.ok(each <= 200, `${each} KiB each`);
});
