import { type Duration, Effect } from "effect";

/**
 * Runs `effect` for at most `time`, then goes on without it. Never fails.
 *
 * For finalizers: those run uninterruptible, and there `Effect.timeout` alone
 * would wait for the end of `effect` however long it takes.
 */
export const atMost =
  (time: Duration.DurationInput) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<void, never, R> =>
    Effect.ignore(Effect.timeout(Effect.interruptible(effect), time));
