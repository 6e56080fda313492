import assert from "node:assert/strict";
import { scp, sftp } from "./clients.ts";
import { leftovers, noise, noiseFile, sha256 } from "./files.ts";
import { eventually } from "./process.ts";
import { usageAgrees } from "./quota_usage.ts";
import { exec } from "./raw_exec.ts";
import { flag, isBytes, op, RawSftp, status, str, u64 } from "./raw_sftp.ts";
import { login } from "./ssh2_client.ts";
import { fileWorld } from "./world.ts";

const MiB = 1024 * 1024;
const world = fileWorld([
  { username: "full", quota_size: MiB },
  { username: "few", quota_files: 3 },
  { username: "race" },
  { username: "both", quota_size: 3 * MiB },
]);
const open = (user: string) => RawSftp.open(world().target(user));

Deno.test("SECURITY 6.38: an upload beyond the quota fails, keeps the old file and counts right", async () => {
  const { server, dir, target } = world();
  const home = world().home("full");
  await using raw = await open("full");
  assert.equal((await raw.put("/old", noise(300_000))).code, status.ok);
  const before = await sha256(`${home}/old`);
  const over = await raw.put("/old", noise(2 * MiB, 2));
  assert.equal(over.code, status.failure);
  assert.match(over.message, /quota/i);
  assert.equal(await sha256(`${home}/old`), before);
  const fresh = await raw.put("/fresh", noise(2 * MiB, 3));
  assert.equal(fresh.code, status.failure);
  await assert.rejects(Deno.stat(`${home}/fresh`), Deno.errors.NotFound);
  const file = await noiseFile(`${dir}/two`, 2 * MiB);
  for (const remote of ["REMOTE:old", "REMOTE:scp-new"]) {
    const ended = await scp(target("full"), ["-O", file, remote]);
    assert.notEqual(ended.code, 0);
    assert.match(ended.stderr, /quota/i);
  }
  const put = await sftp(target("full"), `put ${file} old`);
  assert.notEqual(put.code, 0);
  assert.equal(await sha256(`${home}/old`), before);
  assert.deepEqual(await leftovers(home), []);
  await usageAgrees(server, "full");
  assert.equal((await raw.put("/fits", noise(500_000, 4))).code, status.ok);
  assert.equal((await raw.put("/old", noise(400_000, 5))).code, status.ok);
  await usageAgrees(server, "full");
  const failed = await server.events("--user", "full", "--action", "upload");
  assert.ok(failed.some((e) => e["status"] !== 1), "the failed upload is in the journal");
});

Deno.test("SECURITY 6.38: extending in place, truncate and copy-data keep to the quota too", async () => {
  const { server } = world();
  const home = world().home("full");
  await using raw = await open("full");
  for (const name of ["/fits", "/old"]) await raw.request(op.remove, str(name));
  await raw.put("/grow", noise(600_000));
  const handle = await raw.handle("/grow", flag.write);
  const beyond = await raw.request(op.write, str(handle), u64(4 * MiB), str("x"));
  assert.equal(beyond.code, status.failure);
  await raw.close(handle);
  assert.ok((await Deno.stat(`${home}/grow`)).size <= MiB);
  const source = await raw.handle("/grow", flag.read);
  const copy = await raw.handle("/copy", flag.write | flag.creat);
  const copied = await raw.request(
    op.extended,
    ...[str("copy-data"), str(source), u64(0), u64(0), str(copy), u64(0)],
  );
  const closed = await raw.close(copy);
  assert.ok(copied.code !== status.ok || closed.code !== status.ok);
  await raw.close(source);
  await usageAgrees(server, "full");
});

Deno.test("SECURITY 6.38: the number of files is a quota as well", async () => {
  const { server } = world();
  await using raw = await open("few");
  const codes: number[] = [];
  for (const name of ["/1", "/2", "/3", "/4"]) codes.push((await raw.put(name, "x")).code);
  assert.deepEqual(codes, [status.ok, status.ok, status.ok, status.failure]);
  assert.equal((await raw.put("/3", "overwriting needs no further file")).code, status.ok);
  await usageAgrees(server, "few");
});

