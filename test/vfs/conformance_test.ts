import { Effect } from "effect";
import { local } from "../../adapters/storage/local/local.ts";
import { memory } from "../../adapters/storage/memory/memory.ts";
import { vfsConformance } from "../conformance/vfs.ts";
import { tempDir } from "../harness.ts";

vfsConformance("memory", Effect.sync(() => memory()));
vfsConformance(
  "local",
  Effect.map(tempDir, (dir) => local({ root: Deno.realPathSync(dir), fsync: false })),
);
