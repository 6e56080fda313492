import { Effect } from "effect";
import { attempt, type Db } from "../catalog/database.ts";
import type { CatalogError } from "../errors.ts";
import type { NewEvent } from "./event.ts";
import type { Intent, QuotaDelta } from "./journal.ts";

/** An operation that was prepared and not yet settled or cancelled. */
export interface Unsettled {
  readonly id: number;
  readonly event: NewEvent;
  readonly intent: Intent;
  readonly quota?: QuotaDelta;
}

/** Records what is about to be done; answers the number to settle it by. */
export const insertIntent = (
  trx: Db,
  owner: { readonly node: string; readonly process: string },
  entry: Omit<Unsettled, "id">,
): Effect.Effect<number, CatalogError> =>
  Effect.map(
    attempt("prepare", () =>
      trx.insertInto("intents").values({
        ...owner,
        event: JSON.stringify(entry.event),
        intent: JSON.stringify(entry.intent),
        quota: entry.quota ? JSON.stringify(entry.quota) : "",
      }).returning("id").executeTakeFirstOrThrow()),
    (row) => row.id,
  );

/** Forgets it; false when somebody did already, and then nothing else may be applied. */
export const deleteIntent = (trx: Db, id: number): Effect.Effect<boolean, CatalogError> =>
  Effect.map(
    attempt("settle", () => trx.deleteFrom("intents").where("id", "=", id).executeTakeFirst()),
    (result) => result.numDeletedRows === 1n,
  );

/** What earlier processes of this node left, oldest first. */
export const leftBehind = (
  db: Db,
  owner: { readonly node: string; readonly process: string },
): Effect.Effect<ReadonlyArray<Unsettled>, CatalogError> =>
  Effect.map(
    attempt("unsettled", () =>
      db.selectFrom("intents").selectAll().where("node", "=", owner.node)
        .where("process", "<>", owner.process).orderBy("id").execute()),
    (rows) =>
      rows.map((row) => ({
        id: row.id,
        event: JSON.parse(row.event),
        intent: JSON.parse(row.intent),
        ...(row.quota && { quota: JSON.parse(row.quota) }),
      })),
  );
