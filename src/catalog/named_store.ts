import { Clock, Effect } from "effect";
import { Config, type Settings } from "../config/config.ts";
import type { CatalogError } from "../errors.ts";
import { canonicalName } from "../model/names.ts";
import { invalid } from "../model/problems.ts";
import { nameDuplicate, noSuch, recordChange } from "./accounts.ts";
import type { Named } from "./catalog.ts";
import { attempt, Database, type Db, whenFree, Writer } from "./database.ts";
import { inUse } from "./named_rows.ts";

/** What tells one kind of named objects from the other. `A` is also what creates or replaces one. */
export interface Kind<A extends { readonly name: string }> {
  readonly type: "folder" | "group";
  readonly table: "folders" | "groups";
  /** Its stored form, and everything wrong with it. */
  readonly check: (
    input: A,
    config: Settings,
  ) => { readonly object: A; readonly problems: ReadonlyArray<string> };
  /** A problem for each thing it names that is not there. */
  readonly lost: (db: Db, object: A) => Effect.Effect<ReadonlyArray<string>, CatalogError>;
  /** The one of this name, with who refers to it. */
  readonly find: (db: Db, name: string) => Effect.Effect<A | undefined, CatalogError>;
  /** Who refers to it, by kind. */
  readonly holders: (found: A) => Readonly<Record<string, ReadonlyArray<string>>>;
  readonly insert: (trx: Db, object: A, now: number) => Promise<unknown>;
  readonly replace: (trx: Db, object: A, now: number) => Promise<unknown>;
}

/** Keeps one kind of named objects in the catalog's database. */
export const namedStore = <A extends { readonly name: string }>(
  { type, table, ...kind }: Kind<A>,
): Effect.Effect<Named<A>, never, Database | Writer | Config> =>
  Effect.gen(function* () {
    const { read, checkpoint } = yield* Database;
    const { transact } = yield* Writer;
    const config = yield* Config;
    const nameOf = (raw: string) => canonicalName(raw, config.data_provider.naming_rules);
    const service = type === "folder" ? "Folders" : "Groups";
    const ops = {
      list: `list ${table}`,
      add: `add ${type}`,
      update: `update ${type}`,
      remove: `remove ${type}`,
    };

    const require = (db: Db, op: string, name: string) =>
      Effect.flatMap(kind.find(db, name), (found) =>
        found === undefined ? Effect.fail(noSuch(op, type, name)) : Effect.succeed(found));
    const unlessAny = (op: string, problems: ReadonlyArray<string>) =>
      problems.length > 0 ? Effect.fail(invalid(op, problems)) : Effect.void;
    const prepare = (op: string, input: A) => {
      const { object, problems } = kind.check(input, config);
      return Effect.as(unlessAny(op, problems), object);
    };
    const allThere = (db: Db, op: string, object: A) =>
      Effect.flatMap(kind.lost(db, object), (problems) =>
        unlessAny(op, problems));

    return {
      find: Effect.fn(`${service}.find`)((name) => whenFree(kind.find(read, nameOf(name)))),
      list: Effect.fn(`${service}.list`)(function* ({ limit, offset, order }) {
        const rows = yield* whenFree(
          attempt(ops.list, () =>
            read.selectFrom(table).select("name")
              .orderBy("name", order === "DESC" ? "desc" : "asc").limit(limit).offset(offset)
              .execute()),
        );
        return yield* Effect.forEach(rows, ({ name }) => require(read, ops.list, name));
      }),
      add: Effect.fn(`${service}.add`)(function* (input, by) {
        const object = yield* prepare(ops.add, input);
        const { name } = object;
        const added = yield* transact(ops.add, (trx) =>
          Effect.gen(function* () {
            yield* allThere(trx, ops.add, object);
            const now = yield* Clock.currentTimeMillis;
            yield* attempt(ops.add, () => kind.insert(trx, object, now))
              .pipe(Effect.mapError(nameDuplicate(type, name)));
            yield* recordChange(trx, "add", { type, name }, by, now);
            return yield* require(trx, ops.add, name);
          }));
        yield* checkpoint;
        return added;
      }),
      update: Effect.fn(`${service}.update`)(function* (raw, input, by) {
        const name = nameOf(raw);
        const object = yield* prepare(ops.update, { ...input, name });
        const updated = yield* transact(ops.update, (trx) =>
          Effect.gen(function* () {
            yield* require(trx, ops.update, name);
            yield* allThere(trx, ops.update, object);
            const now = yield* Clock.currentTimeMillis;
            yield* attempt(ops.update, () => kind.replace(trx, object, now));
            yield* recordChange(trx, "update", { type, name }, by, now);
            return yield* require(trx, ops.update, name);
          }));
        yield* checkpoint;
        return updated;
      }),
      remove: Effect.fn(`${service}.remove`)(function* (raw, by) {
        const name = nameOf(raw);
        yield* transact(ops.remove, (trx) =>
          Effect.gen(function* () {
            const held = inUse(type, name, kind.holders(yield* require(trx, ops.remove, name)));
            if (held) return yield* held;
            yield* attempt(ops.remove, () =>
              trx.deleteFrom(table).where("name", "=", name).execute());
            const now = yield* Clock.currentTimeMillis;
            yield* recordChange(trx, "delete", { type, name }, by, now);
          }));
        yield* checkpoint;
      }),
    };
  });
