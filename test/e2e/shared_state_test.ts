import assert from "node:assert/strict";
import { leftovers, noise } from "./files.ts";
import { eventually } from "./process.ts";
import { usageAgrees } from "./quota_usage.ts";
import {
  flag,
  modeAttributes,
  noAttributes,
  op,
  RawSftp,
  type Reply,
  status,
  str,
  u32,
  u64,
} from "./raw_sftp.ts";
import { fileWorld, makeWorld, type World } from "./world.ts";

const config = { common: { max_per_host_connections: 0 } };
const args = ["--workers", "4"];

const workersOf = (w: World, user: string): ReadonlyArray<unknown> =>
  w.server.log.filter((line) => line["message"] === "logged in" && line["username"] === user)
    .map((line) => line["worker"]);

/** Sessions of one user on at least three workers; the first is on another worker than the last. */
const spread = async (w: World, user: string) => {
  const sessions: RawSftp[] = [];
  const seen = () => workersOf(w, user);
  const before = seen().length;
  const mine = () => seen().slice(before);
  while (new Set(mine()).size < 3 || mine()[0] === mine().at(-1)) {
    assert.ok(sessions.length < 60, "sessions went to less than three workers");
    sessions.push(await RawSftp.open(w.target(user)));
    await eventually("the login is logged", () => mine().length === sessions.length);
  }
  return {
    sessions,
    first: sessions[0] as RawSftp,
    last: sessions.at(-1) as RawSftp,
    [Symbol.asyncDispose]: async () => {
      for (const session of sessions) await session[Symbol.asyncDispose]();
    },
  };
};

const write = (session: RawSftp, handle: Uint8Array, at: number, bytes: Uint8Array) =>
  session.request(op.write, str(handle), u64(at), str(bytes));
/** Size of an ATTRS reply that has one. */
const sizeOf = (reply: Reply): number =>
  reply.type === 105 && (reply.body.readUInt32BE(0) & 1) === 1
    ? Number(reply.body.readBigUInt64BE(4))
    : -1;

const staged = fileWorld([{ username: "ann" }], { config, args });

Deno.test("SFTP-09: an upload shows to the sessions of every worker, with what it received", async () => {
  const w = staged();
  await using all = await spread(w, "ann");
  const handle = await all.first.handle("/up", flag.write | flag.creat | flag.trunc);
  await write(all.first, handle, 0, noise(5000));
  for (const session of all.sessions) {
    assert.equal(sizeOf(await session.request(op.stat, str("/up"))), 5000);
  }
  // What another session sets is for the commit.
  const set = await all.last.request(op.setstat, str("/up"), modeAttributes(0o640));
  assert.equal(set.code, status.ok);
  const cut = await all.last.request(op.setstat, str("/up"), u32(1), u64(3000));
  assert.equal(cut.code, status.ok, cut.message);
  assert.equal((await all.first.close(handle)).code, status.ok);
  const stored = await Deno.stat(`${w.home("ann")}/up`);
  assert.equal(stored.size, 3000);
  assert.equal((stored.mode ?? 0) & 0o777, 0o640);
  for (const session of all.sessions) {
    assert.equal(sizeOf(await session.request(op.stat, str("/up"))), 3000);
  }
  await usageAgrees(w.server, "ann");
});

Deno.test("a directory is not renamed while another worker receives a file in it", async () => {
  const w = staged();
  await using all = await spread(w, "ann");
  assert.equal((await all.first.request(op.mkdir, str("/dir"), u32(0))).code, status.ok);
  const handle = await all.first.handle("/dir/up", flag.write | flag.creat | flag.trunc);
  await write(all.first, handle, 0, noise(5000));
  const move = () => all.last.request(op.rename, str("/dir"), str("/moved"));
  assert.equal((await move()).code, status.failure);
  assert.equal((await all.first.close(handle)).code, status.ok);
  assert.equal((await move()).code, status.ok);
  assert.equal((await Deno.stat(`${w.home("ann")}/moved/up`)).size, 5000);
});

