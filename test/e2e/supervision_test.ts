import assert from "node:assert/strict";
import { sftp, sftpMust } from "./clients.ts";
import { leftovers, noise, noiseFile, sha256 } from "./files.ts";
import { eventually, pause } from "./process.ts";
import { usageAgrees } from "./quota_usage.ts";
import { flag, noAttributes, op, RawSftp, status, str, u64 } from "./raw_sftp.ts";
import { Server } from "./server.ts";
import { makeWorld } from "./world.ts";

const MiB = 1024 * 1024;

Deno.test("Must show 6: a defect in one session ends it alone, while another moves 256 MiB", async () => {
  await using w = await makeWorld([{ username: "ann" }, { username: "mal" }], {
    env: { SLUICE_FAILPOINTS: "session.control@mal=die" },
  });
  const file = await noiseFile(`${w.dir}/f`, 256 * MiB);
  const slow = sftpMust(w.target("ann"), `put ${file} f\nget f ${w.dir}/back`);
  await eventually(
    "the transfer is under way",
    async () => (await Array.fromAsync(Deno.readDir(w.home("ann")))).length > 0,
  );
  const ended = await sftp(w.target("mal"), "mkdir d");
  assert.notEqual(ended.code, 0, "the session with the defect is over");
  const again = await sftp(w.target("mal"), "mkdir d");
  assert.equal(again.code, 0, `a new session works: ${again.stderr}`);
  await slow;
  const want = await sha256(file);
  assert.equal(await sha256(`${w.home("ann")}/f`), want);
  assert.equal(await sha256(`${w.dir}/back`), want);
  const closed = await w.server.events("--action", "session.ended", "--user", "mal");
  assert.ok(closed.length >= 1, "the end of the session is in the journal");
});

Deno.test("Must show 6: a listener that dies comes back on its port, and sessions go on", async () => {
  await using w = await makeWorld([{ username: "ann" }], {
    env: { SLUICE_FAILPOINTS: "listener.connection=die" },
  });
  // The first connection kills the listener; whether it is served itself is open.
  await sftp(w.target("ann"), "pwd");
  await eventually(
    "the listener is back",
    async () => (await sftp(w.target("ann"), "pwd")).code === 0,
    15,
  );
  assert.match(w.server.stderr, /listener/);
});

Deno.test("Must show 6: after kill -9 the journal, the quota and the files agree", async () => {
  const first = await makeWorld([{ username: "ann", quota_size: 1024 * MiB }], {
    dataDir: await Deno.makeTempDir({ prefix: "sluice-kill-" }),
  });
  const { dataDir } = first.server;
  try {
    const acknowledged = new Map<string, Uint8Array>();
    const removed = new Set<string>();
    const stop = { now: false };
    const work = async (worker: number) => {
      await using raw = await RawSftp.open(first.target("ann"));
      for (let i = 0; !stop.now; i++) {
        const name = `/w${worker}-${i}`;
        const content = noise(20_000 + 997 * (i % 50), worker * 1000 + i);
        if ((await raw.put(name, content)).code !== status.ok) return;
        acknowledged.set(name, content);
        if (i % 5 === 4) {
          const gone = `/w${worker}-${i - 2}`;
          removed.add(gone);
          if ((await raw.request(op.remove, str(gone))).code !== status.ok) return;
        }
        if (i % 7 === 6) {
          const from = `/w${worker}-${i}`;
          const to = `/r${worker}-${i}`;
          removed.add(from);
          if ((await raw.request(op.rename, str(from), str(to))).code !== status.ok) return;
          acknowledged.set(to, content);
        }
        await raw.request(op.mkdir, str(`/d${worker}-${i}`), noAttributes);
      }
    };
    const workers = [1, 2, 3, 4].map((n) => work(n).catch(() => {}));
    // One upload is open for good, so that the kill surely meets one under way.
    const raw = await RawSftp.open(first.target("ann"));
    const cut = await raw.handle("/cut", flag.write | flag.creat);
    await raw.request(op.write, str(cut), u64(0), str(noise(30_000)));
    await eventually("a hundred uploads are acknowledged", () => acknowledged.size > 100, 30);
    await first.server.kill9();
    stop.now = true;
    await Promise.all(workers);
    await raw[Symbol.asyncDispose]();

    const began = performance.now();
    await using server = await Server.start({ dataDir });
    assert.ok(performance.now() - began < 5000, "the start takes less than 5 s");
    const home = `${dataDir}/users/ann`;
    await eventually("temporary files are swept", async () => (await leftovers(home)).length === 0);
    for (const [name, content] of acknowledged) {
      const stored = await Deno.readFile(home + name).catch(() => undefined);
      if (stored === undefined) {
        assert.ok(removed.has(name), `${name} was acknowledged and is gone`);
      } else assert.deepEqual(stored, new Uint8Array(content), name);
    }
    await assert.rejects(Deno.stat(`${home}/cut`), Deno.errors.NotFound);
    await usageAgrees(server, "ann");
    const uploads = await server.events("--user", "ann", "--action", "upload", "--limit", "100000");
    const noted = uploads.filter((e) => e["status"] === 1).map((e) => String(e["virtual_path"]));
    assert.equal(new Set(noted).size, noted.length, "each upload has one event");
    for (const name of acknowledged.keys()) {
      if (name.startsWith("/w")) assert.ok(noted.includes(name), `${name} has its event`);
    }
    for await (const entry of Deno.readDir(home)) {
      if (entry.isFile && entry.name.startsWith("w")) {
        assert.ok(noted.includes(`/${entry.name}`), `${entry.name} is on disk without an event`);
      }
    }
    const ids = uploads.map((e) => Number(e["id"]));
    assert.deepEqual(ids, [...ids].sort((a, b) => a - b), "the journal keeps its order");
  } finally {
    await first.server.kill9();
    await first[Symbol.asyncDispose]();
    await Deno.remove(dataDir, { recursive: true });
  }
});

Deno.test("Must show 6: SIGTERM lets a transfer finish, then the server ends", async () => {
  const w = await makeWorld([{ username: "ann" }]);
  const file = await noiseFile(`${w.dir}/f`, 200 * MiB);
  const home = w.home("ann");
  const slow = sftpMust(w.target("ann"), `put ${file} f`);
  await eventually(
    "the transfer is under way",
    async () => (await Array.fromAsync(Deno.readDir(home))).length > 0,
  );
  w.server.child.kill("SIGTERM");
  await pause(200);
  assert.notEqual((await sftp(w.target("ann"), "pwd")).code, 0, "nobody new is let in");
  await slow;
  assert.equal(await sha256(`${home}/f`), await sha256(file));
  // A second signal would end it at once, with code 1.
  await w.server.child.status;
  await w[Symbol.asyncDispose]();
});
