import { Effect, Option } from "effect";
import type { Unflushed } from "../src/events/journal.ts";

/** Files that are flushed at the same time. */
const atOnce = 8;
/** Files of one volume from which on it is flushed as a whole. */
const many = 8;

/**
 * Flushes all of it, however long the disk fails: until then the intents, and
 * the content beside them, are what a power cut would leave.
 */
export const untilFlushed = (all: ReadonlyArray<Unflushed>): Effect.Effect<void> =>
  Effect.gen(function* () {
    const retried = (step: () => Promise<void>) =>
      Effect.gen(function* () {
        for (let pause = 50;; pause = Math.min(pause * 2, 2000)) {
          const failed = yield* Effect.flip(Effect.tryPromise(step)).pipe(Effect.option);
          if (Option.isNone(failed)) return;
          yield* Effect.logWarning("uploads cannot be flushed yet", failed.value.error);
          yield* Effect.sleep(pause);
        }
      });
    const volumes = new Map<Unflushed["volume"], Unflushed[]>();
    for (const each of all) {
      const group = volumes.get(each.volume);
      if (group) group.push(each);
      else volumes.set(each.volume, [each]);
    }
    const singly: Unflushed[] = [];
    for (const [volume, group] of volumes) {
      const place = group[0]?.place;
      const flushed = volume && place !== undefined && group.length >= many &&
        (yield* Effect.option(Effect.tryPromise(() => volume.flush(place)))).pipe(
          Option.getOrElse(() => false),
        );
      if (!flushed) singly.push(...group);
    }
    const places = new Map(singly.map((each) => [each.place, each]));
    const some = { concurrency: atOnce, discard: true } as const;
    yield* Effect.forEach(singly, (each) => retried(() => each.content()), some);
    yield* Effect.forEach(places.values(), (each) => retried(() => each.names()), some);
  });
