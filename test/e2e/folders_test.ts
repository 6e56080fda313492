import assert from "node:assert/strict";
import { sftp, sftpMust } from "./clients.ts";
import { noiseFile, scratch, sha256 } from "./files.ts";
import { eventually } from "./process.ts";
import { sluice, sluiceMust } from "./server.ts";
import { makeWorld } from "./world.ts";

const json = async (dataDir: string, args: string[]) =>
  JSON.parse(await sluiceMust(dataDir, [...args, "--json"]));

for (const workers of ["1", "4"]) {
  Deno.test(`VF-02, VF-08, QUOTA-10: sftp works in virtual folders with ${workers} workers`, async () => {
    await using disk = await scratch();
    const root = disk.dir;
    await using w = await makeWorld([{ username: "ann" }, { username: "ben" }], {
      args: ["--workers", workers],
      before: async (dataDir) => {
        await sluiceMust(dataDir, ["folder", "add", "shared", "--path", `${root}/shared`]);
        await sluiceMust(dataDir, ["folder", "add", "mine", "--path", `${root}/mine-%username%`]);
        await sluiceMust(dataDir, ["folder", "add", "deep", "--path", `${root}/deep`]);
        await sluiceMust(dataDir, [
          ...["group", "add", "staff", "--folder", "/shared=shared:300000"],
          ...["--folder", "/home-%username%=mine:user", "--folder", "/x/y/deep=deep/sub"],
        ]);
        for (const user of ["ann", "ben"]) {
          await sluiceMust(dataDir, ["user", "update", user, "--group", "staff:primary"]);
        }
      },
    });
    const { dir, server: { dataDir } } = w;
    const ann = w.target("ann");
    const file = await noiseFile(`${dir}/file`, 200_000);
    const usageOf = async (noun: string, name: string) => {
      const { used_quota_size, used_quota_files } = await json(dataDir, [noun, "show", name]);
      return [used_quota_size, used_quota_files];
    };
    const usageIs = (noun: string, name: string, expected: number[]) =>
      eventually(
        `${noun} ${name} uses ${expected}`,
        async () => JSON.stringify(await usageOf(noun, name)) === JSON.stringify(expected),
      );

    const out = await sftpMust(ann, "ls -1 /\nls -1 /x\nls -1 /x/y");
    for (const name of ["shared", "home-ann", "/x", "/x/y", "/x/y/deep"]) {
      assert.match(out, new RegExp(name));
    }

    // Own quota, shared by all: the second file does not fit, from whomever.
    await sftpMust(ann, `put ${file} /shared/one`);
    await usageIs("folder", "shared", [200_000, 1]);
    await usageIs("user", "ann", [0, 0]);
    assert.notEqual((await sftp(w.target("ben"), `put ${file} /shared/two`)).code, 0);
    await assert.rejects(Deno.stat(`${root}/shared/two`), Deno.errors.NotFound);
    await sftpMust(w.target("ben"), `get /shared/one ${dir}/back`);
    assert.equal(await sha256(`${dir}/back`), await sha256(file));

    // In the user's quota, and in a subpath.
    await sftpMust(ann, `put ${file} /home-ann/f\nput ${file} /x/y/deep/f`);
    await usageIs("user", "ann", [200_000, 1]);
    assert.equal((await Deno.stat(`${root}/mine-ann/f`)).size, 200_000);
    await usageIs("folder", "deep", [200_000, 1]);
    assert.equal((await Deno.stat(`${root}/deep/sub/f`)).size, 200_000);

    // Across mounts: content and counts go with it.
    await sftpMust(ann, `rename /shared/one /moved\nmkdir /tree\nput ${file} /tree/a`);
    await usageIs("folder", "shared", [0, 0]);
    await usageIs("user", "ann", [600_000, 3]);
    assert.equal(await sha256(`${w.home("ann")}/moved`), await sha256(file));
    await sftpMust(ann, "rename /tree /shared/tree");
    await usageIs("folder", "shared", [200_000, 1]);
    await usageIs("user", "ann", [400_000, 2]);
    await assert.rejects(Deno.stat(`${w.home("ann")}/tree`), Deno.errors.NotFound);
    assert.equal(await sha256(`${root}/shared/tree/a`), await sha256(file));
    // What does not fit stays where it was.
    assert.notEqual((await sftp(ann, "rename /moved /shared/moved")).code, 0);
    assert.equal(await sha256(`${w.home("ann")}/moved`), await sha256(file));
    await assert.rejects(Deno.stat(`${root}/shared/moved`), Deno.errors.NotFound);

    // Mount points stay (VF-09), and so does what holds one.
    for (
      const batch of [
        "rmdir /shared",
        "rm /shared",
        "rename /shared /s",
        "rename /moved /shared",
        "rmdir /x/y",
        "rename /x /z",
        "mkdir /shared",
      ]
    ) assert.notEqual((await sftp(ann, batch)).code, 0, batch);
    await sftpMust(ann, "rm /shared/tree/a\nrmdir /shared/tree");
    await usageIs("folder", "shared", [0, 0]);
  });
}

