import { type Cause, Context, Effect, Either, Exit, Random } from "effect";
import { type Kysely, type RawBuilder, sql } from "kysely";
import { CatalogError } from "../errors.ts";
import type { Tables } from "./rows.ts";
import { monotonicMillis } from "../monotonic.ts";

export type Db = Kysely<Tables>;

/** The open database. Only the writer actor may touch `write`. */
export class Database extends Context.Tag("sluice/Database")<Database, {
  /** For short indexed reads: never sees a transaction in progress. */
  readonly read: Db;
  readonly write: Db;
  /** Whose prepared operations are ours to settle after a restart. */
  readonly node: string;
  /** Moves the write-ahead log into the main file, as far as readers let it. */
  readonly checkpoint: Effect.Effect<void>;
}>() {}

/** The single owner of catalog writes. */
export class Writer extends Context.Tag("sluice/Writer")<Writer, {
  /**
   * Runs `work` in a transaction, shared with whatever else waits at that moment,
   * and answers when it is durable. A failure undoes this work only. `work` may
   * run more than once, so it changes nothing but the database.
   */
  readonly transact: <A>(
    op: string,
    work: (trx: Db) => Effect.Effect<A, CatalogError>,
  ) => Effect.Effect<A, CatalogError>;
  /**
   * Fails when the writer, or who depends on it to keep the record, has given
   * up after its restarts: nothing can be recorded any more, so the server must end.
   */
  readonly lost: Effect.Effect<never, CatalogError>;
  /** Reports that `who` has given up. */
  readonly giveUp: (who: string, cause: Cause.Cause<unknown>) => Effect.Effect<void>;
}>() {}

/** Runs one query. What the driver rejects with is a CatalogError already; this names the request. */
export const attempt = <A>(op: string, run: () => Promise<A>): Effect.Effect<A, CatalogError> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) =>
      cause instanceof CatalogError
        ? new CatalogError({ reason: cause.reason, op, detail: cause.detail, cause: cause.cause })
        : new CatalogError({ reason: "Invalid", op, detail: "the query is not valid", cause }),
  });

/** Runs `work` inside the transaction `trx` so that its failure undoes its own changes and no others. */
export const inSavepoint = <A>(
  trx: Db,
  work: Effect.Effect<A, CatalogError>,
): Effect.Effect<Exit.Exit<A, CatalogError>, CatalogError> =>
  Effect.gen(function* () {
    const run = (command: RawBuilder<unknown>) => attempt("savepoint", () => command.execute(trx));
    yield* run(sql`savepoint request`);
    const exit = yield* Effect.exit(work);
    if (Exit.isFailure(exit)) yield* run(sql`rollback to request`);
    yield* run(sql`release request`);
    return exit;
  });

/** How long another process may hold the database before a request fails with Busy, in milliseconds. */
const patience = 10_000;

/** Tries again, with growing jittered pauses, while another process holds the database. */
export const whenFree = <A>(
  work: Effect.Effect<A, CatalogError>,
): Effect.Effect<A, CatalogError> =>
  Effect.gen(function* () {
    const until = (yield* monotonicMillis) + patience;
    for (let pause = 4;; pause = Math.min(pause * 2, 200)) {
      const result = yield* Effect.either(work);
      if (Either.isRight(result)) return result.right;
      const late = (yield* monotonicMillis) >= until;
      if (result.left.reason !== "Busy" || late) return yield* result.left;
      yield* Effect.sleep(pause * (0.5 + (yield* Random.next)));
    }
  });