Deno.test("what is written in place on one worker and removed by another is counted right", async () => {
  await using w = await makeWorld([{ username: "ann" }], {
    config: { common: { ...config.common, upload_mode: 0 } },
    args,
  });
  await using all = await spread(w, "ann");
  const { first, last } = all;
  assert.equal((await first.put("/f", noise(10_000))).code, status.ok);
  // The new bytes are on the disk, and not counted yet, when the other removes the file.
  const handle = await first.handle("/f", flag.write);
  assert.equal((await write(first, handle, 10_000, noise(7000))).code, status.ok);
  assert.equal((await last.request(op.remove, str("/f"))).code, status.ok);
  await first.close(handle);
  await usageAgrees(w.server, "ann");

  // Two that extend the same file, on two workers.
  assert.equal((await first.put("/g", noise(1000))).code, status.ok);
  const one = await first.handle("/g", flag.write);
  const two = await last.handle("/g", flag.write);
  await write(first, one, 1000, noise(500));
  await write(last, two, 1500, noise(250));
  assert.equal((await first.close(one)).code, status.ok);
  assert.equal((await last.close(two)).code, status.ok);
  assert.equal((await Deno.stat(`${w.home("ann")}/g`)).size, 1750);
  await usageAgrees(w.server, "ann");

  // One that is written in place, and renamed over by the other.
  const target = await first.handle("/h", flag.write | flag.creat);
  await write(first, target, 0, noise(4000));
  await last.request(op.extended, str("posix-rename@openssh.com"), str("/g"), str("/h"));
  await first.close(target);
  await usageAgrees(w.server, "ann");
});

Deno.test("QUOTA-11: a scan while all workers write sets no wrong usage", async () => {
  const w = staged();
  await using all = await spread(w, "ann");
  let over = false;
  const busy = all.sessions.slice(0, 6).map(async (session, i) => {
    for (let n = 0; !over; n++) {
      const name = `/scan${i}-${n % 5}`;
      assert.equal((await session.put(name, noise(1000 + 100 * (n % 50), n))).code, status.ok);
      if (n % 3 === 0) {
        assert.equal((await session.request(op.remove, str(name))).code, status.ok);
      }
      // Room for a scan to find a quiet moment, now and then.
      if (n % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 150));
    }
  });
  for (let scan = 0; scan < 4; scan++) await w.server.sluice("user", "quota-scan", "ann");
  over = true;
  await Promise.all(busy);
  await usageAgrees(w.server, "ann");
});

Deno.test("usage is exact after workers died while all of them wrote to one home", async () => {
  await using w = await makeWorld([{ username: "ann", quota_size: 50_000_000 }, {
    username: "mal",
  }], { config, args, env: { SLUICE_FAILPOINTS: "worker.die@mal=die*3" } });
  let over = false;
  let done = 0;
  /** Writes, overwrites, removes and renames; starts anew when its worker dies. */
  const work = async (i: number) => {
    for (let n = 0; !over;) {
      const session = await RawSftp.open(w.target("ann")).catch(() => undefined);
      try {
        for (; session && !over; n++) {
          const name = `/f${i}-${n % 7}`;
          if ((await session.put(name, noise(20_000 + n % 1000, n))).code === status.ok) done++;
          if (n % 4 === 0) await session.request(op.remove, str(name));
          if (n % 5 === 0) {
            await session.request(op.rename, str(`/f${i}-${(n + 1) % 7}`), str(`/r${i}-${n % 3}`));
          }
        }
      } catch {
        // The worker is gone.
      }
      await session?.[Symbol.asyncDispose]();
    }
  };
  const works = Array.from({ length: 8 }, (_, i) => work(i));
  for (let death = 1; death <= 3; death++) {
    const enough = done + 40;
    await eventually("uploads go on", () => done > enough, 30);
    const mal = await RawSftp.open(w.target("mal"));
    await mal.request(op.mkdir, str(`/d${death}`), noAttributes).catch(() => {});
    await mal[Symbol.asyncDispose]();
    const deaths = () => w.server.log.filter((line) => line["event"] === "worker_died").length;
    await eventually("the worker died", () => deaths() === death);
  }
  const enough = done + 20;
  await eventually("uploads go on", () => done > enough, 30);
  over = true;
  await Promise.all(works);
  const clear = async () => (await leftovers(w.home("ann"))).length === 0;
  await eventually("what the dead had begun is cleared", clear, 30);
  await usageAgrees(w.server, "ann");
});
