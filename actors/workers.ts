import { Cause, Deferred, Duration, Effect, Exit, Option, Scope } from "effect";
import { atMost } from "../src/at_most.ts";
import { type Handlers, openPeer, type Peer, type PeerGone } from "./rpc.ts";
import { supervise } from "./supervisor.ts";

/** How often a worker is asked whether it lives, and how long it may be silent before it is ended. */
const PING_EVERY = "2 seconds";
const PATIENCE = "30 seconds";
/** Time that a worker gets to close its listeners and write what its journal holds. */
const STOP_LIMIT = "15 seconds";
/** A terminated thread may be inside a system call; its files are looked at after that. */
const LAST_CALL = "200 millis";

export interface WorkersOptions<E> {
  readonly count: number;
  /** Starts the thread of a worker. It calls `worker.hello`, then sends `worker.here`, then hears. */
  readonly spawn: (index: number) => Worker;
  /**
   * Runs before each start of a worker, once the services behind are ready; the
   * thread loads in the meantime. What the scope gives back is given back when
   * the worker has gone.
   */
  readonly prepare: (index: number) => Effect.Effect<Prepared, never, Scope.Scope>;
  /** How long a worker may be silent; half a minute unless told. */
  readonly patience?: Duration.DurationInput;
  /** Makes it serve; its failure while none serves yet is the failure of the whole. */
  readonly begin: (index: number, peer: Peer) => Effect.Effect<void, E | PeerGone, Scope.Scope>;
}

/** What one life of a worker starts with. */
export interface Prepared {
  /** What the worker may ask. */
  readonly handlers: Handlers;
  /** What it learns first. Plain data and shared memory. */
  readonly greeting: unknown;
}

export interface Workers<E> {
  /** Waits until one of them serves. */
  readonly begun: Effect.Effect<void, E>;
  /** How many serve now. */
  readonly serving: () => number;
}

/**
 * Runs `count` workers until the scope closes.
 *
 * A worker that dies, whatever of, or that does not answer for half a minute,
 * takes only its sessions: what it held is given back, and it is started again
 * with growing pauses for as long as the server lives.
 */
export const runWorkers = <E>(
  options: WorkersOptions<E>,
): Effect.Effect<Workers<E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const serving = new Set<number>();
    const closing = yield* Deferred.make<void>();
    const first = yield* Deferred.make<void, E>();
    // A thread that loads wants descriptors, and without one the runtime ends the whole process
    // (Deno 2.9.6): nobody is let in before all have loaded, or have failed to.
    const loaded = yield* Effect.makeLatch(false);
    const loading = new Set(Array.from({ length: options.count }, (_, index) => index));
    const over = (index: number) =>
      Effect.suspend(() => loading.delete(index) && loading.size === 0 ? loaded.open : Effect.void);
    const crew = yield* Effect.forEach(
      Array.from({ length: options.count }, (_, index) => index),
      (index) =>
        Effect.gen(function* () {
          const living = yield* Effect.makeSemaphore(1);
          const one = living.withPermits(1)(
            Effect.unlessEffect(
              Effect.ensuring(
                Effect.scoped(life({
                  ...options,
                  index,
                  serving,
                  first,
                  closing,
                  loaded: Effect.andThen(over(index), loaded.await),
                })),
                over(index),
              ),
              Deferred.isDone(closing),
            ),
          );
          const strategy = { restart: "transient", max: Infinity, within: "1 minute" } as const;
          yield* supervise(`worker ${index}`, strategy, one).pipe(
            Effect.annotateLogs({ worker: index }),
            Effect.forkScoped,
          );
          return { gone: living.take(1) };
        }),
    );
    // Lives end by themselves and are waited for: an interruption that comes while
    // finalizers run has been seen to get lost (effect 3.22.4), and the worker would start again.
    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        Deferred.succeed(closing, undefined),
        Effect.forEach(crew, ({ gone }) => gone, { concurrency: "unbounded", discard: true }),
      )
    );
    return {
      begun: Deferred.await(first),
      serving: () => serving.size,
    };
  });

interface Life<E> extends WorkersOptions<E> {
  readonly index: number;
  readonly serving: Set<number>;
  readonly first: Deferred.Deferred<void, E>;
  readonly closing: Deferred.Deferred<void>;
  /** Says that this one has loaded, and waits for the others of the first start. */
  readonly loaded: Effect.Effect<void>;
}

