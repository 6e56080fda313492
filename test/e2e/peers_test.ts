import assert from "node:assert/strict";
import { lftp, paramiko, psftp, rclone, scp, ssh } from "./clients.ts";
import { fingerprint, noiseFile, scratch, sha256 } from "./files.ts";
import { type Ended, must, run } from "./process.ts";
import { call, login, type Sftp } from "./ssh2_client.ts";
import { needs, testIf } from "./tools.ts";
import { fileWorld } from "./world.ts";

const world = fileWorld([
  { username: "ann" },
  { username: "pat", password: "correct horse" },
]);
const at = () => {
  const w = world();
  return { ...w, ann: w.target("ann"), home: w.home("ann") };
};

const ok = (ended: Ended): Ended => {
  assert.equal(ended.code, 0, `${ended.stdout}\n${ended.stderr}`);
  return ended;
};

/** A tree with an empty folder, odd names and files of several sizes. */
const tree = async (dir: string): Promise<ReadonlyArray<string>> => {
  await Deno.mkdir(`${dir}/deep/er/est`, { recursive: true });
  await Deno.mkdir(`${dir}/empty`);
  await noiseFile(`${dir}/zero`, 0);
  await noiseFile(`${dir}/one`, 1);
  await noiseFile(`${dir}/deep/odd 'name' ü`, 70_000);
  await noiseFile(`${dir}/deep/er/est/big`, 3_000_001);
  const then = new Date("2021-05-06T07:08:09Z");
  for (const name of ["zero", "one", "deep/er/est/big"]) {
    await Deno.utime(`${dir}/${name}`, then, then);
  }
  await Deno.chmod(`${dir}/one`, 0o600);
  return await fingerprint(dir);
};

for (const [name, flags] of [["scp -O", ["-O"]], ["scp", []]] as const) {
  Deno.test(`Must show 2: ${name} sends and fetches one file`, async () => {
    const { ann, home } = at();
    await using tmp = await scratch();
    const file = await noiseFile(`${tmp.dir}/f`, 5_000_000);
    const remote = `scp${flags.length}.bin`;
    ok(await scp(ann, [...flags, file, `REMOTE:${remote}`]));
    assert.equal(await sha256(`${home}/${remote}`), await sha256(file));
    ok(await scp(ann, [...flags, `REMOTE:${remote}`, `${tmp.dir}/back`]));
    assert.equal(await sha256(`${tmp.dir}/back`), await sha256(file));
  });

  Deno.test(`Must show 2: ${name} -r -p sends and fetches a tree with its times`, async () => {
    const { ann, home } = at();
    await using tmp = await scratch();
    const remote = `tree${flags.length}`;
    await Deno.mkdir(`${tmp.dir}/${remote}`);
    const want = await tree(`${tmp.dir}/${remote}`);
    ok(await scp(ann, [...flags, "-r", "-p", `${tmp.dir}/${remote}`, "REMOTE:"]));
    assert.deepEqual(await fingerprint(`${home}/${remote}`), want);
    ok(await scp(ann, [...flags, "-r", "-p", `REMOTE:${remote}`, `${tmp.dir}/back`]));
    assert.deepEqual(await fingerprint(`${tmp.dir}/back`), want);
    const stored = await Deno.stat(`${home}/${remote}/one`);
    const back = await Deno.stat(`${tmp.dir}/back/one`);
    assert.equal(back.mtime?.getTime(), stored.mtime?.getTime());
  });

  Deno.test(`Must show 2: ${name} of a missing file fails and makes nothing`, async () => {
    const { ann } = at();
    await using tmp = await scratch();
    const ended = await scp(ann, [...flags, "REMOTE:missing", `${tmp.dir}/back`]);
    assert.notEqual(ended.code, 0);
    assert.match(ended.stderr, /missing/);
    await assert.rejects(Deno.stat(`${tmp.dir}/back`), Deno.errors.NotFound);
  });
}

