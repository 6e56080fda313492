import assert from "node:assert/strict";
import { sftp, sftpMust } from "./clients.ts";
import { leftovers, noise } from "./files.ts";
import { eventually } from "./process.ts";
import { usageAgrees } from "./quota_usage.ts";
import { flag, noAttributes, op, RawSftp, status, str, u64 } from "./raw_sftp.ts";
import { makeWorld, type World } from "./world.ts";

const KiB = 1024;
const many = { common: { max_per_host_connections: 0 } };
const four = ["--workers", "4"];

/** Which worker each login of a user went to, in order of the logins. */
const workersOf = (w: World, user: string): ReadonlyArray<number> =>
  w.server.log.filter((line) => line["message"] === "logged in" && line["username"] === user)
    .map((line) => Number(line["worker"]));

/** A session, and the worker that serves it. */
const openOn = async (w: World, user: string) => {
  const before = workersOf(w, user).length;
  const raw = await RawSftp.open(w.target(user));
  await eventually("the login is logged", () => workersOf(w, user).length > before);
  return { raw, worker: workersOf(w, user)[before] ?? -1 };
};

const listed = async (w: World, user: string): Promise<number> => {
  const { stdout } = await w.server.sluice("sessions", "list", "--json");
  const rows: ReadonlyArray<{ username: string }> = JSON.parse(stdout);
  return rows.filter(({ username }) => username === user).length;
};

const lost = (raw: RawSftp) => raw.ended;

Deno.test("every worker serves connections of the one port, and each sees what the others did", async () => {
  await using w = await makeWorld([{ username: "ann" }], { config: many, args: four });
  for (let i = 0; new Set(workersOf(w, "ann")).size < 4; i++) {
    assert.ok(i < 100, "100 connections went to less than 4 workers");
    const got = i === 0 ? "" : `\nget f${i - 1} ${w.dir}/back\nrm f${i - 1}`;
    await sftpMust(w.target("ann"), `put ${w.key} f${i}${got}`);
  }
  await usageAgrees(w.server, "ann");
  const uploads = await w.server.events("--user", "ann", "--action", "upload");
  assert.equal(uploads.length, workersOf(w, "ann").length, "each upload has one event");
});

Deno.test("a worker that dies takes only its sessions, gives all back, and is started again", async () => {
  const users = [{ username: "ann", max_sessions: 60, quota_size: 1024 * KiB * KiB }, {
    username: "mal",
  }];
  await using w = await makeWorld(users, {
    config: many,
    args: four,
    env: { SLUICE_FAILPOINTS: "worker.die@mal=die" },
  });
  const mal = await openOn(w, "mal");
  const sessions: Array<Awaited<ReturnType<typeof openOn>>> = [];
  const doomed = () => sessions.filter(({ worker }) => worker === mal.worker);
  const spared = () => sessions.filter(({ worker }) => worker !== mal.worker);
  while (doomed().length < 1 || spared().length < 2) {
    assert.ok(sessions.length < 50, "sessions went to one worker only");
    sessions.push(await openOn(w, "ann"));
  }
  const content = (i: number) => noise(200 * KiB, i);
  const half = 100 * KiB;
  const part = (raw: RawSftp, handle: Uint8Array, i: number, from: number) =>
    raw.request(op.write, str(handle), u64(from), str(content(i).subarray(from, from + half)));
  const open = await Promise.all(sessions.map(async ({ raw }, i) => {
    assert.equal((await raw.put(`/done${i}`, content(i))).code, status.ok);
    const handle = await raw.handle(`/f${i}`, flag.write | flag.creat | flag.trunc);
    await part(raw, handle, i, 0);
    return handle;
  }));

  await assert.rejects(mal.raw.request(op.mkdir, str("/d"), noAttributes));
  await Promise.all(doomed().map(({ raw }) => lost(raw)));
  for (const [i, { raw, worker }] of sessions.entries()) {
    if (worker === mal.worker) continue;
    await part(raw, open[i] as Uint8Array, i, half);
    assert.equal((await raw.close(open[i] as Uint8Array)).code, status.ok);
    assert.deepEqual(await Deno.readFile(`${w.home("ann")}/f${i}`), content(i));
  }

  await eventually("only the others are listed", async () => {
    return await listed(w, "ann") === spared().length && await listed(w, "mal") === 0;
  });
  assert.ok(w.server.log.some((line) => line["event"] === "worker_died"), "the death is logged");
  await eventually("no trace of the interrupted uploads", async () => {
    return (await leftovers(w.home("ann"))).length === 0;
  }, 15);
  for (const [i, { worker }] of sessions.entries()) {
    if (worker !== mal.worker) continue;
    await assert.rejects(Deno.stat(`${w.home("ann")}/f${i}`), Deno.errors.NotFound);
  }
  // The worker serves again, and the places of the dead sessions are free.
  const again: RawSftp[] = [];
  for (let back = false; !back;) {
    assert.ok(again.length < 60 - spared().length, "the worker does not come back");
    const { raw, worker } = await openOn(w, "ann");
    again.push(raw);
    back = worker === mal.worker;
  }
  while (again.length < 60 - spared().length) again.push((await openOn(w, "ann")).raw);
  await assert.rejects(RawSftp.open(w.target("ann")), "the 61st session is one too many");

  await usageAgrees(w.server, "ann");
  const uploads = await w.server.events("--user", "ann", "--action", "upload", "--limit", "1000");
  const good = uploads.filter((e) => e["status"] === 1).map((e) => e["virtual_path"]).sort();
  const expected = sessions.flatMap(({ worker }, i) =>
    worker === mal.worker ? [`/done${i}`] : [`/done${i}`, `/f${i}`]
  ).sort();
  assert.deepEqual(good, expected, "each upload that was done has one event, and no other");
  for (const { raw } of [mal, ...sessions]) await raw[Symbol.asyncDispose]();
  for (const raw of again) await raw[Symbol.asyncDispose]();
});

