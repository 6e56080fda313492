import { Effect } from "effect";
import { attempt, type Db } from "../catalog/database.ts";
import type { CatalogError } from "../errors.ts";
import type { Unsettled } from "./intent_log.ts";
import { rowMark as mark } from "./journal_sink.ts";

/** Forgets such a row; false when somebody did already, and then nothing else may be applied. */
export const deleteRow = (trx: Db, intent: string): Effect.Effect<boolean, CatalogError> =>
  Effect.map(
    attempt(
      "settle",
      () =>
        trx.deleteFrom("intents").where("id", "=", Number(intent.slice(mark.length)))
          .executeTakeFirst(),
    ),
    (result) => result.numDeletedRows === 1n,
  );

/** What earlier versions left on this node, oldest first. */
export const leftRows = (
  db: Db,
  node: string,
): Effect.Effect<ReadonlyArray<Unsettled>, CatalogError> =>
  Effect.map(
    attempt("unsettled", () =>
      db.selectFrom("intents").selectAll().where("node", "=", node).orderBy("id").execute()),
    (rows) =>
      rows.map((row) => ({
        id: `${mark}${row.id}`,
        event: JSON.parse(row.event),
        intent: JSON.parse(row.intent),
        ...(row.quota && { quota: JSON.parse(row.quota) }),
      })),
  );
