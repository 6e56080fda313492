/// <reference lib="deno.worker" />
import { Effect } from "effect";
import { PathLocks } from "../../src/vfs/locks.ts";
import type { Errand } from "./threads.ts";

/** Adds one to a number that nothing but the lock protects, leaving its turn in the middle. */
const addOne = (numbers: Int32Array) =>
  Effect.gen(function* () {
    const before = numbers[0] as number;
    if (Math.random() < 0.3) yield* Effect.promise(() => Promise.resolve());
    if (Math.random() < 0.01) yield* Effect.promise(() => new Promise((r) => setTimeout(r, 0)));
    numbers[0] = before + 1;
  });

self.onmessage = ({ data }: MessageEvent<Errand>) => {
  const { participant, numbers, rounds, what } = data;
  const locks = new PathLocks(participant);
  const shared = new Int32Array(numbers);
  const work = what === "hold"
    // Takes the lock, says so, and never lets go.
    ? locks.with(["a"], Effect.zipRight(Effect.sync(() => self.postMessage("held")), Effect.never))
    : Effect.forEach(
      [1, 2, 3, 4],
      (fiber) =>
        Effect.gen(function* () {
          for (let i = 0; i < rounds / 4; i++) {
            // In either order: the locks are taken in one.
            yield* locks.with(fiber % 2 ? ["a", `b${i % 7}`] : [`b${i % 7}`, "a"], addOne(shared));
          }
        }),
      { concurrency: "unbounded", discard: true },
    );
  Effect.runPromise(work).then(() => self.postMessage("done"));
};