Deno.test("GRP-11, DIS-14: folder and group commands name problems and refuse what is in use", async () => {
  await using dir = await scratch();
  const data = `${dir.dir}/data`;
  const code = async (...args: string[]) => (await sluice(data, args)).code;
  assert.equal(await code("folder", "add", "f", "--path", `${dir.dir}/f`), 0);
  assert.equal(await code("folder", "add", "f", "--path", `${dir.dir}/f`), 4);
  assert.equal(await code("folder", "add", "g"), 2);
  assert.equal(await code("folder", "show", "nobody"), 3);
  const unknown = await sluice(data, ["group", "add", "staff", "--folder", "/a=nothing"]);
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /virtual_folders\[0\]\.name: there is no folder "nothing"/);
  assert.equal(await code("group", "add", "staff", "--folder", "/a=f:10M"), 0);
  assert.equal(await code("user", "add", "ann", "--group", "staff"), 0);
  const shown = await json(data, ["group", "show", "staff"]);
  assert.deepEqual(shown.users, ["ann"]);
  assert.deepEqual(shown.virtual_folders, [
    { name: "f", virtual_path: "/a", quota_size: 10485760, quota_files: 0, subpath: "" },
  ]);
  assert.deepEqual((await json(data, ["folder", "show", "f"])).groups, ["staff"]);
  assert.equal(await code("folder", "remove", "f"), 4);
  assert.equal(await code("group", "remove", "staff"), 4);
  assert.equal(await code("user", "update", "ann", "--group", ""), 0);
  assert.equal(await code("group", "remove", "staff"), 0);
  assert.equal(await code("folder", "remove", "f"), 0);
  assert.deepEqual(await json(data, ["folder", "list"]), []);
});

Deno.test("QUOTA-11: quota-scan counts a folder, and the running server goes by it", async () => {
  await using disk = await scratch();
  const before = async (dataDir: string) => {
    await sluiceMust(dataDir, ["folder", "add", "shared", "--path", `${disk.dir}/shared`]);
    await sluiceMust(dataDir, ["folder", "add", "own", "--path", `${disk.dir}/%username%`]);
    const mounts = ["--folder", "/shared=shared:1000000", "--folder", "/own=own"];
    await sluiceMust(dataDir, ["group", "add", "staff", ...mounts]);
    await sluiceMust(dataDir, ["user", "update", "ann", "--group", "staff"]);
  };
  const w = await makeWorld([{ username: "ann" }], { before });
  const { dataDir } = w.server;
  const scan = async () =>
    JSON.parse(await sluiceMust(dataDir, ["folder", "quota-scan", "shared", "--json"]));
  {
    await using _ = w;
    const file = await noiseFile(`${w.dir}/file`, 70_000);
    await sftpMust(w.target("ann"), `put ${file} /shared/a`);
    await Deno.copyFile(file, `${disk.dir}/shared/b`);
    assert.deepEqual(await scan(), { name: "shared", bytes: 140_000, files: 2 });
    const shown = await json(dataDir, ["folder", "show", "shared"]);
    assert.deepEqual([shown.used_quota_size, shown.used_quota_files], [140_000, 2]);
    // The running server knows it too: nothing of a megabyte is left for this.
    const big = await noiseFile(`${w.dir}/big`, 900_000);
    assert.notEqual((await sftp(w.target("ann"), `put ${big} /shared/c`)).code, 0);
    assert.equal((await sluice(dataDir, ["folder", "quota-scan", "nobody"])).code, 3);
    const own = await sluice(dataDir, ["folder", "quota-scan", "own"]);
    assert.equal(own.code, 1);
    assert.match(own.stderr, /own is another folder for each user/);
  }
});

Deno.test("a folder that cannot be opened shows, and keeps nobody from the rest", async () => {
  await using disk = await scratch();
  await Deno.writeTextFile(`${disk.dir}/file`, "in the way");
  const before = async (dataDir: string) => {
    await sluiceMust(dataDir, ["folder", "add", "gone", "--path", `${disk.dir}/file/below`]);
    await sluiceMust(dataDir, ["user", "update", "ann", "--folder", "/gone=gone"]);
  };
  await using w = await makeWorld([{ username: "ann" }], { before });
  const file = await noiseFile(`${w.dir}/file`, 70_000);
  const ann = w.target("ann");
  const out = await sftpMust(ann, `put ${file} /here\nls -1 /`);
  assert.match(out, /gone/);
  assert.match(out, /here/);
  const refused = await sftp(ann, `put ${file} /gone/x`);
  assert.notEqual(refused.code, 0);
  assert.notEqual((await sftp(ann, "ls /gone")).code, 0);
});
