import { Clock, Effect, Layer } from "effect";
import { sql } from "kysely";
import { covers, DavState, type DeadProperty } from "../dav/state.ts";
import type { CatalogError } from "../errors.ts";
import { Journal } from "../events/journal.ts";
import { isWithin, type VPath } from "../vpath.ts";
import { Database, type Db, whenFree, Writer } from "./database.ts";
import {
  changeProperties,
  copyProperties,
  locksOf,
  propertiesOf,
  rows,
  takeLock,
} from "./dav_steps.ts";
import { monotonicMillis } from "../monotonic.ts";

/** Milliseconds that a user is known to have nothing, where no other node writes. */
const KNOWN_EMPTY = 1000;
const MOST_KNOWN = 10_000;
/** Milliseconds that a claim stands: longer than a commit takes. */
const CLAIMED = 2000;

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
        const now = yield* monotonicMillis;
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
        Effect.map(monotonicMillis, (now) => {
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
