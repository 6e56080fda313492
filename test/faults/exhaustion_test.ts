import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { sftpMust, ssh } from "../e2e/clients.ts";
import { noise, noiseFile, sha256 } from "../e2e/files.ts";
import { eventually, pause } from "../e2e/process.ts";
import { flag, op, RawSftp, status, str, u32, u64 } from "../e2e/raw_sftp.ts";
import { openSocket } from "../e2e/ssh2_client.ts";
import { needs } from "../e2e/tools.ts";
import { makeWorld } from "../e2e/world.ts";

const MiB = 1024 * 1024;
const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));

/** Connects `count` times; those that are refused or cut are still counted. */
const crowd = async (port: number, count: number, greeting: string): Promise<Socket[]> => {
  const sockets: Socket[] = [];
  for (let i = 0; i < count; i += 50) {
    const some = await Promise.allSettled(
      Array.from({ length: Math.min(50, count - i) }, () => openSocket(port)),
    );
    for (const one of some) {
      if (one.status !== "fulfilled") continue;
      one.value.on("error", () => {});
      one.value.resume();
      if (greeting !== "") one.value.write(greeting);
      sockets.push(one.value);
    }
  }
  return sockets;
};

const withPrlimit = await needs("prlimit");

for (const cap of [100, 0]) {
  const how = cap > 0 ? `with a cap of ${cap}` : "with no cap, so that descriptors run out";
  withPrlimit(
    `SECURITY 7.5: 400 clients on 256 descriptors, ${how}, and all recovers`,
    async () => {
      await using world = await makeWorld([{ username: "ann" }], {
        wrap: ["prlimit", "--nofile=256"],
        config: {
          common: { max_per_host_connections: 0, max_total_connections: cap },
          sftpd: { max_startups: 10_000, login_grace: 120 },
        },
      });
      await using steady = await RawSftp.open(world.target("ann"));
      const handle = await steady.handle("/steady", flag.write | flag.creat);
      const sockets = await crowd(world.server.port, 400, "SSH-2.0-crowd\r\n");
      // Who is refused is given a second to read it.
      await pause(2000);
      for (let i = 0; i < 20; i++) {
        const wrote = await steady.request(
          op.write,
          str(handle),
          u64(i * 1000),
          str(noise(1000, i)),
        );
        assert.equal(wrote.code, status.ok, "who was there before is served");
      }
      const { code } = await steady.close(handle);
      const stored = await Deno.stat(`${world.home("ann")}/steady`).then((s) => s.size, () => -1);
      if (cap > 0) {
        assert.equal(code, status.ok, "below the cap there are descriptors to commit with");
      }
      assert.equal(stored, code === status.ok ? 20_000 : -1, "the answer to CLOSE is true");
      for (const socket of sockets) {
        socket.destroy();
      }
      const began = performance.now();
      await eventually(
        "the port accepts again",
        async () => (await ssh(world.target("ann"), ["pwd"])).code === 0,
        10,
      );
      const seconds = (performance.now() - began) / 1000;
      say(`SECURITY 7.5: ${how}, a login works ${seconds.toFixed(1)} s after the crowd left`);
      assert.ok(seconds < 2, `${seconds} s`);
      assert.equal((await steady.put("/again", noise(5000))).code, status.ok);
    },
  );
}

Deno.test("SECURITY 7.6: 3,000 silent and 200 half-open connections end by the grace timer, work goes on", async () => {
  const grace = 15;
  await using world = await makeWorld([{ username: "ann" }], {
    config: {
      common: { max_per_host_connections: 0 },
      sftpd: { max_startups: 5000, login_grace: grace },
    },
  });
  const { port } = world.server;
  const began = performance.now();
  const sockets = [
    ...await crowd(port, 3000, ""),
    ...await crowd(port, 200, "SSH-2.0-half\r\n"),
  ];
  let open = sockets.filter((s) => !s.destroyed).length;
  for (const socket of sockets) socket.once("close", () => open--);
  say(`SECURITY 7.6: ${open} connections wait`);
  const file = await noiseFile(`${world.dir}/f`, 100 * MiB);
  const transfer = sftpMust(world.target("ann"), `put ${file} f`);
  const times: number[] = [];
  while (performance.now() - began < (grace - 4) * 1000) {
    const start = performance.now();
    const { code, stderr } = await ssh(world.target("ann"), ["pwd"]);
    assert.equal(code, 0, stderr);
    times.push(performance.now() - start);
    await pause(200);
  }
  await transfer;
  assert.equal(await sha256(`${world.home("ann")}/f`), await sha256(file));
  const worst = Math.max(...times);
  say(`SECURITY 7.6: ${times.length} logins, the slowest took ${worst.toFixed(0)} ms`);
  assert.ok(worst < 2000, `${worst} ms`);
  await eventually(`all are closed by the timer (${open} open)`, () => open === 0, grace + 20);
  for (const socket of sockets) socket.destroy();
});

