import { Chunk, Effect, Fiber, Option, Stream } from "effect";
import { Users } from "./catalog/catalog.ts";
import type { User } from "./model/user.ts";
import { Storages } from "./storage/storages.ts";

/** Users read at a time. */
const page = 200;
/** Huge homes must not hold up a start: beyond this the sweep goes on beside the sessions. */
const patience = "3 seconds";

const everyone = Stream.unwrap(
  Effect.map(
    Users,
    (users) =>
      Stream.paginateChunkEffect(
        0,
        (offset) =>
          Effect.map(users.list({ limit: page, offset }), (found) =>
            [
              Chunk.unsafeFromArray(found),
              found.length === page ? Option.some(offset + page) : Option.none<number>(),
            ] as const),
      ),
  ),
);

const sweepHome = (user: User) =>
  Effect.gen(function* () {
    // A home that nobody has used yet is not made just to be swept.
    const there = yield* Effect.promise(() =>
      Deno.stat(user.home_dir).then(() => true, () => false)
    );
    if (!there) return 0;
    const storage = yield* (yield* Storages).forUser(user);
    return yield* storage.sweep();
  }).pipe(
    Effect.scoped,
    Effect.catchAll((error) =>
      Effect.as(
        Effect.logWarning({ event: "sweep", message: error.message, username: user.username }),
        0,
      )
    ),
  );

/** Deletes temporary files that no running upload owns, in every home that exists. */
export const sweepHomes = Effect.gen(function* () {
  const removed = yield* Stream.runFold(
    Stream.mapEffect(everyone, sweepHome),
    0,
    (sum, n) => sum + n,
  );
  if (removed > 0) yield* Effect.logInfo({ event: "swept", temporary_files: removed });
}).pipe(
  Effect.catchAll((error) => Effect.logWarning({ event: "sweep", message: error.message })),
);

/** Sweeps what an earlier process left: waits a few seconds for it, then lets it go on behind. */
export const sweepAtStart = Effect.gen(function* () {
  const fiber = yield* Effect.forkScoped(sweepHomes);
  yield* Effect.timeoutOption(Fiber.join(fiber), patience);
});
