import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { ssh } from "../e2e/clients.ts";
import { noise, noiseFile } from "../e2e/files.ts";
import { pause } from "../e2e/process.ts";
import { flag, op, RawSftp, status, str, u32, u64 } from "../e2e/raw_sftp.ts";
import { Server, sluice } from "../e2e/server.ts";
import { makeWorld } from "../e2e/world.ts";

const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));

Deno.test("SECURITY 7.10: a lock on the database for 10 s stops no transfer and no event loop", async () => {
  await using world = await makeWorld([{ username: "ann" }]);
  await noiseFile(`${world.home("ann")}/big`, 8 * 1024 * 1024);
  await using sftp = await RawSftp.open(world.target("ann"));
  const reader = await sftp.handle("/big", flag.read);
  const writer = await sftp.handle("/upload", flag.write | flag.creat);
  const other = new DatabaseSync(`${world.server.dataDir}/sluice.db`, { timeout: 5000 });
  other.exec("BEGIN IMMEDIATE");
  const end = performance.now() + 10_000;
  let slowest = 0;
  let rounds = 0;
  const logins: Array<Promise<{ code: number; ms: number }>> = [];
  while (performance.now() < end) {
    const start = performance.now();
    const offset = (rounds % 200) * 32_768;
    const read = await sftp.request(op.read, str(reader), u64(offset), u32(32_768));
    const wrote = await sftp.request(op.write, str(writer), u64(rounds * 1000), str(noise(1000)));
    slowest = Math.max(slowest, performance.now() - start);
    assert.equal(read.type, 103);
    assert.equal(wrote.code, status.ok);
    if (rounds++ % 500 === 0 && logins.length < 3) {
      const began = performance.now();
      logins.push(
        ssh(world.target("ann"), ["pwd"]).then(({ code }) => ({
          code,
          ms: performance.now() - began,
        })),
      );
    }
    await pause(2);
  }
  other.exec("COMMIT");
  other.close();
  say(`SECURITY 7.10: ${rounds} rounds, the slowest took ${slowest.toFixed(0)} ms`);
  assert.ok(slowest < 400, `${slowest} ms`);
  for (const { code, ms } of await Promise.all(logins)) {
    assert.ok(code === 0 || ms < 30_000, `a login during the lock: exit ${code} after ${ms} ms`);
  }
  assert.equal((await sftp.close(writer)).code, status.ok, "the upload commits after the lock");
  assert.equal((await ssh(world.target("ann"), ["pwd"])).code, 0);
});

/** Damage done to a data folder whose server was killed, so that a write-ahead log is there. */
const damages: Readonly<Record<string, (db: string) => Promise<void>>> = {
  "a truncated -wal": async (db) => {
    const { size } = await Deno.stat(`${db}-wal`).catch(() => ({ size: 0 }));
    if (size > 0) await Deno.truncate(`${db}-wal`, Math.floor(size / 2));
  },
  "an emptied -wal": (db) => Deno.truncate(`${db}-wal`, 0).catch(() => {}),
  "a deleted -shm": (db) => Deno.remove(`${db}-shm`).catch(() => {}),
  "every page after the first overwritten": async (db) => {
    const { size } = await Deno.stat(db);
    using file = await Deno.open(db, { write: true });
    await file.seek(4096, Deno.SeekMode.Start);
    await file.write(noise(Math.max(0, size - 4096)));
    await Deno.remove(`${db}-wal`).catch(() => {});
    await Deno.remove(`${db}-shm`).catch(() => {});
  },
  "a header of noise": async (db) => {
    using file = await Deno.open(db, { write: true });
    await file.write(noise(4096));
    await Deno.remove(`${db}-wal`).catch(() => {});
    await Deno.remove(`${db}-shm`).catch(() => {});
  },
  "a database cut in half": async (db) => {
    const { size } = await Deno.stat(db);
    await Deno.truncate(db, Math.floor(size / 8192) * 4096);
    await Deno.remove(`${db}-wal`).catch(() => {});
    await Deno.remove(`${db}-shm`).catch(() => {});
  },
  "an emptied database": async (db) => {
    await Deno.truncate(db, 0);
    await Deno.remove(`${db}-wal`).catch(() => {});
    await Deno.remove(`${db}-shm`).catch(() => {});
  },
};

for (const [what, damage] of Object.entries(damages)) {
  Deno.test(`SECURITY 7.11: with ${what} the start is refused clearly, or every user is there`, async () => {
    const dataDir = await Deno.makeTempDir({ prefix: "sluice-damage-" });
    try {
      const world = await makeWorld([{ username: "ann" }, { username: "bob" }], { dataDir });
      {
        await using sftp = await RawSftp.open(world.target("ann"));
        for (let i = 0; i < 20; i++) await sftp.put(`/f${i}`, `${i}`);
      }
      // Half of the damages need the log that only a crash leaves, the others a database that holds all.
      if (/wal|shm/.test(what)) await world.server.kill9();
      else await world.server.stop();
      await damage(`${dataDir}/sluice.db`);
      const began = performance.now();
      const started = await Server.start({ dataDir }).catch((error: Error) => error);
      if (started instanceof Error) {
        assert.match(started.message, /database|sluice\.db/i, "the message says what is broken");
        assert.doesNotMatch(started.message, /\n\s+at /, "and is no stack trace");
      } else {
        await using server = started;
        const target = { ...world.target("ann"), port: server.port };
        assert.equal((await ssh(target, ["pwd"])).code, 0, "the user is still there");
        assert.equal((await server.sluice("user", "show", "bob")).code, 0);
        const admins = await sluice(dataDir, ["admin", "list", "--json"]);
        assert.deepEqual(JSON.parse(admins.stdout), [], "no admin came into being");
      }
      assert.ok(performance.now() - began < 30_000);
      await world[Symbol.asyncDispose]();
    } finally {
      await Deno.remove(dataDir, { recursive: true });
    }
  });
}