/** One life of one worker: ends when the server does, and by a failure when the worker does. */
const life = <E>(
  { index, serving, first, closing, loaded, ...options }: Life<E>,
): Effect.Effect<void, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    // Outlives the thread: nothing is given back while it may still act.
    const held = yield* Effect.acquireRelease(
      Scope.make(),
      (scope, exit) => Scope.close(scope, exit),
    );
    const died = yield* Deferred.make<never, Error>();
    if (!hasRoom()) return yield* Effect.fail(new WorkerDied("too few descriptors to start it"));
    const worker = yield* thread(() => options.spawn(index), died);
    const here = yield* Deferred.make<void>();
    const greeting = yield* Deferred.make<unknown>();
    const handlers: Record<string, Handlers[string]> = {
      "worker.hello": () => Deferred.await(greeting),
      "worker.here": () => Deferred.succeed(here, undefined),
    };
    const peer = yield* openPeer(worker, handlers);
    const work = Effect.gen(function* () {
      const prepared = yield* Scope.extend(options.prepare(index), held);
      Object.assign(handlers, prepared.handlers);
      yield* Deferred.succeed(greeting, prepared.greeting);
      yield* Deferred.await(here);
      yield* loaded;
      yield* options.begin(index, peer);
      yield* Effect.acquireRelease(
        Effect.sync(() => serving.add(index)),
        () => Effect.sync(() => serving.delete(index)),
      );
      yield* Deferred.succeed(first, undefined);
      yield* Effect.logInfo({ event: "worker_serves" });
      return yield* watch(peer, options.patience ?? PATIENCE);
    });
    yield* Effect.raceAll([work, Deferred.await(died), Deferred.await(closing)].map(Effect.exit))
      .pipe(
        Effect.flatten,
        Effect.tapErrorCause((cause) => note(cause, first)),
      );
    if (yield* Deferred.isDone(here)) {
      yield* atMost(STOP_LIMIT)(Effect.raceFirst(peer.ask("worker.stop"), Deferred.await(died)));
    }
  });

/** A refusal to serve at the first start is the caller's; all else is a worker that died. */
const note = <E>(cause: Cause.Cause<unknown>, first: Deferred.Deferred<void, E>) =>
  Effect.gen(function* () {
    const failure = Cause.failureOption(cause);
    const refused = Option.isSome(failure) && !(failure.value instanceof WorkerDied) &&
      !isGone(failure.value);
    if (refused) yield* Deferred.fail(first, failure.value as E);
    yield* Effect.logError({ event: "worker_died" }, cause);
  });

const isGone = (failure: unknown): boolean =>
  typeof failure === "object" && failure !== null && "_tag" in failure &&
  failure._tag === "PeerGone";

class WorkerDied extends Error {}

/** Descriptors that a thread may want at a time while it loads. */
const WANTED = 32;

/** Whether a thread can be loaded now: one that runs out of descriptors takes the process with it. */
const hasRoom = (): boolean => {
  const taken: Deno.FsFile[] = [];
  try {
    while (taken.length < WANTED) taken.push(Deno.openSync("/dev/null"));
    return true;
  } catch (error) {
    return !/too many open files|os error 24/i.test(String(error));
  } finally {
    for (const file of taken) file.close();
  }
};

/** The thread itself. Whatever ends it completes `died`; it never ends the process. */
const thread = (spawn: () => Worker, died: Deferred.Deferred<never, Error>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const worker = spawn();
      const gone = (text: string) => Deferred.unsafeDone(died, Exit.fail(new WorkerDied(text)));
      worker.addEventListener("error", (event) => {
        event.preventDefault();
        gone(event.message || "the worker ended");
      });
      worker.addEventListener("messageerror", () => gone("a message could not be read"));
      return worker;
    }),
    (worker) => Effect.andThen(Effect.sync(() => worker.terminate()), Effect.sleep(LAST_CALL)),
  );

/** Ends when the worker does not answer in time. */
const watch = (
  peer: Peer,
  patience: Duration.DurationInput,
): Effect.Effect<never, Error | PeerGone> =>
  Effect.sleep(PING_EVERY).pipe(
    Effect.andThen(
      Effect.timeoutFail(peer.ask("worker.ping"), {
        duration: Duration.times(patience, 0.5),
        onTimeout: () => new WorkerDied("it does not answer"),
      }).pipe(
        // Twice: after the whole process was stopped for a while all time seems to be up at once.
        Effect.retry({ times: 1 }),
      ),
    ),
    Effect.forever,
  );
