import { Effect, type Exit, FiberSet, type Scope } from "effect";

/** Where callbacks of an adapter enter Effect: the only runPromise and runFork in it. */
export interface Bridge {
  /** Runs an effect to its end. Never rejects; interrupted when the scope closes. */
  readonly run: <A, E>(effect: Effect.Effect<A, E>) => Promise<Exit.Exit<A, E>>;
}

/** A bridge whose fibers end with the scope that it is made in. */
export const makeBridge: Effect.Effect<Bridge, never, Scope.Scope> = Effect.gen(function* () {
  const fork = yield* FiberSet.makeRuntime<never>();
  return {
    run: <A, E>(effect: Effect.Effect<A, E>) =>
      new Promise<Exit.Exit<A, E>>((resolve) => {
        fork(effect as Effect.Effect<unknown, unknown>).addObserver((exit) =>
          resolve(exit as Exit.Exit<A, E>)
        );
      }),
  };
});
