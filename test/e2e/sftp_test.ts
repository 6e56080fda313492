import assert from "node:assert/strict";
import { sftp, sftpMust } from "./clients.ts";
import { fingerprint, leftovers, noiseFile, scratch, sha256 } from "./files.ts";
import { eventually, pause, run } from "./process.ts";
import { fileWorld, makeWorld } from "./world.ts";

const world = fileWorld([{ username: "ann" }]);
const at = () => {
  const w = world();
  return { ...w, ann: w.target("ann"), home: w.home("ann") };
};

Deno.test("Must show 1: sftp puts and gets a file, names with spaces and quotes too", async () => {
  const { ann, home, dir } = at();
  for (const name of ["plain", "with space", `q"uote'`, "ünï"]) {
    const file = await noiseFile(`${dir}/${name}`, 300_001, name.length);
    const quoted = `"${name.replaceAll('"', '\\"')}"`;
    await sftpMust(ann, `lcd ${dir}\nput ${quoted}\nget ${quoted} ${quoted.slice(0, -1)}.back"`);
    assert.equal(await sha256(`${home}/${name}`), await sha256(file));
    assert.equal(await sha256(`${file}.back`), await sha256(file));
  }
});

Deno.test("Must show 1: sftp resumes an upload with reput and a download with reget", async () => {
  const { ann, home, dir } = at();
  const whole = await noiseFile(`${dir}/resume`, 5_000_000);
  const bytes = await Deno.readFile(whole);
  await Deno.writeFile(`${home}/resume`, bytes.subarray(0, 1_234_567));
  await sftpMust(ann, `reput ${whole} resume`);
  assert.equal(await sha256(`${home}/resume`), await sha256(whole));
  await Deno.writeFile(`${dir}/resume.back`, bytes.subarray(0, 3_000_000));
  await sftpMust(ann, `reget resume ${dir}/resume.back`);
  assert.equal(await sha256(`${dir}/resume.back`), await sha256(whole));
});

Deno.test("Must show 1: rename refuses an existing target with -l, posix-rename replaces it", async () => {
  const { ann, home, dir } = at();
  await Deno.writeTextFile(`${dir}/a`, "new");
  await sftpMust(ann, `put ${dir}/a ren.a\nput ${dir}/a ren.b\nrename ren.a ren.c`);
  await Deno.writeTextFile(`${home}/ren.b`, "old");
  const refused = await sftp(ann, "rename -l ren.c ren.b");
  assert.notEqual(refused.code, 0);
  assert.equal(await Deno.readTextFile(`${home}/ren.b`), "old");
  assert.equal(await Deno.readTextFile(`${home}/ren.c`), "new");
  await sftpMust(ann, "rename ren.c ren.b");
  assert.equal(await Deno.readTextFile(`${home}/ren.b`), "new");
  await assert.rejects(Deno.stat(`${home}/ren.c`), Deno.errors.NotFound);
});

Deno.test("Must show 1: mkdir and rmdir, and rmdir of a full directory is refused", async () => {
  const { ann, home, dir } = at();
  await Deno.writeTextFile(`${dir}/f`, "x");
  await sftpMust(ann, `mkdir d\nmkdir d/e\nput ${dir}/f d/e/f\ncd d/e\npwd`);
  assert.notEqual((await sftp(ann, "rmdir d/e")).code, 0);
  assert.notEqual((await sftp(ann, "mkdir d")).code, 0);
  await sftpMust(ann, "rm d/e/f\nrmdir d/e\nrmdir d");
  await assert.rejects(Deno.stat(`${home}/d`), Deno.errors.NotFound);
});