Deno.test("Must show 2: hash, pwd and cd commands answer as their namesakes do", async () => {
  const { ann, home } = at();
  const file = await noiseFile(`${home}/hashed`, 100_000);
  const sum = ok(await ssh(ann, ["sha256sum", "hashed"])).stdout;
  assert.match(sum, new RegExp(`^${await sha256(file)}  \\S*hashed\\n$`));
  const md5 = ok(await ssh(ann, ["md5sum", "hashed"])).stdout;
  assert.equal(md5.split(" ")[0], (await must("md5sum", [file])).split(" ")[0]);
  assert.equal(ok(await ssh(ann, ["pwd"])).stdout.trim(), "/");
  assert.equal(ok(await ssh(ann, ["cd", "/"])).stdout, "");
});

const withRclone = await needs("rclone");

withRclone("Must show 2: rclone copies, checks, syncs and moves a tree", async () => {
  const { ann, home } = at();
  await using tmp = await scratch();
  await Deno.mkdir(`${tmp.dir}/src`);
  const want = await tree(`${tmp.dir}/src`);
  const files = want.filter((l) => !l.endsWith("/"));
  const filesOf = async (dir: string) => (await fingerprint(dir)).filter((l) => !l.endsWith("/"));
  ok(await rclone(ann, ["copy", `${tmp.dir}/src`, "REMOTE:rc"]));
  assert.deepEqual(await filesOf(`${home}/rc`), files);
  ok(await rclone(ann, ["check", `${tmp.dir}/src`, "REMOTE:rc"]));
  ok(await rclone(ann, ["check", "--download", `${tmp.dir}/src`, "REMOTE:rc"]));
  const stored = await Deno.stat(`${home}/rc/one`);
  assert.equal(stored.mtime?.toISOString(), "2021-05-06T07:08:09.000Z");

  await Deno.writeTextFile(`${tmp.dir}/src/one`, "changed");
  await Deno.remove(`${tmp.dir}/src/zero`);
  await Deno.writeTextFile(`${tmp.dir}/src/new`, "new");
  ok(await rclone(ann, ["sync", `${tmp.dir}/src`, "REMOTE:rc"]));
  assert.deepEqual(await filesOf(`${home}/rc`), await filesOf(`${tmp.dir}/src`));
  ok(await rclone(ann, ["sync", "REMOTE:rc", `${tmp.dir}/back`]));
  assert.deepEqual(await filesOf(`${tmp.dir}/back`), await filesOf(`${tmp.dir}/src`));

  ok(await rclone(ann, ["move", "REMOTE:rc", "REMOTE:moved"]));
  assert.deepEqual(await filesOf(`${home}/moved`), await filesOf(`${tmp.dir}/src`));
  assert.deepEqual(await filesOf(`${home}/rc`).catch(() => []), []);
  ok(await rclone(ann, ["purge", "REMOTE:moved"]));
  await assert.rejects(Deno.stat(`${home}/moved`), Deno.errors.NotFound);
});

withRclone("Must show 2: rclone test info finds names that survive", async () => {
  const { ann } = at();
  const ended = ok(
    await rclone(ann, [
      "test",
      "info",
      "--check-normalization",
      "--check-control",
      "--check-streaming",
      "REMOTE:info",
    ]),
  );
  assert.match(ended.stdout + ended.stderr, /canWriteUnnormalized = true/);
  assert.match(ended.stdout + ended.stderr, /canReadUnnormalized {3}= true/);
  assert.match(ended.stdout + ended.stderr, /canStream = true/);
});

const withLftp = await needs("lftp");

