import { Cause, Effect, Exit, Fiber, FiberId, Option, type Scope } from "effect";
import { ActorBusy } from "../src/errors.ts";

export interface Actor<M, E> {
  /** Delivers `msg` and waits for what its handler returns. */
  readonly ask: <A = void>(msg: M) => Effect.Effect<A, E | ActorBusy>;
  /** Delivers `msg`; `done` hears once how it ended. Costs the caller no fiber. */
  readonly tell: (msg: M, done: (exit: Exit.Exit<unknown, E | ActorBusy>) => void) => void;
  /** Ends when the actor does; a supervisor waits here. */
  readonly join: Effect.Effect<void>;
}

/**
 * Starts an actor: one fiber, one bounded mailbox, one message at a time.
 *
 * A failure in `handle` goes back to whoever asked, and the actor lives on. A
 * defect ends the actor, runs `onDefect` and comes out of `join`. Closing the scope
 * stops the actor and answers everyone still waiting with {@linkcode ActorBusy}.
 */
export const spawn = <M, E, R>(
  name: string,
  capacity: number,
  handle: (msg: M) => Effect.Effect<unknown, E, R>,
  onDefect: (cause: Cause.Cause<never>) => Effect.Effect<void> = () => Effect.void,
): Effect.Effect<Actor<M, E>, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    type Done = (exit: Exit.Exit<unknown, E | ActorBusy>) => void;
    // Made when it is needed: an error carries a stack trace, and there is an actor a session.
    const busy = () => Exit.fail(new ActorBusy({ name }));
    const box: Array<{ readonly msg: M; readonly done: Done }> = [];
    let current: Done | undefined;
    let open = true;
    let wake: (() => void) | undefined;
    const finish = (exit: Exit.Exit<unknown, E>) => {
      const done = current;
      current = undefined;
      done?.(exit);
    };

    // No fiber, deferred or queue a message: this runs once for every control request of a client.
    const turn: Effect.Effect<void, E, R> = Effect.suspend(() => {
      const next = box.shift();
      if (!next) {
        return Effect.async<void>((resume) => {
          wake = () => resume(Effect.void);
          return Effect.sync(() => wake = undefined);
        });
      }
      current = next.done;
      return Effect.matchCauseEffect(handle(next.msg), {
        onSuccess: (value) => {
          finish(Exit.succeed(value));
          return Effect.void;
        },
        onFailure: (cause) => {
          finish(Exit.failCause(cause));
          return Option.isSome(Cause.failureOption(cause)) ? Effect.void : Effect.failCause(cause);
        },
      });
    });
    const loop: Effect.Effect<never, E, R> = Effect.flatMap(turn, () => loop);
    const close = Effect.sync(() => {
      open = false;
      if (current) finish(Exit.interrupt(FiberId.none));
      for (const { done } of box.splice(0)) done(busy());
    });
    const fiber = yield* Effect.ensuring(loop, close).pipe(
      Effect.tapErrorCause((cause) =>
        Cause.isInterruptedOnly(cause) ? Effect.void : onDefect(cause as Cause.Cause<never>)
      ),
      Effect.forkScoped,
    );

    const tell = (msg: M, done: Done) => {
      if (!open || box.length >= capacity) return done(busy());
      box.push({ msg, done });
      const resume = wake;
      wake = undefined;
      resume?.();
    };
    return {
      join: Effect.asVoid(Fiber.join(fiber)) as Effect.Effect<void>,
      tell,
      ask: <A>(msg: M) =>
        Effect.async<A, E | ActorBusy>((resume) =>
          tell(msg, (exit) => resume(exit as Exit.Exit<A, E | ActorBusy>))
        ),
    };
  });