Deno.test("Must show 1: ls lists 20,000 entries, each once", async () => {
  const { ann, home } = at();
  await Deno.mkdir(`${home}/many`);
  const names = Array.from({ length: 20_000 }, (_, i) => `entry-${String(i).padStart(5, "0")}`);
  for (const name of names) Deno.writeFileSync(`${home}/many/${name}`, new Uint8Array());
  const began = performance.now();
  const listed = (await sftpMust(ann, "ls -1 many")).split("\n").filter((l) => l.includes("entry"));
  assert.deepEqual(listed.map((l) => l.split("/").at(-1)).sort(), names);
  const long = (await sftpMust(ann, "ls -ln many")).split("\n").filter((l) => l.includes("entry"));
  assert.equal(long.length, 20_000);
  assert.ok(performance.now() - began < 30_000);
  await Deno.remove(`${home}/many`, { recursive: true });
});

Deno.test("Must show 1: chmod changes the mode on disk, -p keeps the times", async () => {
  const { ann, home, dir } = at();
  await Deno.writeTextFile(`${dir}/mode`, "x");
  const then = new Date("2020-02-03T04:05:06Z");
  await Deno.utime(`${dir}/mode`, then, then);
  await sftpMust(ann, `put -p ${dir}/mode mode\nchmod 640 mode`);
  const info = await Deno.stat(`${home}/mode`);
  assert.equal((info.mode ?? 0) & 0o777, 0o640);
  assert.equal(info.mtime?.getTime(), then.getTime());
});

Deno.test("Must show 1: ln and ln -s are refused by default and leave nothing", async () => {
  const { ann, home, dir } = at();
  await Deno.writeTextFile(`${dir}/f`, "x");
  await sftpMust(ann, `put ${dir}/f linked`);
  for (const line of ["ln linked hard", "ln -s linked soft"]) {
    assert.notEqual((await sftp(ann, line)).code, 0, line);
  }
  await assert.rejects(Deno.lstat(`${home}/hard`), Deno.errors.NotFound);
  await assert.rejects(Deno.lstat(`${home}/soft`), Deno.errors.NotFound);
});

Deno.test("Must show 1: symlinks work inside the home and lead nowhere else when they are on", async () => {
  await using w = await makeWorld([{ username: "ann" }], {
    config: { common: { symlink_mode: 1 } },
  });
  const [ann, home] = [w.target("ann"), w.home("ann")];
  await Deno.writeTextFile(`${w.dir}/f`, "inside");
  await sftpMust(ann, `mkdir sub\nput ${w.dir}/f sub/f\nln -s sub/f soft\nget soft ${w.dir}/back`);
  assert.equal(await Deno.readTextFile(`${w.dir}/back`), "inside");
  assert.ok((await Deno.lstat(`${home}/soft`)).isSymlink);
  await Deno.writeTextFile(`${w.server.dataDir}/secret`, "outside");
  const attempts = ["../../secret", "../../../../../../../../etc/passwd", "/etc/passwd"];
  for (const [i, target] of attempts.entries()) {
    await sftp(ann, `-ln -s ${target} out${i}`);
    const got = await sftp(ann, `get out${i} ${w.dir}/stolen${i}`);
    assert.notEqual(got.code, 0, target);
    await assert.rejects(Deno.stat(`${w.dir}/stolen${i}`), Deno.errors.NotFound, target);
  }
});

Deno.test("Must show 1: df answers from the quota when there is one, else from the disk", async () => {
  await using w = await makeWorld([{ username: "bob", quota_size: 10 * 1024 * 1024 }]);
  const quota = await sftpMust(w.target("bob"), "df");
  const [size] = quota.trim().split("\n").at(-1)?.trim().split(/\s+/) ?? [];
  assert.equal(size, String(10 * 1024), quota);
  const disk = await sftpMust(at().ann, "df -h");
  assert.match(disk, /%/);
});

Deno.test("Must show 1: copy makes a server-side copy with equal content", async () => {
  const { ann, home, dir } = at();
  const file = await noiseFile(`${dir}/original`, 2_000_003);
  await sftpMust(ann, `put ${file} original\ncopy original duplicate`);
  assert.equal(await sha256(`${home}/duplicate`), await sha256(file));
});

