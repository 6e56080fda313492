import { Clock, Effect } from "effect";
import { Config } from "../../config/config.ts";
import { CatalogError } from "../../errors.ts";
import { Passwords } from "../../identity/passwords.ts";
import { MasterKey } from "../../identity/sealed.ts";
import type { Executor } from "../catalog.ts";
import { attempt, Database, type Db, whenFree, Writer } from "../database.ts";
import { type Ground, keyOf, type Prepared } from "./part.ts";
import { apply, type Plan, plan, storedRows } from "./plan.ts";
import { lostReferences, parts, prepare } from "./prepare.ts";
import { type Change, type Scope, scopes as all } from "./shape.ts";

export interface LoadOptions {
  readonly scopes: ReadonlyArray<Scope>;
  /** 0 and 2 add and update; 1 adds only. What follows for sessions in mode 2 is the caller's. */
  readonly mode: 0 | 1 | 2;
  /** Answers what a load would do, and does nothing. */
  readonly dryRun: boolean;
  readonly by: Executor;
}

/** Password hashes that are made at a time. */
const atOnce = 2;

/**
 * Loads a BackupData document: all of it in one transaction, or nothing of it
 * (BEHAVIOUR DB-11, DIS-20). What is in the catalog and not in the file stays.
 *
 * Usage, times and second factors of a known account are kept where the file has
 * none; a new one gets those of the file. Fails with Invalid, one line a problem,
 * each with its place in the file, and all of them.
 */
export const loadData = Effect.fn("loadData")(function* (json: unknown, options: LoadOptions) {
  const { dryRun, mode, by } = options;
  const scopes = all.filter((scope) => options.scopes.includes(scope));
  const { read, checkpoint } = yield* Database;
  const { transact } = yield* Writer;
  const now = yield* Clock.currentTimeMillis;
  const ground: Ground = {
    config: yield* Config,
    passwords: yield* Passwords,
    key: yield* MasterKey,
    now,
  };
  const file = prepare(json, scopes, ground);
  const lost = yield* whenFree(lostReferences(read, file));
  yield* refuse([...file.problems, ...lost]);
  const hashes = yield* hashesOf(read, file.prepared, dryRun, ground);
  const good = (db: Db, earlier?: Plan) =>
    Effect.tap(
      plan(db, file, { scopes, mode, hashes, ground }, earlier),
      ({ problems }) => refuse(problems),
    );
  const planned = yield* inSnapshot(read, good);
  if (dryRun) return changesOf(planned);
  const done = yield* transact(
    "load",
    (trx) => Effect.tap(good(trx, planned), (still) => apply(trx, still, by, now)),
  );
  yield* checkpoint;
  return changesOf(done);
});

/** What became of each object, and whose account has just been disabled. */
export interface Loaded {
  readonly changes: ReadonlyArray<Change>;
  readonly disabled: ReadonlyArray<string>;
}

const changesOf = ({ steps }: Plan): Loaded => ({
  changes: steps.map(({ scope, name, action, fields }) => ({ scope, name, action, fields })),
  disabled: steps.filter(({ scope, action, fields, row }) =>
    scope === "users" && action === "update" && fields.includes("status") && row["status"] === 0
  ).map(({ name }) => name),
});

const refuse = (problems: ReadonlyArray<string>) =>
  problems.length === 0 ? Effect.void : Effect.fail(
    new CatalogError({ reason: "Invalid", op: "load", detail: problems.join("\n") }),
  );

const inSnapshot = <A>(db: Db, work: (db: Db) => Effect.Effect<A, CatalogError>) =>
  Effect.acquireUseRelease(
    whenFree(attempt("load", () => db.startTransaction().setAccessMode("read only").execute())),
    work,
    (snapshot) => Effect.ignore(attempt("load", () => snapshot.rollback().execute())),
  );

/**
 * Hashes of the plain passwords, made before the transaction, which is to be
 * short. One that the account has already keeps its hash, so that loading a file
 * again changes nothing.
 */
const hashesOf = (
  db: Db,
  prepared: Readonly<Record<Scope, ReadonlyArray<Prepared>>>,
  dryRun: boolean,
  { passwords }: Ground,
) =>
  Effect.gen(function* () {
    const hashes = new Map<string, string>();
    for (const part of [parts.users, parts.admins]) {
      const list = prepared[part.scope].filter(({ plain }) => plain !== undefined);
      const stored = yield* whenFree(storedRows(db, part, list.map(({ row }) => row)));
      const hashOf = ({ plain = "", row }: Prepared) =>
        Effect.gen(function* () {
          const old = String(stored.get(keyOf(part, row))?.["password_hash"] ?? "");
          if (old !== "" && (yield* passwords.verify(old, plain)).ok) return old;
          return dryRun ? "a new one" : yield* passwords.hash(plain);
        });
      yield* Effect.forEach(
        list,
        (given) => Effect.map(hashOf(given), (hash) => hashes.set(given.place, hash)),
        { concurrency: atOnce, discard: true },
      );
    }
    return hashes;
  });
