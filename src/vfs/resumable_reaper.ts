import { Clock, Effect } from "effect";
import type { CatalogError, FsError } from "../errors.ts";
import { KeptObjects } from "../storage/kept.ts";
import { type UploadRecord, UploadRecords } from "./upload_records.ts";

/** Milliseconds that a client may ask how its last request ended. */
const remembered = 3_600_000;

/**
 * Removes uploads that nobody has gone on with in time, those of users who are
 * gone, and concatenations that a crash cut; answers how many. What somebody is
 * at work on is left for the next time, and so is what cannot be removed now.
 */
export const reapUploads: Effect.Effect<number, CatalogError, UploadRecords | KeptObjects> = Effect
  .gen(function* () {
    const records = yield* UploadRecords;
    const now = yield* Clock.currentTimeMillis;
    const before = now - records.lifetime;
    let removed = 0;
    for (let after = "";;) {
      const finished = Math.max(before, now - remembered);
      const some = yield* records.stale({ open: before, finished }, after);
      for (const { record, orphan } of some) {
        after = record.id;
        const always = orphan || (record.kind === "final" && !record.finishing);
        const gone = yield* reap(record, always ? Infinity : before).pipe(
          Effect.catchTag(
            "FsError",
            (error) => Effect.as(Effect.logWarning("an upload could not be removed", error), false),
          ),
        );
        if (gone) removed++;
      }
      if (some.length === 0) break;
    }
    if (removed > 0) yield* Effect.logInfo({ event: "uploads_expired", count: removed });
    return removed;
  });

/** Removes an upload that has not grown since `before`. */
const reap = (
  record: UploadRecord,
  before: number,
): Effect.Effect<boolean, CatalogError | FsError, UploadRecords | KeptObjects> =>
  Effect.scoped(Effect.gen(function* () {
    const records = yield* UploadRecords;
    const ticket = crypto.randomUUID();
    yield* Effect.addFinalizer(() => records.release(ticket));
    if (!(yield* records.take(record.id, ticket, "idle"))) return false;
    const keeping = (yield* KeptObjects).of(record.storage);
    const kept = yield* keeping?.look(record.id) ?? Effect.succeed(undefined);
    if (kept && kept.touched >= before) return false;
    if (kept && keeping) {
      if (record.finishing) yield* records.setFinishing(record.id, false);
      yield* keeping.remove(record.id);
    }
    yield* records.remove([record.id]);
    return true;
  }));