Deno.test("Must show 1: an interrupted put leaves the old file whole and no trace", async () => {
  const { ann, home, dir, server } = at();
  const old = await noiseFile(`${dir}/old`, 700_000, 7);
  await sftpMust(ann, `put ${old} kept`);
  const before = await sha256(`${home}/kept`);
  const big = await noiseFile(`${dir}/big`, 400 * 1024 * 1024, 8);
  const mine = await fingerprint(home);
  const abort = new AbortController();
  const args = [
    "-F",
    "none",
    "-o",
    "StrictHostKeyChecking=no",
    "-o",
    "UserKnownHostsFile=/dev/null",
  ];
  const child = new Deno.Command("sftp", {
    args: [...args, "-i", ann.key, "-P", String(ann.port), "-b", "-", "ann@127.0.0.1"],
    stdin: "piped",
    stdout: "null",
    stderr: "null",
    signal: abort.signal,
  }).spawn();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(`put ${big} kept\n`));
  // Something of it has reached the disk, whatever the server calls it.
  const used = async () => {
    const { stdout } = await run("du", ["-sb", home]);
    return Number(stdout.split("\t")[0]);
  };
  const start = await used();
  await eventually("the upload is under way", async () => (await used()) > start + 4_000_000);
  child.kill("SIGKILL");
  await child.status;
  await input.close().catch(() => {});
  await eventually(
    "the server dropped the upload",
    async () => (await leftovers(home)).length === 0,
  );
  assert.equal(await sha256(`${home}/kept`), before);
  assert.deepEqual(await fingerprint(home), mine);
  assert.equal(server.escapedErrors, 0);
  await Deno.remove(big);
});

Deno.test("Must show 1: a batch of 2,000 small files goes up and comes back equal", async () => {
  const { ann, home } = at();
  await using tmp = await scratch();
  await Deno.mkdir(`${tmp.dir}/small`);
  for (let i = 0; i < 2000; i++) {
    await Deno.writeTextFile(`${tmp.dir}/small/f${i}`, `${i}-`.repeat(1 + i % 900));
  }
  const began = performance.now();
  await sftpMust(ann, `put -r ${tmp.dir}/small\nget -r small ${tmp.dir}/back`);
  const want = await fingerprint(`${tmp.dir}/small`);
  assert.equal(want.length, 2000);
  assert.deepEqual(await fingerprint(`${home}/small`), want);
  assert.deepEqual(await fingerprint(`${tmp.dir}/back`), want);
  assert.ok(performance.now() - began < 90_000);
  await Deno.remove(`${home}/small`, { recursive: true });
});

Deno.test("Must show 1: 1 GiB goes up and comes back with an equal sha256", async () => {
  const { ann, home } = at();
  await using tmp = await scratch();
  const file = await noiseFile(`${tmp.dir}/gib`, 1024 ** 3, 11);
  await sftpMust(ann, `put ${file} gib\nget gib ${tmp.dir}/gib.back`, [], { timeout: 240 });
  const want = await sha256(file);
  assert.equal(await sha256(`${home}/gib`), want);
  assert.equal(await sha256(`${tmp.dir}/gib.back`), want);
  await Deno.remove(`${home}/gib`);
});

Deno.test("Must show 1: every upload and download is in the journal with its size and checksum", async () => {
  const { ann, dir, server } = at();
  const file = await noiseFile(`${dir}/noted`, 12_345);
  await sftpMust(ann, `put ${file} noted\nget noted ${dir}/noted.back`);
  await pause(1500);
  const [up] = await server.events("--action", "upload", "--path", "/noted");
  const [down] = await server.events("--action", "download", "--path", "/noted");
  assert.equal(up?.["file_size"], 12_345);
  assert.equal(up?.["checksum"], await sha256(file));
  assert.equal(up?.["username"], "ann");
  assert.equal(down?.["file_size"], 12_345);
});
