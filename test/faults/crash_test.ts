import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { leftovers, noise, scratch } from "../e2e/files.ts";
import { eventually, pause } from "../e2e/process.ts";
import { usageAgrees } from "../e2e/quota_usage.ts";
import { isBytes, RawSftp, status } from "../e2e/raw_sftp.ts";
import { Server, sluiceMust } from "../e2e/server.ts";
import { makeWorld } from "../e2e/world.ts";

/** Starts a world on a folder of its own, which survives the death of its server. */
const mortal = async (
  env: Record<string, string> = {},
  before?: (dataDir: string) => Promise<void>,
) => {
  const dataDir = await Deno.makeTempDir({ prefix: "sluice-crash-" });
  const world = await makeWorld([{ username: "ann" }], {
    dataDir,
    env,
    config: { common: { max_per_host_connections: 0 } },
    ...(before && { before }),
  });
  return {
    ...world,
    dataDir,
    [Symbol.asyncDispose]: async () => {
      await world.server.kill9();
      await world[Symbol.asyncDispose]();
      await Deno.remove(dataDir, { recursive: true });
    },
  };
};

const config = { common: { max_per_host_connections: 0 } };

Deno.test("SECURITY 7.1: kill -9 during 50 parallel uploads, 20 rounds: acknowledged means there", async () => {
  await using world = await mortal();
  const { dataDir } = world;
  const home = world.home("ann");
  /** What each name may hold: the last acknowledged version, or a later one that was being sent. */
  const sure = new Map<string, number>();
  const maybe = new Map<string, Set<number>>();
  const content = (seed: number) => noise(3_000 + (seed * 7919) % 90_000, seed);
  let seed = 1;
  let server = world.server;
  for (let round = 0; round < 20; round++) {
    const sessions = await Promise.all(
      Array.from({ length: 10 }, () => RawSftp.open({ ...world.target("ann"), port: server.port })),
    );
    let going = true;
    const upload = async (slot: number) => {
      const session = sessions[slot % sessions.length];
      const name = `/slot${slot}`;
      while (going && session) {
        const mine = seed++;
        const tried = maybe.get(name) ?? new Set();
        maybe.set(name, tried.add(mine));
        const { code } = await session.put(name, content(mine));
        if (code === status.ok) {
          sure.set(name, mine);
          maybe.set(name, new Set());
        }
      }
    };
    // The kill ends each of them, before anybody waits for them.
    const uploads = Array.from({ length: 50 }, (_, slot) => upload(slot).catch(() => {}));
    await pause(100 + (round * 97) % 1200);
    await server.kill9();
    going = false;
    await Promise.all(uploads);
    for (const session of sessions) await session[Symbol.asyncDispose]();

    const began = performance.now();
    server = await Server.start({ dataDir, config });
    assert.ok(performance.now() - began < 5000, `round ${round}: the start took too long`);
    for (const [name, tried] of maybe) {
      const stored = await Deno.readFile(home + name).catch(() => undefined);
      const acked = sure.get(name);
      if (stored === undefined) {
        assert.equal(acked, undefined, `round ${round}: ${name} was acknowledged and is gone`);
        continue;
      }
      const versions = [...(acked === undefined ? [] : [acked]), ...tried];
      const is = versions.find((v) => Buffer.compare(content(v), stored) === 0);
      assert.ok(is !== undefined, `round ${round}: ${name} is a mixture of ${stored.length} bytes`);
      sure.set(name, is);
      maybe.set(name, new Set());
    }
    await eventually("temporary files are swept", async () => (await leftovers(home)).length === 0);
  }
  await usageAgrees(server, "ann");
  await server.stop();
});

