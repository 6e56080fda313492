import { Clock, Context, Effect, Layer } from "effect";
import { CatalogError } from "../errors.ts";
import { canonicalAddress } from "../guard/address.ts";
import type { IpListEntry, IpListType } from "../model/ip_list.ts";
import { recordChange } from "./accounts.ts";
import type { Executor } from "./catalog.ts";
import { attempt, Database, type Db, whenFree, Writer } from "./database.ts";
import { checked, decodeEntry, notListed, spelled } from "./ip_list_rows.ts";
import { exact } from "./rows.ts";

/** An address as the defender sees it (API-V2.md, DefenderEntry). Times are Unix milliseconds. */
export interface DefenderHost {
  readonly ip: string;
  /** 0 while it is banned (BEHAVIOUR DEF-04). */
  readonly score: number;
  /** The end of the ban; 0 for none. */
  readonly until: number;
}

/** All that admission goes by, as of one moment. */
export interface GuardSnapshot {
  readonly version: number;
  readonly entries: ReadonlyArray<IpListEntry>;
  readonly bans: ReadonlyArray<{ readonly ip: string; readonly until: number }>;
}

/** When points add up to a ban. Milliseconds. */
export interface BanRule {
  readonly threshold: number;
  readonly observed: number;
  readonly banned: number;
}

/** IP lists, and what the defender remembers: the same for all nodes, and after a restart. */
export class GuardStore extends Context.Tag("sluice/GuardStore")<GuardStore, {
  /** Grows with each change of lists or bans, by whatever node. */
  readonly version: Effect.Effect<number, CatalogError>;
  readonly snapshot: (now: number) => Effect.Effect<GuardSnapshot, CatalogError>;
  readonly listEntries: (page: {
    readonly type: IpListType;
    readonly limit: number;
    /** Entries behind this one; empty for the first page. */
    readonly from: string;
  }) => Effect.Effect<ReadonlyArray<IpListEntry>, CatalogError>;
  /** Undefined when it is not listed. Fails with Invalid for what is no address. */
  readonly findEntry: (
    type: IpListType,
    ipornet: string,
  ) => Effect.Effect<IpListEntry | undefined, CatalogError>;
  /** Fails with Duplicate or Invalid. */
  readonly addEntry: (entry: IpListEntry, by: Executor) => Effect.Effect<IpListEntry, CatalogError>;
  readonly updateEntry: (
    entry: IpListEntry,
    by: Executor,
  ) => Effect.Effect<IpListEntry, CatalogError>;
  readonly removeEntry: (
    type: IpListType,
    ipornet: string,
    by: Executor,
  ) => Effect.Effect<void, CatalogError>;
  /** Adds points to an address; answers the end of the ban that this made, if it did. Exact over all nodes. */
  readonly score: (
    ip: string,
    points: number,
    rule: BanRule,
  ) => Effect.Effect<number | undefined, CatalogError>;
  /** Moves ends of bans further away; never nearer. */
  readonly extend: (
    bans: ReadonlyArray<{ readonly ip: string; readonly until: number }>,
  ) => Effect.Effect<void, CatalogError>;
  readonly hosts: (since: number) => Effect.Effect<ReadonlyArray<DefenderHost>, CatalogError>;
  /** Forgets points and ban; false when there was nothing. */
  readonly pardon: (ip: string) => Effect.Effect<boolean, CatalogError>;
  /**
   * Keeps `most` addresses with points and as many bans (BEHAVIOUR DEF-08): the
   * points that are oldest go first, and the bans that end soonest. Answers
   * whether a ban went.
   */
  readonly trim: (most: number) => Effect.Effect<boolean, CatalogError>;
  /** Drops points from before `since` and bans that are over. */
  readonly prune: (since: number) => Effect.Effect<void, CatalogError>;
}>() {}

/** Tells every node that what it has read of lists and bans is old. */
export const bump = (trx: Db) =>
  attempt(
    "guard change",
    () =>
      trx.updateTable("guard_changes").set((eb) => ({ version: eb("version", "+", 1) }))
        .where("id", "=", 1).execute(),
  );

