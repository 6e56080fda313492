import { Effect } from "effect";
import type { Access } from "./access.ts";
import { concatenate } from "./concatenate.ts";
import type { Resumables } from "./resumable.ts";
import { ResumableDesk } from "./resumable_desk.ts";
import type { UploadRecords } from "./upload_records.ts";

/** The uploads of one session that outlive it. */
export const resumables = (access: Access, records: typeof UploadRecords.Service): Resumables => {
  const desk = new ResumableDesk(access, records);
  return {
    create: (wanted) => Effect.scoped(desk.create(wanted)),
    concatenate: (wanted, parts) => Effect.scoped(concatenate(desk, wanted, parts)),
    look: (id) =>
      Effect.scoped(Effect.gen(function* () {
        const record = yield* desk.taken(id);
        return yield* desk.stand(record);
      })),
    append: (id, offset, { checked }) =>
      Effect.gen(function* () {
        const record = yield* desk.taken(id);
        const now = yield* desk.stand(record);
        if (record.kind === "final") {
          return yield* access.fail(
            "Denied",
            "upload",
            record.path,
            "a final upload takes no bytes",
          );
        }
        if (now.offset !== offset || now.expires === undefined) {
          return yield* access.fail("Conflict", "upload", record.path, "this is not its offset");
        }
        return yield* desk.part(record, checked);
      }),
    terminate: (id) => Effect.scoped(Effect.flatMap(desk.taken(id), (record) => desk.drop(record))),
  };
};