/** Forwards to `port`; once `slow`, both ways pass 1 KB/s. */
const proxy = (port: number) => {
  const state = { slow: false };
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  const pump = async (from: Deno.Conn, to: Deno.Conn) => {
    const block = new Uint8Array(64 * 1024);
    try {
      for (let n = await from.read(block); n !== null; n = await from.read(block)) {
        for (let at = 0; at < n;) {
          const step = state.slow ? 1024 : n;
          let part = block.subarray(at, Math.min(n, at + step));
          at += step;
          while (part.length > 0) part = part.subarray(await to.write(part));
          if (state.slow) await pause(1000);
        }
      }
    } catch {
      // One side went away; so does the other.
    }
    for (const conn of [from, to]) if (open.delete(conn)) conn.close();
  };
  const done = (async () => {
    const pumps: Promise<void>[] = [];
    for await (const client of listener) {
      const server = await Deno.connect({ hostname: "127.0.0.1", port });
      open.add(client).add(server);
      pumps.push(pump(client, server), pump(server, client));
    }
    await Promise.all(pumps);
  })();
  return {
    state,
    port: listener.addr.port,
    [Symbol.asyncDispose]: async () => {
      listener.close();
      for (const conn of open) if (open.delete(conn)) conn.close();
      await done;
    },
  };
};

Deno.test("SECURITY 7.7: 20 clients at 1 KB/s with a window of 2 GiB cost under 50 MB together", async () => {
  await using world = await makeWorld([{ username: "ann" }], {
    config: { common: { max_per_host_connections: 0 } },
  });
  await noiseFile(`${world.home("ann")}/big`, 64 * MiB);
  await using link = proxy(world.server.port);
  const target = { ...world.target("ann"), port: link.port };
  // Warm the code and the heap of every worker first, so that growth is growth by clients.
  for (let round = 0; round < 3; round++) {
    await Promise.all(Array.from({ length: 6 }, async (_, i) => {
      await using warm = await RawSftp.open(world.target("ann"));
      await warm.get("/big");
      await warm.put(`/warm${i}`, noise(16 * MiB));
    }));
  }
  const sessions = await Promise.all(Array.from({ length: 20 }, () => RawSftp.open(target)));
  const readers = await Promise.all(
    sessions.slice(0, 10).map(async (s) => [s, await s.handle("/big", flag.read)] as const),
  );
  const writers = await Promise.all(
    sessions.slice(10).map(async (s, i) =>
      [s, await s.handle(`/slow${i}`, flag.write | flag.creat)] as const
    ),
  );
  await pause(500);
  const before = world.server.rss;
  link.state.slow = true;
  for (const [session, handle] of readers) {
    session.connection.client._protocol.channelWindowAdjust(
      session.channel.outgoing.id,
      0x7f000000,
    );
    for (let i = 0; i < 200; i++) {
      session.post(op.read, str(handle), u64(i * 262_144), u32(262_144));
    }
  }
  for (const [session, handle] of writers) {
    const block = noise(32 * 1024);
    for (let i = 0; i < 200; i++) session.post(op.write, str(handle), u64(i * 32_768), str(block));
  }
  // What they hold is what stays. At first there is garbage too, of ciphers that make new memory
  // for every packet (node:crypto): the engine lets it lie for seconds before it collects.
  const grown: number[] = [];
  for (let i = 0; i < 140; i++) {
    grown.push((world.server.rss - before) / 1e6);
    await pause(100);
  }
  const most = Math.max(...grown);
  const held = Math.max(...grown.slice(-20));
  say(`SECURITY 7.7: 20 slow clients cost ${held.toFixed(1)} MB, at most ${most.toFixed(1)}`);
  for (const session of sessions) session.connection.socket.destroy();
  assert.ok(held < 50, `${held} MB`);
  assert.ok(most < 100, `${most} MB with garbage`);
});