/** The store in the catalog's database. */
export const guardStoreLayer: Layer.Layer<GuardStore, never, Database | Writer> = Layer.effect(
  GuardStore,
  Effect.gen(function* () {
    const { read } = yield* Database;
    const { transact } = yield* Writer;
    const changed = (
      trx: Db,
      action: "add" | "update" | "delete",
      name: string,
      by: Executor,
      now: number,
    ) =>
      Effect.andThen(
        bump(trx),
        recordChange(trx, action, { type: "ip_list_entry", name }, by, now),
      );
    const version = Effect.map(
      attempt(
        "guard version",
        () => read.selectFrom("guard_changes").select("version").executeTakeFirst(),
      ),
      (row) => exact(row?.version ?? 0),
    );

    return GuardStore.of({
      version: whenFree(version),
      snapshot: (now) =>
        whenFree(Effect.gen(function* () {
          // Before what it speaks of: a change meanwhile is read again.
          const seen = yield* version;
          const rows = yield* attempt("read lists", () =>
            read.selectFrom("ip_lists").selectAll().execute());
          const entries = yield* Effect.forEach(rows, decodeEntry);
          const bans = yield* attempt("read bans", () =>
            read.selectFrom("defender_bans").selectAll().where("until", ">", now).execute());
          return { version: seen, entries, bans };
        })),
      listEntries: ({ type, limit, from }) =>
        whenFree(Effect.flatMap(
          attempt("list entries", () =>
            read.selectFrom("ip_lists").selectAll().where("type", "=", type)
              .where("ipornet", ">", from).orderBy("ipornet").limit(limit).execute()),
          (rows) =>
            Effect.forEach(rows, decodeEntry),
        )),
      findEntry: (type, ipornet) =>
        Effect.flatMap(spelled("find entry", ipornet), (key) =>
          whenFree(Effect.flatMap(
            attempt("find entry", () =>
              read.selectFrom("ip_lists").selectAll().where("type", "=", type)
                .where("ipornet", "=", key).executeTakeFirst()),
            (row) =>
              row ? decodeEntry(row) : Effect.succeed(undefined),
          ))),
      addEntry: (given, by) =>
        Effect.flatMap(
          checked("add entry", given),
          (good) =>
            transact("add entry", (trx) =>
              Effect.gen(function* () {
                const now = yield* Clock.currentTimeMillis;
                const entry = { ...good, created_at: now, updated_at: now };
                yield* Effect.mapError(
                  attempt("add entry", () => trx.insertInto("ip_lists").values(entry).execute()),
                  (error) =>
                    error.reason !== "Duplicate" ? error : new CatalogError({
                      reason: "Duplicate",
                      op: error.op,
                      detail: `ipornet: ${entry.ipornet} is in this list already`,
                    }),
                );
                yield* changed(trx, "add", entry.ipornet, by, now);
                return entry;
              })),
        ),
      updateEntry: (given, by) =>
        Effect.flatMap(
          checked("update entry", given),
          (good) =>
            transact("update entry", (trx) =>
              Effect.gen(function* () {
                const now = yield* Clock.currentTimeMillis;
                const { mode, protocols, description } = good;
                const row = yield* attempt("update entry", () =>
                  trx.updateTable("ip_lists")
                    .set({ mode, protocols, description, updated_at: now })
                    .where("type", "=", good.type).where("ipornet", "=", good.ipornet)
                    .returningAll().executeTakeFirst());
                if (!row) return yield* notListed("update entry", good.ipornet);
                yield* changed(trx, "update", good.ipornet, by, now);
                return yield* decodeEntry(row);
              })),
        ),
      removeEntry: (type, ipornet, by) =>
        Effect.flatMap(
          spelled("remove entry", ipornet),
          (key) =>
            transact("remove entry", (trx) =>
              Effect.gen(function* () {
                const now = yield* Clock.currentTimeMillis;
                const { numDeletedRows } = yield* attempt("remove entry", () =>
                  trx.deleteFrom("ip_lists").where("type", "=", type).where("ipornet", "=", key)
                    .executeTakeFirst());
                if (numDeletedRows === 0n) return yield* notListed("remove entry", key);
                yield* changed(trx, "delete", key, by, now);
              })),
        ),
      score: (ip, points, { threshold, observed, banned }) =>
        transact("defender score", (trx) =>
          Effect.gen(function* () {
            const now = yield* Clock.currentTimeMillis;
            yield* attempt("defender score", () =>
              trx.insertInto("defender_events").values({ ip, at: now, score: points }).execute());
            const row = yield* attempt("defender score", () =>
              trx.selectFrom("defender_events").where("ip", "=", ip).where(
                "at",
                ">",
                now - observed,
              )
                .select(({ fn }) =>
                  fn.sum<number>("score").as("sum")
                ).executeTakeFirst());
            if (Number(row?.sum ?? 0) < threshold) {
              return undefined;
            }
            const until = now + banned;
            yield* attempt("defender ban", () =>
              trx.insertInto("defender_bans").values({ ip, until })
                .onConflict((oc) =>
                  oc.column("ip").doUpdateSet({ until })
                ).execute());
            yield* attempt("defender ban", () =>
              trx.deleteFrom("defender_events").where("ip", "=", ip).execute());
            yield* bump(trx);
            return until;
          })),
      extend: (bans) =>
        transact("defender extend", (trx) =>
          Effect.gen(function* () {
            for (const { ip, until } of bans) {
              yield* attempt("defender extend", () =>
                trx.updateTable("defender_bans").set({ until }).where("ip", "=", ip)
                  .where("until", "<", until).execute());
            }
            yield* bump(trx);
          })),
      hosts: (since) =>
        whenFree(Effect.gen(function* () {
          const now = yield* Clock.currentTimeMillis;
          const bans = yield* attempt("list hosts", () =>
            read.selectFrom("defender_bans").selectAll().where("until", ">", now)
              .orderBy("ip").execute());
          const scores = yield* attempt("list hosts", () =>
            read.selectFrom("defender_events").where("at", ">", since).groupBy("ip").orderBy("ip")
              .select("ip").select(({ fn }) =>
                fn.sum<number>("score").as("score")
              ).execute());
          const banned = new Set(bans.map(({ ip }) =>
            ip
          ));
          return [
            ...bans.map(({ ip, until }) => ({ ip, score: 0, until: exact(until) })),
            ...scores.filter(({ ip }) =>
              !banned.has(ip)
            )
              .map(({ ip, score }) => ({ ip, score: Number(score), until: 0 })),
          ];
        })),
      pardon: (raw) =>
        transact("defender pardon", (trx) =>
          Effect.gen(function* () {
            const ip = canonicalAddress(raw);
            const bans = yield* attempt(
              "defender pardon",
              () => trx.deleteFrom("defender_bans").where("ip", "=", ip).executeTakeFirst(),
            );
            const events = yield* attempt(
              "defender pardon",
              () => trx.deleteFrom("defender_events").where("ip", "=", ip).executeTakeFirst(),
            );
            yield* bump(trx);
            return bans.numDeletedRows + events.numDeletedRows > 0n;
          })),
      trim: (most) =>
        transact("defender trim", (trx) =>
          Effect.gen(function* () {
            yield* attempt("defender trim", () =>
              trx.deleteFrom("defender_events").where("ip", "in", (eb) =>
                eb.selectFrom("defender_events").select("ip").groupBy("ip")
                  .orderBy(({ fn }) => fn.max("at"), "desc").limit(-1).offset(most)).execute());
            const { numDeletedRows } = yield* attempt("defender trim", () =>
              trx.deleteFrom("defender_bans").where("ip", "in", (eb) =>
                eb.selectFrom("defender_bans").select("ip")
                  .orderBy("until", "desc").limit(-1).offset(most)).executeTakeFirst());
            if (numDeletedRows > 0n) {
              yield* bump(trx);
            }
            return numDeletedRows > 0n;
          })),
      prune: (since) =>
        transact("defender prune", (trx) =>
          Effect.gen(function* () {
            const now = yield* Clock.currentTimeMillis;
            yield* attempt(
              "defender prune",
              () => trx.deleteFrom("defender_events").where("at", "<=", since).execute(),
            );
            yield* attempt(
              "defender prune",
              () => trx.deleteFrom("defender_bans").where("until", "<=", now).execute(),
            );
          })),
    });
  }),
);