withLftp("Must show 2: lftp puts, gets, mirrors both ways and removes over sftp://", async () => {
  const { ann, home } = at();
  await using tmp = await scratch();
  await Deno.mkdir(`${tmp.dir}/src`);
  const want = await tree(`${tmp.dir}/src`);
  ok(
    await lftp(
      ann,
      `put ${tmp.dir}/src/deep/er/est/big -o lf.big; get lf.big -o ${tmp.dir}/big.back; ` +
        `mirror -R ${tmp.dir}/src lf.tree; mirror lf.tree ${tmp.dir}/back`,
    ),
  );
  assert.equal(await sha256(`${tmp.dir}/big.back`), await sha256(`${tmp.dir}/src/deep/er/est/big`));
  assert.deepEqual(await fingerprint(`${home}/lf.tree`), want);
  assert.deepEqual(await fingerprint(`${tmp.dir}/back`), want);
  ok(await lftp(ann, "mv lf.big lf.moved; chmod 600 lf.moved; rm lf.moved; rm -r lf.tree"));
  await assert.rejects(Deno.stat(`${home}/lf.tree`), Deno.errors.NotFound);
});

const withParamiko = await needs("paramiko");

withParamiko(
  "Must show 2: a paramiko script puts, prefetches, seeks, renames and lists",
  async () => {
    const { ann, home } = at();
    await using tmp = await scratch();
    const file = await noiseFile(`${tmp.dir}/f`, 8_000_000);
    const { stdout } = ok(
      await paramiko(
        ann,
        `
sftp.mkdir("py")
sftp.chdir("py")
sftp.put(${JSON.stringify(file)}, "f")
sftp.get("f", ${JSON.stringify(`${tmp.dir}/back`)})
with sftp.open("f", "rb") as f:
    f.seek(4000000)
    print(hashlib.sha256(f.read(1000)).hexdigest())
with sftp.open("notes", "w") as f:
    f.write("one\\n")
with sftp.open("notes", "a") as f:
    f.write("two\\n")
print(sftp.open("notes").read())
sftp.posix_rename("notes", "kept")
sftp.truncate("kept", 4)
print(sftp.stat("kept").st_size, sorted(sftp.listdir()), sftp.normalize("."))
for bad in (lambda: sftp.stat("none"), lambda: sftp.rmdir("/py"), lambda: sftp.remove("none")):
    try:
        bad()
        print("no error")
    except IOError as e:
        print("IOError", e.errno)
`,
      ),
    );
    const lines = stdout.trim().split("\n");
    const bytes = await Deno.readFile(file);
    await Deno.writeFile(`${tmp.dir}/part`, bytes.subarray(4_000_000, 4_001_000));
    assert.equal(lines[0], await sha256(`${tmp.dir}/part`));
    assert.equal(lines[1], "b'one\\ntwo\\n'");
    assert.equal(lines[2], "4 ['f', 'kept'] /py");
    assert.deepEqual(lines.slice(3), ["IOError 2", "IOError None", "IOError 2"]);
    assert.equal(await sha256(`${tmp.dir}/back`), await sha256(file));
    assert.equal(await Deno.readTextFile(`${home}/py/kept`), "one\n");
  },
);

Deno.test("Must show 2: ssh2's own client works, its fast transfers and extensions too", async () => {
  const { ann, home } = at();
  await using tmp = await scratch();
  const file = await noiseFile(`${tmp.dir}/f`, 8_000_000);
  await using connection = await login(ann);
  const sftp = await call<Sftp>((done) => connection.client.sftp(done));
  await call((done) => sftp.mkdir("js", done));
  await call((done) => sftp.fastPut(file, "js/f", done));
  assert.equal(await sha256(`${home}/js/f`), await sha256(file));
  await call((done) => sftp.fastGet("js/f", `${tmp.dir}/back`, done));
  assert.equal(await sha256(`${tmp.dir}/back`), await sha256(file));
  await call((done) => sftp.writeFile("js/text", "hello", done));
  assert.equal(String(await call((done) => sftp.readFile("js/text", done))), "hello");
  await assert.rejects(call((done) => sftp.rename("js/text", "js/f", done)));
  await call((done) => sftp.ext_openssh_rename("js/text", "js/f", done));
  assert.equal(await Deno.readTextFile(`${home}/js/f`), "hello");
  const listed = await call<ReadonlyArray<{ filename: string }>>((done) =>
    sftp.readdir("js", done)
  );
  assert.deepEqual(listed.map((e) => e.filename).filter((n) => !n.startsWith(".")), ["f"]);
  const space = await call<{ f_bsize: number }>((done) => sftp.ext_openssh_statvfs("/", done));
  assert.ok(space.f_bsize > 0);
  await call((done) => sftp.unlink("js/f", done));
  await call((done) => sftp.rmdir("js", done));
});

