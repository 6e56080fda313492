import { Deferred, Effect, Fiber, Queue, type Scope } from "effect";
import { ActorBusy } from "../src/errors.ts";

export interface Actor<M, E> {
  /** Delivers `msg` and waits for what its handler returns. */
  readonly ask: <A = void>(msg: M) => Effect.Effect<A, E | ActorBusy>;
  /** Ends when the actor does; a supervisor waits here. */
  readonly join: Effect.Effect<void>;
}

/**
 * Starts an actor: one fiber, one bounded mailbox, one message at a time.
 *
 * A failure in `handle` goes back to whoever asked, and the actor lives on. A
 * defect ends the actor and comes out of `join`. Closing the scope stops the
 * actor and answers everyone still waiting with {@linkcode ActorBusy}.
 */
export const spawn = <M, E, R>(
  name: string,
  capacity: number,
  handle: (msg: M) => Effect.Effect<unknown, E, R>,
): Effect.Effect<Actor<M, E>, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    type Reply = Deferred.Deferred<unknown, E | ActorBusy>;
    // Made when it is needed: an error carries a stack trace, and there is an actor a session.
    const busy = () => new ActorBusy({ name });
    const box = yield* Queue.dropping<{ readonly msg: M; readonly reply: Reply }>(capacity);
    const waiting = new Set<Reply>();
    let open = true;

    const turn = Effect.flatMap(Queue.take(box), ({ msg, reply }) =>
      handle(msg).pipe(
        Effect.onExit((exit) => Deferred.done(reply, exit)),
        Effect.catchAll(() => Effect.void),
      ));
    const close = Effect.suspend(() => {
      open = false;
      return Effect.forEach(waiting, (reply) => Deferred.fail(reply, busy()), { discard: true });
    });
    const fiber = yield* Effect.forkScoped(Effect.ensuring(Effect.forever(turn), close));

    return {
      join: Effect.asVoid(Fiber.join(fiber)),
      ask: <A>(msg: M) =>
        Effect.gen(function* () {
          const reply = yield* Deferred.make<unknown, E | ActorBusy>();
          if (!open) return yield* busy();
          waiting.add(reply);
          if (!(yield* Queue.offer(box, { msg, reply }))) yield* Deferred.fail(reply, busy());
          const gone = Effect.sync(() => waiting.delete(reply));
          return (yield* Effect.ensuring(Deferred.await(reply), gone)) as A;
        }),
    };
  });
