import { Clock, Effect, Layer } from "effect";
import { Config } from "../config/config.ts";
import { UploadClaims } from "../vfs/upload_claims.ts";
import { type UploadKind, type UploadRecord, UploadRecords } from "../vfs/upload_records.ts";
import type { VPath } from "../vpath.ts";
import { attempt, Database, whenFree, Writer } from "./database.ts";
import { exact, type ResumableUploadsTable } from "./rows.ts";

/** Unfinished uploads that one user may have at a time. */
const most = 1000;
const page = 100;

/** Hours of the configuration in milliseconds. */
export const lifetimeOf = (config: Config["Type"]): number =>
  config.httpd.tus_expiration * 3_600_000;

/** Records in the catalog; who is at work is known as long as the server runs. */
export const uploadRecords: Layer.Layer<UploadRecords, never, Database | Writer | Config> = Layer
  .effect(
    UploadRecords,
    Effect.gen(function* () {
      const { read } = yield* Database;
      const { transact } = yield* Writer;
      const lifetime = lifetimeOf(yield* Config);
      const claims = new UploadClaims();

      return UploadRecords.of({
        lifetime,
        add: (record, room) =>
          transact("add upload", (trx) =>
            Effect.gen(function* () {
              const others = yield* attempt("add upload", () => {
                const open = trx.selectFrom("resumable_uploads")
                  .select(({ fn }) => [
                    fn.countAll<number>().as("count"),
                    fn.sum<number | null>("reserved").as("reserved"),
                  ])
                  .where("user_id", "=", record.userId).where("finishing", "=", 0);
                return (record.parts.length > 0 ? open.where("id", "not in", record.parts) : open)
                  .executeTakeFirstOrThrow();
              });
              if (exact(others.count) >= most) return "too_many" as const;
              const reserved = exact(others.reserved ?? 0) + record.reserved;
              if (room !== undefined && reserved > room) return "no_room" as const;
              yield* attempt(
                "add upload",
                () => trx.insertInto("resumable_uploads").values(toRow(record)).execute(),
              );
              return undefined;
            })),
        find: (id) =>
          Effect.map(
            whenFree(attempt("read upload", () =>
              read.selectFrom("resumable_uploads").selectAll().where("id", "=", id)
                .executeTakeFirst())),
            (row) =>
              row && fromRow(row),
          ),
        setFinishing: (id, finishing) =>
          Effect.gen(function* () {
            const at = finishing ? yield* Clock.currentTimeMillis : 0;
            yield* transact("finish upload", (trx) =>
              attempt("finish upload", () =>
                trx.updateTable("resumable_uploads").set({ finishing: at })
                  .where("id", "=", id).execute()));
          }),
        remove: (ids) =>
          ids.length === 0
            ? Effect.void
            : Effect.asVoid(transact("remove upload", (trx) =>
              attempt("remove upload", () =>
                trx.deleteFrom("resumable_uploads").where("id", "in", ids).execute()))),
        stale: (before, after) =>
          Effect.map(
            whenFree(attempt("stale uploads", () =>
              read.selectFrom("resumable_uploads")
                .leftJoin("users", "users.id", "resumable_uploads.user_id")
                .selectAll("resumable_uploads").select("users.id as owner")
                .where("resumable_uploads.id", ">", after)
                .where((is) =>
                  is.or([
                    is.and([
                      is("finishing", "=", 0),
                      is("resumable_uploads.created_at", "<", before.open),
                    ]),
                    is.and([is("finishing", ">", 0), is("finishing", "<", before.finished)]),
                    is("users.id", "is", null),
                    is.and([is("kind", "=", "final"), is("finishing", "=", 0)]),
                  ])
                )
                .orderBy("resumable_uploads.id").limit(page).execute())),
            (rows) =>
              rows.map(({ owner, ...row }) => ({ record: fromRow(row), orphan: owner === null })),
          ),
        take: (id, ticket, how) => claims.take(id, ticket, how),
        wanted: (ticket) => claims.wanted(ticket),
        release: (ticket) => claims.release(ticket),
      });
    }),
  );

const toRow = (record: UploadRecord): ResumableUploadsTable => ({
  id: record.id,
  user_id: record.userId,
  storage: record.storage,
  path: record.path,
  kind: record.kind,
  parts: JSON.stringify(record.parts),
  length: record.length,
  reserved: record.reserved,
  metadata: record.metadata,
  options: JSON.stringify(record.options),
  finishing: record.finishing ? record.created : 0,
  created_at: record.created,
});

const fromRow = (row: ResumableUploadsTable): UploadRecord => ({
  id: row.id,
  userId: exact(row.user_id),
  storage: row.storage,
  path: row.path as VPath,
  kind: row.kind as UploadKind,
  parts: JSON.parse(row.parts),
  length: exact(row.length),
  reserved: exact(row.reserved),
  metadata: row.metadata,
  options: JSON.parse(row.options),
  finishing: row.finishing !== 0,
  created: exact(row.created_at),
});