Deno.test("SECURITY 6.38: twenty uploads at once share a quota exactly", async () => {
  const { server } = world();
  const home = world().home("both");
  const sessions = await Promise.all(Array.from({ length: 4 }, () => open("both")));
  const results = await Promise.all(
    Array.from({ length: 20 }, (_, i) => sessions[i % 4]?.put(`/f${i}`, noise(300_000, i))),
  );
  const good = results.filter((r) => r?.code === status.ok).length;
  // All twenty may stop one another: each holds what it has sent until it is refused.
  assert.ok(good <= Math.floor((3 * MiB) / 300_000), `${good} fitted`);
  assert.equal([...Deno.readDirSync(home)].filter((e) => e.name.startsWith("f")).length, good);
  // Nothing stays reserved for those that failed: what is left fits to the byte.
  const left = 3 * MiB - good * 300_000;
  assert.equal((await sessions[0]?.put("/rest", noise(left, 99)))?.code, status.ok);
  assert.equal((await sessions[1]?.put("/more", noise(1, 98)))?.code, status.failure);
  for (const session of sessions) await session[Symbol.asyncDispose]();
  assert.deepEqual(await leftovers(home), []);
  await usageAgrees(server, "both");
});

Deno.test("SECURITY 6.39: two uploads of one name leave one whole winner", async () => {
  const { server } = world();
  const home = world().home("race");
  await using one = await open("race");
  await using two = await open("race");
  const contents = [noise(2 * MiB, 11), noise(3 * MiB, 12)] as const;
  for (let round = 0; round < 10; round++) {
    const results = await Promise.all([
      one.put("/same", contents[0]),
      two.put("/same", contents[1]),
    ]);
    assert.ok(results.some((r) => r.code === status.ok), "somebody won");
    const stored = await Deno.readFile(`${home}/same`);
    const winner = contents.findIndex((c) => c.length === stored.length);
    assert.ok(winner >= 0, `a mixture of ${stored.length} bytes`);
    assert.deepEqual(stored, new Uint8Array(contents[winner] ?? []));
    assert.equal(results[winner]?.code, status.ok, "the winner was told so");
  }
  assert.deepEqual(await leftovers(home), []);
  await usageAgrees(server, "race");
});

Deno.test("SECURITY 6.39: an upload while its parent is renamed or removed ends one way, told truly", async () => {
  const { server } = world();
  const home = world().home("race");
  await using one = await open("race");
  await using two = await open("race");
  for (let round = 0; round < 10; round++) {
    await Deno.remove(`${home}/parent`, { recursive: true }).catch(() => {});
    await Deno.remove(`${home}/moved`, { recursive: true }).catch(() => {});
    await one.request(op.mkdir, str("/parent"), new Uint8Array(4));
    const handle = await one.handle("/parent/file", flag.write | flag.creat);
    const wrote = one.request(
      op.write,
      str(handle),
      u64(0),
      str(noise(200_000, round).subarray(0, 30_000)),
    );
    const other = round % 2 === 0
      ? two.request(op.rename, str("/parent"), str("/moved"))
      : two.request(op.rmdir, str("/parent"));
    const [, moved] = await Promise.all([wrote, other]);
    const closed = await one.close(handle);
    const exists = async (path: string) =>
      await Deno.stat(`${home}/${path}`).then(() => true, () => false);
    const inPlace = await exists("parent/file");
    const inMoved = await exists("moved/file");
    assert.equal(
      closed.code === status.ok,
      inPlace || inMoved,
      `round ${round}: CLOSE said ${closed.code}`,
    );
    if (moved.code === status.ok) assert.equal(await exists("parent"), inPlace);
  }
  await eventually("nothing is left over", async () => (await leftovers(home)).length === 0);
  const scan = await server.sluice("user", "quota-scan", "race");
  assert.equal(scan.code, 0);
});

Deno.test("SECURITY 6.39: an upload and a removal of one name agree, and scp does not disturb", async () => {
  const home = world().home("race");
  await using one = await open("race");
  await using two = await login(world().target("race"));
  for (let round = 0; round < 10; round++) {
    const content = noise(500_000, round);
    const [put, removed, sent] = await Promise.all([
      one.put("/contested", content),
      one.request(op.remove, str("/contested")),
      exec(two, "scp -t /contested", ["C0644 5 contested\n", "hello", "\0"]),
    ]);
    const left = await Deno.readFile(`${home}/contested`).catch(() => undefined);
    if (left === undefined) assert.equal(removed.code, status.ok);
    else assert.ok(left.length === 5 || left.length === content.length, `${left.length} bytes`);
    assert.ok([status.ok, status.failure, status.noSuchFile].some((c) => c === put.code));
    assert.ok(sent.code !== undefined);
    const got = await one.get("/contested");
    assert.equal(isBytes(got), left !== undefined);
  }
  assert.deepEqual(await leftovers(home), []);
});