Deno.test("caps are exact while connections burst in on all workers", async () => {
  await using w = await makeWorld([{ username: "ann", max_sessions: 7 }, { username: "bob" }], {
    config: { common: { max_per_host_connections: 0, max_total_connections: 20 } },
    args: four,
  });
  const burst = async (user: string, count: number) => {
    const tried = await Promise.allSettled(
      Array.from({ length: count }, () => RawSftp.open(w.target(user))),
    );
    return tried.flatMap((one) => one.status === "fulfilled" ? [one.value] : []);
  };
  const ann = await burst("ann", 18);
  assert.equal(ann.length, 7, "max_sessions of the user");
  await eventually("the others have left", async () => await listed(w, "ann") === 7);
  const bob: RawSftp[] = [];
  // Refused logins of before may leave their seats a moment later.
  await eventually("the total is reached", async () => {
    bob.push(...await burst("bob", 20 - 7 - bob.length));
    return bob.length === 13;
  });
  assert.equal((await burst("bob", 8)).length, 0, "one more is one too many, on any worker");
  for (const raw of [...ann, ...bob]) await raw[Symbol.asyncDispose]();
  await eventually("all seats are free again", async () => {
    const after = await burst("ann", 1);
    for (const raw of after) await raw[Symbol.asyncDispose]();
    return after.length === 1;
  });
});

