import { Effect } from "effect";
import { CompiledQuery } from "kysely";
import { attempt, type Db } from "../catalog/database.ts";
import { type EventsTable, exact } from "../catalog/rows.ts";
import type { CatalogError } from "../errors.ts";
import { type Event, type EventAction, type EventStatus, kindOf, type NewEvent } from "./event.ts";
import type { EventFilter, QuotaDelta } from "./journal.ts";

/** An event on its way into the catalog. `at`: Unix milliseconds. */
export interface Written {
  readonly event: NewEvent;
  readonly at: number;
  /** The intent that it settles. */
  readonly intent?: string;
}

/**
 * One statement for any number of rows: a query builder's text and bindings for
 * as many columns would cost more than the rows themselves [measured].
 */
const insertAll = `insert into events (timestamp, kind, action, status, username, ip, session_id,
  virtual_path, virtual_target_path, details, intent)
  select value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6,
  value->>7, value->>8, value->>9, value->>10 from json_each(?)`;

/** Adds events inside the caller's transaction, in this order. Fails with Duplicate when an intent was settled before. */
export const insertEvents = (
  trx: Db,
  events: ReadonlyArray<Written>,
): Effect.Effect<void, CatalogError> =>
  Effect.forEach(
    inPages(events, 1000),
    (page) =>
      attempt("journal", () =>
        trx.executeQuery(CompiledQuery.raw(insertAll, [textOf(page.map(toRow))]))),
    { discard: true },
  );

/** A move of one user's usage. Bytes and files, signed. */
type Usage = Omit<QuotaDelta, "username">;

/** Puts the changes of each user's usage into one. */
export const sumUsage = (deltas: Iterable<QuotaDelta>): Map<string, Usage> => {
  const sums = new Map<string, { bytes: number; files: number }>();
  for (const { username, bytes, files } of deltas) {
    if (!bytes && !files) continue;
    const sum = sums.get(username) ?? { bytes: 0, files: 0 };
    sum.bytes += bytes;
    sum.files += files;
    sums.set(username, sum);
  }
  return sums;
};

const most = Number.MAX_SAFE_INTEGER;
const moveUsage = `update users set
  used_quota_size = max(-${most}, min(${most}, used_quota_size + ?)),
  used_quota_files = max(-${most}, min(${most}, used_quota_files + ?)),
  last_quota_update = ? where username = ?`;
const moveFolderUsage = moveUsage.replace("update users", "update folders")
  .replace("where username", "where name");

/**
 * Moves a user's disk usage inside the caller's transaction. Threads bring their
 * changes in any order, so the row may be below zero until all have come: whoever
 * reads it takes that for nothing (user_rows.ts).
 */
export const applyUsage = (
  trx: Db,
  username: string,
  { bytes, files }: Usage,
  at: number,
): Effect.Effect<void, CatalogError> =>
  Effect.asVoid(
    attempt("journal", () =>
      trx.executeQuery(
        // A folder's account is `/name`, which no user can be called.
        username.startsWith("/")
          ? CompiledQuery.raw(moveFolderUsage, [bytes, files, at, username.slice(1)])
          : CompiledQuery.raw(moveUsage, [bytes, files, at, username]),
      )),
  );

/** Those of `intents` that an event has settled. */
export const settledAmong = (
  db: Db,
  intents: ReadonlyArray<string>,
): Effect.Effect<ReadonlySet<string>, CatalogError> =>
  Effect.map(
    Effect.forEach(
      inPages(intents, 500),
      (page) =>
        attempt("settled", () =>
          db.selectFrom("events").select("intent").where("intent", "in", page).execute()),
    ),
    (pages) =>
      new Set(pages.flat().map((row) => row.intent ?? "")),
  );

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

const toRow = ({ event, at, intent }: Written) => {
  const { action, status, username, ip, session_id, virtual_path, virtual_target_path, ...rest } =
    event;
  return [
    at,
    kindOf(action),
    action,
    status,
    username,
    ip ?? "",
    session_id ?? "",
    virtual_path ?? "",
    virtual_target_path ?? "",
    JSON.stringify(rest),
    intent ?? null,
  ];
};

/** As JSON that SQLite reads back whole: it ends a text at a NUL, and keeps half a surrogate pair as it is. */
const textOf = (rows: ReadonlyArray<ReadonlyArray<string | number | null>>): string => {
  const text = JSON.stringify(rows);
  if (!/\\u(?:0000|d[89a-f])/.test(text)) return text;
  const clean = (value: string | number | null) =>
    typeof value === "string" ? value.toWellFormed().replaceAll("\0", "\ufffd") : value;
  return JSON.stringify(rows.map((row) => row.map(clean)));
};

const toEvent = (row: Omit<EventsTable, "id" | "intent"> & { readonly id: number }): Event => ({
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
