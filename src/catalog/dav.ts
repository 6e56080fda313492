import { Clock, Effect, Layer } from "effect";
import { type RawBuilder, sql } from "kysely";
import {
  DavState,
  type DeadProperty,
  type Lock,
  type NewLock,
  type PropertyChange,
} from "../dav/state.ts";
import type { CatalogError } from "../errors.ts";
import { Journal } from "../events/journal.ts";
import { isWithin, type VPath } from "../vpath.ts";
import { attempt, Database, type Db, whenFree, Writer } from "./database.ts";
import { exact } from "./rows.ts";

/** What one user may have at a time. */
const MAX_LOCKS = 1000;
const MAX_PROPERTY_BYTES = 4 * 1024 * 1024;
/** What a property takes besides its text. */
const ROW_BYTES = 64;
/** Milliseconds that a user is known to have nothing, where no other node writes. */
const KNOWN_EMPTY = 1000;
const MOST_KNOWN = 10_000;
/** Milliseconds that a claim stands: longer than a commit takes. */
const CLAIMED = 2000;

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

const rows = <A>(op: string, db: Db, query: RawBuilder<A>) =>
  Effect.map(attempt(op, () => query.execute(db)), (result) => result.rows);

const covers = (lock: Lock, path: VPath) =>
  lock.deep ? isWithin(lock.path, path) : lock.path === path;

/**
 * {@linkcode DavState} in the catalog. Whether a user has anything at all is
 * remembered for a moment, so that whoever never locks costs no query; on a
 * database that other nodes write to, every question is asked anew.
 */
export const davLayer: Layer.Layer<DavState, never, Database | Writer | Journal> = Layer.effect(
  DavState,
  Effect.gen(function* () {
    const { read, node } = yield* Database;
    const { transact } = yield* Writer;
    const journal = yield* Journal;
    const knownFor = node === "local" ? KNOWN_EMPTY : 0;
    /** Who has nothing, and until when that is believed. */
    const empty = new Map<string, number>();
    let writes = 0;
    /** Versions that are being replaced, oldest first, and until when. */
    const claims = new Map<string, number>();

    const hasNothing = (owner: string): Effect.Effect<boolean, CatalogError> =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis;
        const until = empty.get(owner) ?? 0;
        if (until > now && until <= now + knownFor) return true;
        const before = writes;
        const [row] = yield* whenFree(rows(
          "locks",
          read,
          sql<{ some: number }>`select exists(select 1 from dav_locks where owner = ${owner})
            or exists(select 1 from dav_properties where owner = ${owner}) as some`,
        ));
        if (row?.some) return false;
        if (knownFor > 0 && before === writes) {
          if (empty.size >= MOST_KNOWN) empty.clear();
          empty.set(owner, now + knownFor);
        }
        return true;
      });
    const write = <A>(
      op: string,
      owner: string,
      work: (trx: Db, now: number) => Effect.Effect<A, CatalogError>,
    ) =>
      transact(op, (trx) => Effect.flatMap(Clock.currentTimeMillis, (now) => work(trx, now))).pipe(
        Effect.ensuring(Effect.sync(() => {
          writes++;
          empty.delete(owner);
        })),
      );

    return DavState.of({
      lock: (owner, wanted) =>
        Effect.andThen(
          journal.flush,
          write("lock", owner, (trx, now) => takeLock(trx, owner, wanted, now)),
        ),
      refresh: (owner, path, token, seconds) =>
        write("lock", owner, (trx, now) =>
          Effect.gen(function* () {
            const lock = (yield* locksOf(trx, owner, now)).find((one) => one.token === token);
            if (!lock || !covers(lock, path)) return undefined;
            const expires = now + seconds * 1000;
            yield* rows(
              "lock",
              trx,
              sql`update dav_locks set seconds = ${seconds}, expires = ${expires}
                where token = ${token}`,
            );
            return { ...lock, seconds, expires };
          })),
      unlock: (owner, path, token) =>
        write("unlock", owner, (trx, now) =>
          Effect.gen(function* () {
            const lock = (yield* locksOf(trx, owner, now)).find((one) => one.token === token);
            if (!lock || !covers(lock, path)) return false;
            yield* rows("unlock", trx, sql`delete from dav_locks where token = ${token}`);
            return true;
          })),
      locks: (owner, path, below) =>
        Effect.gen(function* () {
          if (yield* hasNothing(owner)) return [];
          const now = yield* Clock.currentTimeMillis;
          const all = yield* whenFree(locksOf(read, owner, now));
          return all.filter((lock) => covers(lock, path) || (below && isWithin(path, lock.path)));
        }),
      properties: (owner, path, children) =>
        Effect.gen(function* () {
          const found = new Map<VPath, DeadProperty[]>();
          if (yield* hasNothing(owner)) return found;
          for (const row of yield* whenFree(propertiesOf(read, owner, path, children))) {
            const list = found.get(row.path as VPath) ?? [];
            list.push({ ns: row.ns, name: row.name, value: row.value });
            found.set(row.path as VPath, list);
          }
          return found;
        }),
      change: (owner, path, changes) =>
        changes.length === 0 ? Effect.succeed(true) : Effect.andThen(
          journal.flush,
          write("properties", owner, (trx) => changeProperties(trx, owner, path, changes)),
        ),
      copied: (owner, from, to, deep) =>
        Effect.gen(function* () {
          if (yield* hasNothing(owner)) return;
          yield* journal.flush;
          yield* write("properties", owner, (trx) => copyProperties(trx, owner, from, to, deep));
        }),
      follow: (owner) =>
        Effect.flatMap(hasNothing(owner), (nothing) => nothing ? Effect.void : journal.flush),
      claim: (owner, path, version) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          for (const [key, until] of claims) {
            if (until > now) break;
            claims.delete(key);
          }
          const key = JSON.stringify([owner, path, version]);
          if (claims.has(key)) return false;
          claims.set(key, now + CLAIMED);
          return true;
        }),
      expire: Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis;
        // A write only where there is something to remove: an idle server leaves its disk alone.
        const over = yield* whenFree(
          rows("locks", read, sql`select 1 from dav_locks where expires <= ${now} limit 1`),
        );
        if (over.length === 0) return 0;
        return yield* transact("locks", (trx) =>
          Effect.map(
            rows("locks", trx, sql`delete from dav_locks where expires <= ${now} returning token`),
            (gone) => gone.length,
          ));
      }),
    });
  }),
);

const locksOf = (db: Db, owner: string, now: number) =>
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

const takeLock = (trx: Db, owner: string, wanted: NewLock, now: number) =>
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

const propertiesOf = (db: Db, owner: string, path: VPath, children: boolean) => {
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

const changeProperties = (
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

/** What would be too much is left out: the copy itself is made by then. */
const copyProperties = (trx: Db, owner: string, from: VPath, to: VPath, deep: boolean) =>
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
