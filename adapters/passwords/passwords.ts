import { randomBytes } from "node:crypto";
import { hash as hashArgon2, verify as verifyArgon2 } from "@node-rs/argon2";
import { Effect, Layer } from "effect";
import { Config } from "../../src/config/config.ts";
import { Passwords } from "../../src/identity/passwords.ts";
import { argon2Work, schemes } from "./schemes.ts";

/** The package's `Algorithm.Argon2id`, a const enum that isolated modules cannot import. */
const argon2id = 2;

/** Hashes computed at once. Each takes a thread of the pool and the configured memory. */
const lanes = 2;
/** Checks that may wait. A flood beyond is refused at once instead of queueing for minutes. */
const mostWaiting = 256;

/**
 * Passwords on the runtime's thread pool: argon2id written, older forms checked.
 *
 * A check beyond the queue limit answers "no" without work; `hash` waits.
 */
export const layer: Layer.Layer<Passwords, never, Config> = Layer.effect(
  Passwords,
  Effect.gen(function* () {
    const { argon2_memory, argon2_iterations, argon2_parallelism } = (yield* Config).data_provider;
    const wanted = [argon2_memory, argon2_iterations, argon2_parallelism] as const;
    const encode = (plain: string) =>
      Effect.promise(() =>
        hashArgon2(plain, {
          algorithm: argon2id,
          memoryCost: argon2_memory,
          timeCost: argon2_iterations,
          parallelism: argon2_parallelism,
        })
      );
    const turns = yield* Effect.makeSemaphore(lanes);
    let waiting = 0;
    /** Runs `work` when its turn comes, or answers `otherwise` when too many wait. */
    const queued = <A>(work: Effect.Effect<A>, otherwise: A): Effect.Effect<A> =>
      Effect.suspend(() => {
        if (waiting >= mostWaiting) return Effect.succeed(otherwise);
        waiting += 1;
        // The thread works on when its client has gone, so the turn ends with the work.
        const turn = turns.withPermits(1)(Effect.uninterruptible(work));
        return Effect.ensuring(turn, Effect.sync(() => (waiting -= 1)));
      });
    const decoy = yield* encode(randomBytes(16).toString("hex"));

    return Passwords.of({
      hash: (plain) => turns.withPermits(1)(encode(plain)),
      verify: (encoded, plain) => {
        const scheme = schemes.find((candidate) => candidate.matches(encoded));
        if (!scheme) return Effect.succeed({ ok: false, stale: false });
        const stale = isStale(encoded, wanted);
        const check = Effect.tryPromise(() => scheme.check(encoded, plain)).pipe(
          // A hash that its own library cannot read matches nothing.
          Effect.orElseSucceed(() => false),
          Effect.map((answer) => ({ ok: answer === true, stale: answer === true && stale })),
        );
        return queued(check, { ok: false, stale: false });
      },
      waste: (plain) =>
        queued(Effect.ignore(Effect.tryPromise(() => verifyArgon2(decoy, plain))), undefined),
      recognises: (text) => schemes.some((scheme) => scheme.matches(text)),
    });
  }),
);

/** Anything but argon2id with at least the configured work should be replaced. */
const isStale = (encoded: string, wanted: readonly [number, number, number]): boolean => {
  const found = argon2Work(encoded);
  return found?.variant !== "id" || found.work[0] < wanted[0] || found.work[1] < wanted[1];
};
