import { Effect, Layer } from "effect";
import { intentLog } from "../../adapters/intents/layer.ts";
import { libsqlLayer } from "../../adapters/libsql/layer.ts";
import { Users } from "../../src/catalog/catalog.ts";
import { uploadRecords } from "../../src/catalog/uploads.ts";
import { Config } from "../../src/config/config.ts";
import { UploadRecords } from "../../src/vfs/upload_records.ts";
import { quickPasswords, settings } from "./world.ts";

/** The records in a catalog of their own. */
export const openRecords = (dir: string) =>
  Effect.gen(function* () {
    const base = Layer.mergeAll(intentLog("hub"), quickPasswords).pipe(
      Layer.provideMerge(Layer.succeed(Config, settings(dir))),
    );
    const all = uploadRecords.pipe(Layer.provideMerge(libsqlLayer), Layer.provide(base));
    const context = yield* Layer.build(all);
    return yield* Effect.provide(Effect.all({ records: UploadRecords, users: Users }), context);
  });
