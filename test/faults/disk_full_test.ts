import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { scratch } from "../e2e/files.ts";
import { leftovers, noise, sha256 } from "../e2e/files.ts";
import { must } from "../e2e/process.ts";
import { op, RawSftp, status, str } from "../e2e/raw_sftp.ts";
import { canMount, testIf } from "../e2e/tools.ts";
import { makeWorld } from "../e2e/world.ts";

const MiB = 1024 * 1024;
const mountable = await canMount();
const why = "mounting a tmpfs is not permitted";

const smallDisk = async (dir: string, size: string) => {
  await Deno.mkdir(dir, { recursive: true });
  await must("mount", ["-t", "tmpfs", "-o", `size=${size}`, "none", dir]);
  return { [Symbol.asyncDispose]: () => must("umount", ["-l", dir]).then(() => {}) };
};

testIf(
  mountable,
  why,
  "SECURITY 7.4: a full disk fails the upload, keeps the old file, and room ends it",
  async () => {
    await using tmp = await scratch();
    const dataDir = `${tmp.dir}/data`;
    const home = `${dataDir}/users/ann`;
    await using _disk = await smallDisk(home, "8m");
    await using world = await makeWorld([{ username: "ann" }], { dataDir });
    await using sftp = await RawSftp.open(world.target("ann"));
    assert.equal((await sftp.put("/old", noise(3 * MiB))).code, status.ok);
    const before = await sha256(`${home}/old`);
    const over = await sftp.put("/old", noise(6 * MiB, 2));
    assert.equal(over.code, status.failure, over.message);
    assert.equal(await sha256(`${home}/old`), before);
    const fresh = await sftp.put("/fresh", noise(6 * MiB, 3));
    assert.equal(fresh.code, status.failure, fresh.message);
    assert.deepEqual(await leftovers(home), []);
    assert.deepEqual([...Deno.readDirSync(home)].map((e) => e.name), ["old"]);
    assert.equal((await sftp.request(op.remove, str("/old"))).code, status.ok);
    assert.equal((await sftp.put("/fresh", noise(6 * MiB, 3))).code, status.ok, "room again");
  },
);

testIf(
  mountable,
  why,
  "SECURITY 7.4: a full disk under the database corrupts nothing and is survived",
  async () => {
    await using tmp = await scratch();
    const dataDir = `${tmp.dir}/data`;
    await using _disk = await smallDisk(dataDir, "24m");
    const homes = `${tmp.dir}/homes/ann`;
    await Deno.mkdir(homes, { recursive: true });
    {
      await using world = await makeWorld([{ username: "ann", home_dir: homes }], { dataDir });
      await using sftp = await RawSftp.open(world.target("ann"));
      assert.equal((await sftp.put("/before", "before")).code, status.ok);
      await must("sh", ["-c", `dd if=/dev/zero of=${dataDir}/filler bs=64k 2>/dev/null || true`]);
      // The journal is full: an upload whose event cannot be made durable did not happen.
      let refused = 0;
      const acknowledged: string[] = [];
      for (let i = 0; i < 300 && refused < 5; i++) {
        const { code } = await sftp.put(`/full${i}`, noise(2000, i));
        if (code === status.ok) acknowledged.push(`full${i}`);
        else refused++;
      }
      for (const name of acknowledged) assert.ok((await Deno.stat(`${homes}/${name}`)).isFile);
      assert.equal(String(await sftp.get("/before")), "before", "reading goes on");
      await Deno.remove(`${dataDir}/filler`);
      assert.equal((await sftp.put("/after", "after")).code, status.ok, "room again, no restart");
      assert.deepEqual(await leftovers(homes), []);
    }
    const db = new DatabaseSync(`${dataDir}/sluice.db`, { readOnly: true });
    assert.deepEqual({ ...db.prepare("PRAGMA integrity_check").get() }, { integrity_check: "ok" });
    db.close();
  },
);