const withPsftp = await needs("psftp");

withPsftp("Must show 2: psftp logs in with a password and transfers", async () => {
  const { server, dir } = at();
  await using tmp = await scratch();
  const home = world().home("pat");
  const file = await noiseFile(`${tmp.dir}/f`, 2_000_000);
  const scanned = await must("ssh-keyscan", [
    "-t",
    "ed25519",
    "-p",
    String(server.port),
    "127.0.0.1",
  ]);
  await Deno.writeTextFile(
    `${dir}/scanned`,
    scanned.split("\n").filter((l) => !l.startsWith("#")).join("\n"),
  );
  const line = await must("ssh-keygen", ["-l", "-f", `${dir}/scanned`]);
  const ended = await psftp(
    { port: server.port, user: "pat", password: "correct horse" },
    line.split(" ")[1] ?? "",
    `put ${file} f\nget f ${tmp.dir}/back\nmkdir d\nmv f d\nls d\n`,
  );
  ok(ended);
  assert.equal(await sha256(`${tmp.dir}/back`), await sha256(file));
  assert.equal(await sha256(`${home}/d/f`), await sha256(file));
});

const dropbear = await needs("dbclient");

dropbear("Must show 2: dropbear's client runs a command with a password", async () => {
  const { server } = at();
  const ended = await run("dbclient", ["-y", "-p", String(server.port), "pat@127.0.0.1", "pwd"], {
    env: { DROPBEAR_PASSWORD: "correct horse", HOME: "/nonexistent" },
    timeout: 20,
  });
  assert.equal(ok(ended).stdout.trim(), "/");
});

const fuse = await run("sh", [
  "-c",
  "command -v sshfs >/dev/null && test -c /dev/fuse && test -w /dev/fuse && exec 3<>/dev/fuse",
])
  .then((e) => e.code === 0, () => false);

testIf(
  fuse,
  "sshfs or a usable /dev/fuse is not there",
  "Must show 2: sshfs mounts, copies, renames and lists",
  async () => {
    const { ann, home } = at();
    await using tmp = await scratch();
    await Deno.mkdir(`${tmp.dir}/mnt`);
    await Deno.mkdir(`${home}/fs`);
    const mounted = await run("sshfs", [
      ...["ann@127.0.0.1:fs", `${tmp.dir}/mnt`, "-p", String(ann.port)],
      ...["-o", `IdentityFile=${ann.key},IdentitiesOnly=yes,StrictHostKeyChecking=no`],
      ...["-o", "UserKnownHostsFile=/dev/null,BatchMode=yes", "-F", "none"],
    ], { timeout: 20 });
    ok(mounted);
    try {
      const want = await tree(`${tmp.dir}/mnt`);
      assert.deepEqual(await fingerprint(`${home}/fs`), want);
      await must("cp", ["-r", `${tmp.dir}/mnt/deep`, `${tmp.dir}/back`]);
      await must("mv", [`${tmp.dir}/mnt/one`, `${tmp.dir}/mnt/zero`]);
      assert.equal(await sha256(`${home}/fs/zero`), await sha256(`${tmp.dir}/mnt/zero`));
      await must("sh", ["-c", `echo more >> "${tmp.dir}/mnt/zero"`]);
      assert.equal((await Deno.stat(`${home}/fs/zero`)).size, 6);
      await must("rm", ["-r", `${tmp.dir}/mnt/deep`, `${tmp.dir}/mnt/empty`]);
      await assert.rejects(Deno.stat(`${home}/fs/deep`), Deno.errors.NotFound);
    } finally {
      await must("fusermount3", ["-u", `${tmp.dir}/mnt`]).catch(() =>
        must("fusermount", ["-u", `${tmp.dir}/mnt`])
      );
    }
  },
);
