import assert from "node:assert/strict";
import * as fs from "node:fs";
import { Effect } from "effect";
import { isLive } from "../../adapters/storage/local/disk.ts";
import { peek } from "../../adapters/storage/local/info.ts";
import { StagedWriter } from "../../adapters/storage/local/writer_staged.ts";
import { Turns } from "../../src/storage/turns.ts";
import { live, tempDir } from "../harness.ts";

/** How many descriptors are open on what is, or was, in a folder; where there is no /proc, 0. */
const openIn = (folder: string): number =>
  Deno.build.os !== "linux" ? 0 : fs.readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder + "/");
    } catch {
      return false; // that of the listing itself
    }
  }).length;

live(
  "build() leaves no temporary file and no descriptor when the file it builds on is gone",
  () =>
    Effect.gen(function* () {
      const root = Deno.realPathSync(yield* tempDir);
      const path = `${root}/a`;
      fs.writeFileSync(path, "old");
      const target = { key: "/a", path, info: peek(path), exclusive: false };
      fs.unlinkSync(path);
      const writer = new StagedWriter({ root, fsync: false }, target, new Turns(root));
      assert.throws(() => writer.build(), { code: "ENOENT" });
      assert.equal(openIn(root), 0);
      assert.deepEqual(fs.readdirSync(root), []);
      assert.equal(isLive(root + writer.staged), false, "or no sweep would ever remove it");
    }),
);
