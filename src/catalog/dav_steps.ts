import { Effect } from "effect";
import { type RawBuilder, sql } from "kysely";
import {
  covers,
  type DeadProperty,
  type Lock,
  type NewLock,
  type PropertyChange,
} from "../dav/state.ts";
import { isWithin, type VPath } from "../vpath.ts";
import { attempt, type Db } from "./database.ts";
import { exact } from "./rows.ts";

/** What one user may have at a time. */
const MAX_LOCKS = 1000;
const MAX_PROPERTY_BYTES = 4 * 1024 * 1024;
/** What a property takes besides its text. */
const ROW_BYTES = 64;
interface LockRow {
  readonly token: string;
  readonly path: string;
  readonly deep: number;
  readonly exclusive: number;
  readonly seconds: number;
  readonly expires: number;
  readonly contact: string;
}
interface PropertyRow extends DeadProperty {
  readonly path: string;
}

/** Runs one query and answers its rows. */
export const rows = <A>(op: string, db: Db, query: RawBuilder<A>) =>
  Effect.map(attempt(op, () => query.execute(db)), (result) => result.rows);

/** The locks of one user that are not over. */
export const locksOf = (db: Db, owner: string, now: number) =>
  Effect.map(
    rows(
      "locks",
      db,
      sql<LockRow>`select token, path, deep, exclusive, seconds, expires, contact
        from dav_locks where owner = ${owner} and expires > ${now}`,
    ),
    (found) =>
      found.map((row): Lock => ({
        token: row.token,
        path: row.path as VPath,
        deep: row.deep !== 0,
        exclusive: row.exclusive !== 0,
        owner: row.contact,
        seconds: exact(row.seconds),
        expires: exact(row.expires),
      })),
  );

/** Inserts a lock unless another stands against it, or there are too many. */
export const takeLock = (trx: Db, owner: string, wanted: NewLock, now: number) =>
  Effect.gen(function* () {
    yield* rows(
      "lock",
      trx,
      sql`delete from dav_locks where owner = ${owner} and expires <= ${now}`,
    );
    const all = yield* locksOf(trx, owner, now);
    const by = all.find((other) =>
      (wanted.exclusive || other.exclusive) &&
      (covers(other, wanted.path) || (wanted.deep && isWithin(wanted.path, other.path)))
    );
    if (by) return { refusal: "conflict" as const, by };
    if (all.length >= MAX_LOCKS) return { refusal: "too_many" as const };
    const token = `urn:uuid:${crypto.randomUUID()}`;
    const lock: Lock = { ...wanted, token, expires: now + wanted.seconds * 1000 };
    yield* rows(
      "lock",
      trx,
      sql`insert into dav_locks (token, owner, path, deep, exclusive, seconds, expires, contact)
        values (${token}, ${owner}, ${lock.path}, ${Number(lock.deep)}, ${Number(lock.exclusive)},
          ${lock.seconds}, ${lock.expires}, ${lock.owner})`,
    );
    return { lock };
  });

/** At or below a path; below alone for the children. */
const within = (path: VPath) => {
  const inside = path === "/" ? "/" : `${path}/`;
  const after = `${path === "/" ? "" : path}0`;
  return sql`(path = ${path} or (path >= ${inside} and path < ${after}))`;
};

/** Dead properties of a path, and of its children where `children`. */
export const propertiesOf = (db: Db, owner: string, path: VPath, children: boolean) => {
  const inside = path === "/" ? "/" : `${path}/`;
  const after = `${path === "/" ? "" : path}0`;
  const where = children
    ? sql`(path = ${path} or (path > ${inside} and path < ${after}
        and instr(substr(path, ${[...inside].length + 1}), '/') = 0))`
    : sql`path = ${path}`;
  return rows(
    "properties",
    db,
    sql<PropertyRow>`select path, ns, name, value from dav_properties
      where owner = ${owner} and ${where}`,
  );
};

const bytesOf = (trx: Db, owner: string) =>
  Effect.map(
    rows(
      "properties",
      trx,
      sql<{ n: number }>`select coalesce(sum(bytes), 0) as n from dav_properties
        where owner = ${owner}`,
    ),
    ([row]) => exact(row?.n ?? 0),
  );

/** Makes all changes of one PROPPATCH, or none and answers false where they are too much. */
export const changeProperties = (
  trx: Db,
  owner: string,
  path: VPath,
  changes: ReadonlyArray<PropertyChange>,
) =>
  Effect.gen(function* () {
    const stored = yield* propertiesOf(trx, owner, path, false);
    const key = (p: { readonly ns: string; readonly name: string }) => `${p.name} ${p.ns}`;
    const list = new Map(stored.map((p) => [key(p), p.value]));
    const taken = (of: ReadonlyMap<string, string>) =>
      [...of].reduce((sum, [name, value]) => sum + ROW_BYTES + name.length + value.length, 0);
    const before = taken(list);
    for (const change of changes) {
      if (change.value === undefined) list.delete(key(change));
      else list.set(key(change), change.value);
    }
    const grows = taken(list) - before;
    if (grows > 0 && (yield* bytesOf(trx, owner)) + grows > MAX_PROPERTY_BYTES) return false;
    for (const { ns, name, value } of changes) {
      yield* rows(
        "properties",
        trx,
        value === undefined
          ? sql`delete from dav_properties
              where owner = ${owner} and path = ${path} and ns = ${ns} and name = ${name}`
          : sql`insert or replace into dav_properties (owner, path, ns, name, bytes, value)
              values (${owner}, ${path}, ${ns}, ${name},
                ${ROW_BYTES + ns.length + 1 + name.length + value.length}, ${value})`,
      );
    }
    return true;
  });

/** Gives a copy its properties. What would be too much is left out: the copy itself is made by then. */
export const copyProperties = (trx: Db, owner: string, from: VPath, to: VPath, deep: boolean) =>
  Effect.gen(function* () {
    yield* rows(
      "properties",
      trx,
      sql`delete from dav_properties where owner = ${owner} and ${within(to)}`,
    );
    const source = sql`owner = ${owner} and ${deep ? within(from) : sql`path = ${from}`}`;
    const [row] = yield* rows(
      "properties",
      trx,
      sql<{ n: number }>`select coalesce(sum(bytes), 0) as n from dav_properties where ${source}`,
    );
    const wanted = exact(row?.n ?? 0);
    if (wanted === 0 || (yield* bytesOf(trx, owner)) + wanted > MAX_PROPERTY_BYTES) return;
    yield* rows(
      "properties",
      trx,
      sql`insert into dav_properties (owner, path, ns, name, bytes, value)
        select owner, ${to} || substr(path, ${[...from].length + 1}), ns, name, bytes, value
        from dav_properties where ${source}`,
    );
  });
