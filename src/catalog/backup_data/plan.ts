import { Effect } from "effect";
import { CompiledQuery } from "kysely";
import type { CatalogError } from "../../errors.ts";
import { insertEvents } from "../../events/store.ts";
import { changeEvent } from "../accounts.ts";
import type { Executor } from "../catalog.ts";
import { attempt, type Db } from "../database.ts";
import { bump } from "../guard.ts";
import {
  changedFields,
  docOf,
  type Ground,
  keyOf,
  type Part,
  type Prepared,
  type Row,
} from "./part.ts";
import { type File, lostReferences, parts } from "./prepare.ts";
import type { Change, Scope } from "./shape.ts";

/** Rows to look up, or to write, in one statement. */
const pageSize = 500;
/** Characters of them. */
const pageText = 4 * 1024 * 1024;

/** What a load does with one object. */
interface Step extends Change {
  /** The row as it is to be. */
  readonly row: Row;
  /** The row as it was when this was found out. */
  readonly old: Row | undefined;
  readonly problem?: string;
}

/** What a load does, object by object. */
export interface Plan {
  readonly steps: ReadonlyArray<Step>;
  readonly problems: ReadonlyArray<string>;
}

export interface PlanOptions {
  readonly scopes: ReadonlyArray<Scope>;
  /** 1: what is there stays as it is. */
  readonly mode: 0 | 1 | 2;
  /** Hashes of the plain passwords, by place. */
  readonly hashes: ReadonlyMap<string, string>;
  readonly ground: Ground;
}

/**
 * Compares a good file with what `db` holds at this moment. Changes nothing.
 *
 * Comparing is most of the work. Given an `earlier` plan of the same file only
 * rows that have changed since are compared, so that a transaction is short.
 */
export const plan = (
  db: Db,
  file: Omit<File, "problems">,
  { scopes, mode, hashes, ground }: PlanOptions,
  earlier?: Plan,
): Effect.Effect<Plan, CatalogError> =>
  Effect.gen(function* () {
    const steps: Step[] = [];
    const stepOf = (part: Part, given: Prepared, old: Row | undefined) =>
      Effect.gen(function* () {
        const { scope } = part;
        const { name, place } = given;
        if (old && mode === 1) return { scope, name, action: "skip", fields: [], row: old, old };
        const row = part.merge(given, old, hashes.get(place) ?? "", ground);
        if (!old) {
          const lacking = part.lacking(row);
          const problem = lacking === undefined ? {} : { problem: `${place}.${lacking}` };
          return { scope, name, action: "add", fields: [], row, old, ...problem };
        }
        const fields = yield* differences(part, old, row);
        return { scope, name, action: fields.length === 0 ? "same" : "update", fields, row, old };
      }) as Effect.Effect<Step, CatalogError>;
    for (const scope of scopes) {
      const part = parts[scope];
      const list = file.prepared[scope];
      const stored = yield* storedRows(db, part, list.map(({ row }) => row));
      for (const given of list) {
        const old = stored.get(keyOf(part, given.row));
        const known = earlier?.steps[steps.length];
        steps.push(known && sameRow(known.old, old) ? known : yield* stepOf(part, given, old));
      }
    }
    const lost = yield* lostReferences(db, file);
    return { steps, problems: [...lost, ...steps.flatMap(({ problem }) => problem ?? [])] };
  });

const sameRow = (one: Row | undefined, other: Row | undefined): boolean =>
  one === undefined || other === undefined
    ? one === other
    : Object.keys(one).every((column) => one[column] === other[column]);

/** Reading a row against its schema costs much more than comparing it, and most are the same. */
const differences = (
  part: Part,
  old: Row,
  row: Row,
): Effect.Effect<ReadonlyArray<string>, CatalogError> => {
  const now = docOf(part, row);
  return changedFields(docOf(part, old), now).length === 0 ? Effect.succeed([]) : Effect.map(
    part.canonical(old),
    (canonical) => changedFields(docOf(part, canonical), now),
  );
};

/** The rows that are there already, by key. */
export const storedRows = (
  db: Db,
  part: Part,
  rows: ReadonlyArray<Row>,
): Effect.Effect<ReadonlyMap<string, Row>, CatalogError> =>
  Effect.gen(function* () {
    const found = new Map<string, Row>();
    const [key = ""] = part.keys.slice(-1);
    const query = `select * from ${quote(part.scope)} where ${quote(key)} in
      (select value from json_each(?))`;
    for (let at = 0; at < rows.length; at += pageSize) {
      const names = rows.slice(at, at + pageSize).map((row) => row[key]);
      const page = yield* attempt("read stored", () =>
        db.executeQuery<Row>(CompiledQuery.raw(query, [JSON.stringify(names)])));
      for (const row of page.rows) {
        found.set(keyOf(part, row), row);
      }
    }
    return found;
  });

/** Writes what a plan adds and updates, with an event for each. */
export const apply = (
  trx: Db,
  { steps }: Plan,
  by: Executor,
  now: number,
): Effect.Effect<void, CatalogError> =>
  Effect.gen(function* () {
    const writes = steps.flatMap(({ action, ...step }) =>
      action === "add" || action === "update" ? [{ action, ...step }] : []
    );
    for (const [scope, part] of Object.entries(parts)) {
      const rows = writes.filter((step) => step.scope === scope).map(({ row }) => row);
      yield* upsert(trx, part, rows);
      if (scope === "ip_lists" && rows.length > 0) yield* bump(trx);
    }
    yield* insertEvents(
      trx,
      writes.map(({ action, scope, row }) => {
        const { type, keys } = parts[scope];
        const name = String(row[keys.at(-1) ?? ""]);
        return { event: changeEvent(action, { type, name }, by), at: now };
      }),
    );
  });

const upsert = (
  trx: Db,
  part: Part,
  rows: ReadonlyArray<Row>,
): Effect.Effect<void, CatalogError> => {
  const columns = Object.keys(rows[0] ?? {});
  const text = `insert into ${quote(part.scope)} (${columns.map(quote).join(", ")})
    select ${columns.map((_, i) => `value->>${i}`).join(", ")} from json_each(?) where true
    on conflict (${part.keys.map(quote).join(", ")}) do update set
    ${part.changeable.map((name) => `${quote(name)} = excluded.${quote(name)}`).join(", ")}`;
  return Effect.forEach(
    pagesOf(rows.map((row) => JSON.stringify(columns.map((column) => row[column])))),
    (page) =>
      attempt("load", () => trx.executeQuery(CompiledQuery.raw(text, [`[${page.join(",")}]`]))),
    { discard: true },
  );
};

function* pagesOf(rows: ReadonlyArray<string>): Generator<ReadonlyArray<string>> {
  let page: string[] = [];
  let size = 0;
  for (const row of rows) {
    if (page.length === pageSize || (page.length > 0 && size + row.length > pageText)) {
      yield page;
      [page, size] = [[], 0];
    }
    page.push(row);
    size += row.length;
  }
  if (page.length > 0) yield page;
}

const quote = (name: string): string => `"${name}"`;
