import { Effect } from "effect";
import { local } from "../../adapters/storage/local/local.ts";
import { memory } from "../../adapters/storage/memory/memory.ts";
import { storageConformance } from "../conformance/storage.ts";
import { tempDir } from "../harness.ts";

storageConformance("memory", Effect.sync(() => memory()));
storageConformance(
  "local",
  Effect.map(tempDir, (dir) => local({ root: Deno.realPathSync(dir), fsync: true })),
);
