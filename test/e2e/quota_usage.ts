import assert from "node:assert/strict";
import { eventually } from "./process.ts";
import type { Server } from "./server.ts";

/** Bytes and files that really are in a user's home; what the server stages for itself is left out. */
export const diskUsage = async (home: string): Promise<{ bytes: number; files: number }> => {
  let bytes = 0;
  let files = 0;
  const walk = async (dir: string) => {
    for await (const entry of Deno.readDir(dir)) {
      const path = `${dir}/${entry.name}`;
      if (entry.isDirectory) await walk(path);
      else if (entry.isFile) {
        bytes += (await Deno.stat(path)).size;
        files += 1;
      }
    }
  };
  await walk(home);
  return { bytes, files };
};

/** Fails unless what the catalog says of a user's usage is what lies on the disk, now and after a recount. */
export const usageAgrees = async (server: Server, user: string): Promise<void> => {
  const disk = await diskUsage(`${server.dataDir}/users/${user}`);
  let counted = {};
  const agrees = async () => {
    const shown = await server.user(user);
    counted = { bytes: shown["used_quota_size"], files: shown["used_quota_files"] };
    return shown["used_quota_size"] === disk.bytes && shown["used_quota_files"] === disk.files;
  };
  await eventually("the counters are flushed", agrees, 5).catch(() => {});
  assert.deepEqual(counted, disk, `usage of ${user}: counted and on disk`);
  const scan = await server.sluice("user", "quota-scan", user);
  assert.equal(scan.code, 0, scan.stderr);
  assert.ok(await agrees(), "a recount changes nothing");
};
