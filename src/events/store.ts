import { Effect } from "effect";
import { sql } from "kysely";
import { attempt, type Db } from "../catalog/database.ts";
import { type EventsTable, exact } from "../catalog/rows.ts";
import type { CatalogError } from "../errors.ts";
import { type Event, type EventAction, type EventStatus, kindOf, type NewEvent } from "./event.ts";
import type { EventFilter, QuotaDelta } from "./journal.ts";

/** Rows that one query answers; longer answers come in pages. */
export const pageSize = 500;

/** Adds events inside the caller's transaction. `at`: Unix milliseconds. */
export const insertEvents = (
  trx: Db,
  events: ReadonlyArray<{ readonly event: NewEvent; readonly at: number }>,
): Effect.Effect<void, CatalogError> =>
  Effect.forEach(
    inPages(events, 50),
    (page) => attempt("journal", () => trx.insertInto("events").values(page.map(toRow)).execute()),
    { discard: true },
  );

/** Moves a user's disk usage inside the caller's transaction; it never goes below zero. */
export const applyQuota = (
  trx: Db,
  delta: QuotaDelta,
  at: number,
): Effect.Effect<void, CatalogError> =>
  Effect.asVoid(attempt("journal", () =>
    trx.updateTable("users").set({
      used_quota_size:
        sql`max(0, min(${Number.MAX_SAFE_INTEGER}, used_quota_size + ${delta.bytes}))`,
      used_quota_files:
        sql`max(0, min(${Number.MAX_SAFE_INTEGER}, used_quota_files + ${delta.files}))`,
      last_quota_update: at,
    }).where("username", "=", delta.username).execute()));

/** Sequence number of the newest event; 0 when there is none. */
export const newest = (db: Db): Effect.Effect<number, CatalogError> =>
  Effect.map(
    attempt("events", () =>
      db.selectFrom("events").select(({ fn }) => fn.max("id").as("id")).executeTakeFirst()),
    (row) =>
      exact(row?.id ?? 0),
  );

/** Events that match, in journal order (or newest first), at most `limit`. */
export const selectEvents = (
  db: Db,
  filter: EventFilter,
  limit: number,
): Effect.Effect<ReadonlyArray<Event>, CatalogError> =>
  Effect.map(
    attempt("events", () => {
      let q = db.selectFrom("events").selectAll();
      if (filter.after !== undefined) {
        q = q.where("id", filter.descending ? "<" : ">", filter.after);
      }
      if (filter.since !== undefined) q = q.where("timestamp", ">=", filter.since);
      if (filter.until !== undefined) q = q.where("timestamp", "<=", filter.until);
      if (filter.username !== undefined) q = q.where("username", "=", filter.username);
      if (filter.ip !== undefined) q = q.where("ip", "=", filter.ip);
      if (filter.session_id !== undefined) q = q.where("session_id", "=", filter.session_id);
      if (filter.status !== undefined) q = q.where("status", "=", filter.status);
      if (filter.kinds) q = q.where("kind", "in", filter.kinds);
      if (filter.actions) q = q.where("action", "in", filter.actions);
      const path = filter.path?.replace(/\/+$/, "");
      if (path) {
        // `0` is the byte after `/`: a range the index can serve, and no pattern to escape.
        q = q.where((e) =>
          e.or((["virtual_path", "virtual_target_path"] as const).flatMap((column) => [
            e(column, "=", path),
            e.and([e(column, ">=", `${path}/`), e(column, "<", `${path}0`)]),
          ]))
        );
      }
      return q.orderBy("id", filter.descending ? "desc" : "asc").limit(limit).execute();
    }),
    (rows) => rows.map(toEvent),
  );

const toRow = ({ event, at }: { readonly event: NewEvent; readonly at: number }) => {
  const { action, status, username, ip, session_id, virtual_path, virtual_target_path, ...rest } =
    event;
  return {
    timestamp: at,
    kind: kindOf(action),
    action,
    status,
    username,
    ip: ip ?? "",
    session_id: session_id ?? "",
    virtual_path: virtual_path ?? "",
    virtual_target_path: virtual_target_path ?? "",
    details: JSON.stringify(rest),
  };
};

const toEvent = (row: Omit<EventsTable, "id"> & { readonly id: number }): Event => ({
  ...JSON.parse(row.details),
  id: row.id,
  timestamp: exact(row.timestamp),
  kind: kindOf(row.action as EventAction),
  action: row.action as EventAction,
  status: row.status as EventStatus,
  username: row.username,
  ...(row.ip && { ip: row.ip }),
  ...(row.session_id && { session_id: row.session_id }),
  ...(row.virtual_path && { virtual_path: row.virtual_path }),
  ...(row.virtual_target_path && { virtual_target_path: row.virtual_target_path }),
});

const inPages = <A>(all: ReadonlyArray<A>, size: number): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from(
    { length: Math.ceil(all.length / size) },
    (_, i) => all.slice(i * size, (i + 1) * size),
  );