for (
  const [point, there, size] of [
    ["publish.before_commit", false, 50_000],
    ["publish.after_commit", true, 50_000],
    // Content in the intent log.
    ["publish.before_commit", false, 4096],
    ["publish.after_commit", true, 4096],
  ] as const
) {
  Deno.test(`SECURITY 7.2: a kill at ${point} of ${size} bytes is reconciled at the next start, with one final event`, async () => {
    await using world = await mortal({ SLUICE_FAILPOINTS: `${point}@/doomed=kill` });
    {
      await using sftp = await RawSftp.open(world.target("ann"));
      assert.equal((await sftp.put("/before", "before")).code, status.ok);
      await assert.rejects(sftp.put("/doomed", noise(size)), "the server died before the answer");
    }
    await world.server.child.status;
    await world.server.kill9().catch(() => {});
    await using server = await Server.start({ dataDir: world.dataDir, config });
    await using sftp = await RawSftp.open({ ...world.target("ann"), port: server.port });
    const got = await sftp.get("/doomed");
    const published = isBytes(got);
    if (there) assert.ok(published, "what was published stays");
    if (published) assert.deepEqual(new Uint8Array(got), new Uint8Array(noise(size)));
    await usageAgrees(server, "ann");
    const events = await server.events("--user", "ann", "--action", "upload", "--path", "/doomed");
    assert.equal(events.filter((e) => e["status"] === 1).length, published ? 1 : 0);
    assert.ok(events.length <= 1, "one final event at most");
    assert.deepEqual(await leftovers(world.home("ann")), []);
    assert.equal((await sftp.put("/doomed", "again")).code, status.ok);
    await usageAgrees(server, "ann");
  });
}

for (const point of ["publish.before_commit", "publish.after_commit"]) {
  for (const size of [50_000, 4096]) {
    Deno.test(`SECURITY 7.2: a kill at ${point} of ${size} bytes in a virtual folder counts in the folder`, async () => {
      await using disk = await scratch();
      const env = { SLUICE_FAILPOINTS: `${point}@/shared/doomed=kill` };
      await using world = await mortal(env, async (dataDir) => {
        await sluiceMust(dataDir, ["folder", "add", "shared", "--path", `${disk.dir}/shared`]);
        const mount = ["--folder", "/shared=shared:1000000"];
        await sluiceMust(dataDir, ["user", "update", "ann", ...mount]);
      });
      {
        await using sftp = await RawSftp.open(world.target("ann"));
        assert.equal((await sftp.put("/shared/before", "before")).code, status.ok);
        await assert.rejects(sftp.put("/shared/doomed", noise(size)), "the server died");
      }
      await world.server.child.status;
      await world.server.kill9().catch(() => {});
      await using server = await Server.start({ dataDir: world.dataDir, config });
      await using sftp = await RawSftp.open({ ...world.target("ann"), port: server.port });
      const got = await sftp.get("/shared/doomed");
      const published = isBytes(got);
      assert.ok(published || point === "publish.before_commit", "what was published stays");
      if (published) assert.deepEqual(new Uint8Array(got), new Uint8Array(noise(size)));
      const expected = published ? [6 + size, 2] : [6, 1];
      await eventually("the folder's usage is settled", async () => {
        const shown = JSON.parse(
          await sluiceMust(world.dataDir, ["folder", "show", "shared", "--json"]),
        );
        return `${[shown.used_quota_size, shown.used_quota_files]}` === `${expected}`;
      });
      assert.equal((await server.user("ann"))["used_quota_size"], 0);
      assert.deepEqual(await leftovers(`${disk.dir}/shared`), []);
    });
  }
}

Deno.test("SECURITY 7.2: a kill in the middle of a catalog commit loses no acknowledged upload", async () => {
  await using world = await mortal();
  {
    await using sftp = await RawSftp.open(world.target("ann"));
    for (let i = 0; i < 20; i++) assert.equal((await sftp.put(`/f${i}`, `${i}`)).code, status.ok);
  }
  await world.server.kill9();
  const dying = Server.start({
    dataDir: world.dataDir,
    config,
    env: { SLUICE_FAILPOINTS: "catalog.commit=kill" },
  });
  const second = await dying.catch(() => undefined);
  if (second) {
    await RawSftp.open({ ...world.target("ann"), port: second.port }).then(
      (s) => s.put("/late", "late").catch(() => {}).then(() => s[Symbol.asyncDispose]()),
      () => {},
    );
    await second.child.status;
    await second.kill9().catch(() => {});
  }
  await using server = await Server.start({ dataDir: world.dataDir, config });
  const events = await server.events("--user", "ann", "--action", "upload", "--limit", "1000");
  for (let i = 0; i < 20; i++) {
    assert.equal(events.filter((e) => e["virtual_path"] === `/f${i}`).length, 1, `/f${i}`);
  }
  await usageAgrees(server, "ann");
});
