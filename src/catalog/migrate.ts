import { Clock, Effect } from "effect";
import { CompiledQuery, sql } from "kysely";
import { CatalogError } from "../errors.ts";
import { attempt, type Db, whenFree } from "./database.ts";
import { accounts } from "./migrations/0001_accounts.ts";
import { journal } from "./migrations/0002_journal.ts";
import { groups } from "./migrations/0004_groups.ts";
import { settledIntents } from "./migrations/0003_settled_intents.ts";
import { guard } from "./migrations/0005_guard.ts";
import { dav } from "./migrations/0006_dav.ts";
import { resumable } from "./migrations/0007_resumable.ts";

/** One step of the schema. Never edited once released: a change is a new step. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly statements: ReadonlyArray<string>;
}

/** In order; versions are 1, 2, 3 ... */
export const migrations: ReadonlyArray<Migration> = [
  accounts,
  journal,
  settledIntents,
  groups,
  guard,
  dav,
  resumable,
];

/** The schema this program works with. */
export const currentVersion = migrations.length;

/** Version of an opened database; 0 when it has no schema yet. */
export const schemaVersion = (db: Db): Effect.Effect<number, CatalogError> =>
  Effect.gen(function* () {
    const tables = yield* attempt(
      "schema version",
      () =>
        sql<{ n: number }>`select count(*) as n from sqlite_master
        where type = 'table' and name = 'schema_version'`.execute(db),
    );
    if (!tables.rows[0]?.n) return 0;
    const row = yield* attempt(
      "schema version",
      () =>
        db.selectFrom("schema_version").select(({ fn }) => fn.max("version").as("version"))
          .executeTakeFirst(),
    );
    return row?.version ?? 0;
  });

/**
 * Brings the schema up to {@linkcode currentVersion}, each step in a transaction of its own.
 *
 * Safe to run again, and beside another process that does the same. Fails with
 * NewerSchema, and changes nothing, when a later program has used this database.
 */
export const migrate = (
  db: Db,
  steps: ReadonlyArray<Migration> = migrations,
): Effect.Effect<number, CatalogError> =>
  Effect.gen(function* () {
    for (const step of steps) {
      const found = yield* whenFree(schemaVersion(db));
      if (found > steps.length) {
        return yield* new CatalogError({
          reason: "NewerSchema",
          op: "open",
          detail: `the database has schema ${found} and this program knows ${steps.length}; ` +
            "start the newer program, or run `sluice restore` with a backup made by this one",
        });
      }
      if (found < step.version) yield* whenFree(apply(db, step));
    }
    return steps.length;
  });

const apply = (db: Db, step: Migration): Effect.Effect<void, CatalogError> =>
  Effect.uninterruptible(Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis;
    const trx = yield* attempt("migrate", () => db.startTransaction().execute());
    const run = (text: string) =>
      attempt(`migrate ${step.name}`, () => trx.executeQuery(CompiledQuery.raw(text)));
    const body = Effect.gen(function* () {
      yield* run(`create table if not exists schema_version (
        version integer primary key, name text not null, applied_at integer not null)`);
      // Another process may have done this step since we looked.
      if ((yield* schemaVersion(trx)) >= step.version) return;
      yield* Effect.forEach(step.statements, run, { discard: true });
      const row = { version: step.version, name: step.name, applied_at: now };
      yield* attempt(
        `migrate ${step.name}`,
        () => trx.insertInto("schema_version").values(row).execute(),
      );
    });
    yield* Effect.onError(
      body,
      () => Effect.ignore(attempt("migrate", () => trx.rollback().execute())),
    );
    yield* attempt("migrate", () => trx.commit().execute());
  }));
