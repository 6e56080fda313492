import { Effect } from "effect";

/**
 * One lock a path: whoever commits, deletes or renames holds it, so that the
 * size a change replaces is the size that the quota is told.
 */
export class PathLocks {
  readonly #held = new Map<string, { readonly lock: Effect.Semaphore; users: number }>();

  /** Runs `body` holding all `names`; taken in one order, so that two callers cannot wait for each other. */
  with<A, E, R>(
    names: ReadonlyArray<string>,
    body: Effect.Effect<A, E, R>,
  ): Effect.Effect<A, E, R> {
    return [...new Set(names)].sort().reduceRight(
      (inner, name) => this.#one(name, inner),
      body,
    );
  }

  #one<A, E, R>(name: string, body: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        const slot = this.#held.get(name) ?? { lock: Effect.unsafeMakeSemaphore(1), users: 0 };
        this.#held.set(name, slot);
        slot.users++;
        return slot;
      }),
      ({ lock }) => lock.withPermits(1)(body),
      (slot) =>
        Effect.sync(() => {
          if (--slot.users === 0) this.#held.delete(name);
        }),
    );
  }
}
