import { Cause, Deferred, Effect, Exit, Layer, Option, Queue } from "effect";
import {
  attempt,
  Database,
  type Db,
  inSavepoint,
  whenFree,
  Writer,
} from "../src/catalog/database.ts";
import { CatalogError } from "../src/errors.ts";
import { endProcess, fault } from "../src/failpoint.ts";
import { supervise } from "./supervisor.ts";

interface Request {
  readonly op: string;
  readonly work: (trx: Db) => Effect.Effect<unknown, CatalogError>;
  readonly reply: Deferred.Deferred<unknown, CatalogError>;
}

/** Requests that may wait; a caller beyond that waits to be let in. */
const capacity = 1024;
/** Requests in one transaction. Local calls block the event loop, so this bounds the pause. */
const most = 64;

/**
 * The one fiber that writes to the catalog.
 *
 * Everything queued at a moment goes into one transaction, each request behind
 * a savepoint of its own, and all are answered after the commit. Closing the
 * scope commits what is queued and then refuses newcomers with Unavailable.
 */
export const writerLayer: Layer.Layer<Writer, never, Database> = Layer.scoped(
  Writer,
  Effect.gen(function* () {
    const { write } = yield* Database;
    const box = yield* Queue.bounded<Request>(capacity);
    const waiting = new Set<Request>();
    let open = true;
    const answer = (batch: ReadonlyArray<Request>, exit: Exit.Exit<Results, CatalogError>) =>
      Effect.forEach(batch, (request, i) =>
        Deferred.done(
          request.reply,
          Exit.matchEffect(exit, {
            // A defect here is the writer's own; those of `work` are among the results.
            onFailure: (cause) =>
              Exit.fail(Option.getOrElse(Cause.failureOption(cause), () => stopped(request.op))),
            onSuccess: (results) => results[i] ?? Exit.fail(stopped(request.op)),
          }) as Exit.Exit<unknown, CatalogError>,
        ), { discard: true });

    const turn = Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(restore(Queue.takeBetween(box, 1, most)), (chunk) => {
        const batch = [...chunk];
        return restore(whenFree(transaction(write, batch))).pipe(
          Effect.onExit((exit) => answer(batch, exit)),
          // Whoever asked has been told.
          Effect.ignore,
        );
      })
    );
    const refuse = Effect.suspend(() => {
      open = false;
      return Effect.forEach([...waiting], (r) => Deferred.fail(r.reply, stopped(r.op)), {
        discard: true,
      });
    });
    const gone = yield* Deferred.make<never, CatalogError>();
    const giveUp = (who: string, cause: Cause.Cause<unknown>) =>
      Effect.andThen(
        Effect.logFatal(`${who} has given up`, cause),
        Deferred.fail(gone, stopped(who)),
      );
    const strategy = { restart: "permanent", max: 10, within: "1 minute" } as const;
    yield* supervise("writer", strategy, Effect.forever(turn)).pipe(
      Effect.catchAllCause((cause) => giveUp("the catalog writer", cause)),
      Effect.ensuring(refuse),
      Effect.forkScoped,
    );

    const transact = <A>(op: string, work: (trx: Db) => Effect.Effect<A, CatalogError>) =>
      Effect.gen(function* () {
        if (!open) return yield* stopped(op);
        const reply = yield* Deferred.make<unknown, CatalogError>();
        const request = { op, work, reply };
        waiting.add(request);
        const done = Effect.andThen(Queue.offer(box, request), Deferred.await(reply));
        return (yield* Effect.ensuring(
          Effect.raceFirst(done, Deferred.await(reply)),
          Effect.sync(() => waiting.delete(request)),
        )) as A;
      });
    // Runs before the fiber above is stopped: what is queued gets its transaction.
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() =>
        open
          ? Effect.ignore(Effect.interruptible(transact("close", () => Effect.void)))
          : Effect.void
      )
    );
    return Writer.of({ transact, lost: Deferred.await(gone), giveUp });
  }),
);

const stopped = (op: string) =>
  new CatalogError({ reason: "Unavailable", op, detail: "the catalog is closed" });

type Results = ReadonlyArray<Exit.Exit<unknown, CatalogError>>;

/** Fails as a whole only when the transaction itself did, or the database was busy. */
const transaction = (
  db: Db,
  batch: ReadonlyArray<Request>,
): Effect.Effect<Results, CatalogError> =>
  Effect.uninterruptible(Effect.gen(function* () {
    const trx = yield* attempt("begin", () => db.startTransaction().execute());
    const body = Effect.forEach(batch, (request) => guarded(trx, request, batch.length > 1));
    const rollback = Effect.ignore(attempt("rollback", () => trx.rollback().execute()));
    const results = yield* Effect.onError(body, () => rollback);
    if (results.every(Exit.isFailure)) {
      yield* rollback;
      return results;
    }
    const acted = fault("catalog.commit");
    if (acted === "kill") endProcess();
    if (acted) yield* rollback;
    if (acted === "die") return yield* Effect.die("failpoint catalog.commit");
    if (acted === "fail") return yield* stopped("commit");
    yield* Effect.onError(attempt("commit", () => trx.commit().execute()), () => rollback);
    return results;
  }));

/** A request alone in its transaction needs no savepoint. A busy database fails the whole batch, to be tried again. */
const guarded = (trx: Db, { work }: Request, shared: boolean) =>
  Effect.gen(function* () {
    const exit = yield* shared ? inSavepoint(trx, work(trx)) : Effect.exit(work(trx));
    const failure = Exit.isFailure(exit) ? Cause.failureOption(exit.cause) : Option.none();
    if (Option.isSome(failure) && failure.value.reason === "Busy") return yield* failure.value;
    return exit;
  });