Deno.test("sessions are listed, kicked and drained on all workers", async () => {
  const grace = ["--grace-time", "20"];
  await using w = await makeWorld([{ username: "ann" }, { username: "bob" }], {
    config: many,
    args: [...four, ...grace],
  });
  const ann: Array<Awaited<ReturnType<typeof openOn>>> = [];
  while (new Set(ann.map(({ worker }) => worker)).size < 3) ann.push(await openOn(w, "ann"));
  const bob = await openOn(w, "bob");
  assert.equal(await listed(w, "ann"), ann.length);

  const { stdout } = await w.server.sluice("sessions", "list", "--json");
  const rows: ReadonlyArray<{ username: string; connection_id: string }> = JSON.parse(stdout);
  const id = rows.find(({ username }) => username === "bob")?.connection_id ?? "";
  assert.equal((await w.server.sluice("sessions", "kick", id)).code, 0);
  await lost(bob.raw);
  assert.equal((await w.server.sluice("sessions", "kick", "no-such")).code, 3);
  assert.equal((await w.server.sluice("sessions", "kick", "--user", "ann")).code, 0);
  await Promise.all(ann.map(({ raw }) => lost(raw)));
  assert.equal(await listed(w, "ann"), 0);

  const last = await openOn(w, "ann");
  const handle = await last.raw.handle("/slow", flag.write | flag.creat);
  await last.raw.request(op.write, str(handle), u64(0), str(noise(1000)));
  w.server.child.kill("SIGTERM");
  await eventually(
    "newcomers are refused",
    async () => (await sftp(w.target("bob"), "pwd")).code !== 0,
  );
  // The transfer under way has its time.
  await last.raw.request(op.write, str(handle), u64(1000), str(noise(1000)));
  assert.equal((await last.raw.close(handle)).code, status.ok);
  await w.server.child.status;
  assert.equal((await Deno.stat(`${w.home("ann")}/slow`)).size, 2000);
  for (const { raw } of [...ann, bob, last]) await raw[Symbol.asyncDispose]();
});

Deno.test("a quota is exact while all workers take from it", async () => {
  const size = 100 * KiB;
  const users = [{ username: "ann", quota_files: 10 }, { username: "bob", quota_size: 10 * size }];
  await using w = await makeWorld(users, { config: many, args: four });
  for (const user of ["ann", "bob"]) {
    const sessions: RawSftp[] = [];
    while (new Set(workersOf(w, user)).size < 3) sessions.push((await openOn(w, user)).raw);
    const tried = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const raw = sessions[i % sessions.length] as RawSftp;
        return (await raw.put(`/f${i}`, noise(size, i))).code;
      }),
    );
    const fitted = tried.filter((code) => code === status.ok).length;
    if (user === "ann") assert.equal(fitted, 10, "exactly the ten files that fit");
    else assert.ok(fitted <= 10, `${fitted} files of a tenth of the quota each`);
    await usageAgrees(w.server, user);
    for (const raw of sessions) await raw[Symbol.asyncDispose]();
  }
});

Deno.test("clients that follow each other below the cap of an address are never turned away", async () => {
  const args = ["--workers", "2"];
  await using w = await makeWorld([{ username: "ann" }], {
    config: { common: { max_per_host_connections: 20 } },
    args,
  });
  let left = 100;
  const client = async () => {
    while (left-- > 0) await sftpMust(w.target("ann"), "ls\nquit");
  };
  await Promise.all(Array.from({ length: 16 }, client));
});

Deno.test("telemetry tells readiness, how many workers serve, and what escaped in any of them", async () => {
  await using w = await makeWorld([{ username: "ann" }, { username: "mal" }], {
    config: many,
    args: ["--workers", "2", "--telemetry", "127.0.0.1:0"],
    env: { SLUICE_FAILPOINTS: "session.escape@mal=die*3,worker.die@ann=die" },
    mayEscape: true,
  });
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`${w.server.telemetry}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1] ?? NaN);
  };
  const ready = async () => {
    const answer = await fetch(`${w.server.telemetry}/readyz`);
    await answer.body?.cancel();
    return answer.status;
  };
  assert.equal(await ready(), 200);
  assert.equal(await metric("sluice_workers"), 2);
  assert.equal(await metric("sluice_escaped_errors_total"), 0);
  // Three sessions, spread by the system; the errors are counted wherever they were.
  for (let i = 0; i < 3; i++) await sftpMust(w.target("mal"), "ls\nquit");
  const escaped = async () => await metric("sluice_escaped_errors_total") === 3;
  await eventually("the escaped errors of all workers are summed", escaped);
  assert.equal(await metric("sluice_workers"), 2, "an escaped error ends no worker");

  await sftp(w.target("ann"), "ls\nquit");
  const died = () => w.server.log.some(({ event }) => event === "worker_died");
  await eventually("a worker died", died);
  assert.equal(await ready(), 200, "the other one serves");
  await eventually("it is back", async () => await metric("sluice_workers") === 2, 20);
});
