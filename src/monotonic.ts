import { Clock, Effect } from "effect";
import { openCLibrary } from "./c_library.ts";

/**
 * Milliseconds on a clock that nobody sets, for durations and time-outs
 * (SECURITY 7.12). Its origin is this thread's own: never shown, never kept,
 * never compared with another thread's.
 */
export const monotonic = (): number => performance.now();

/** The same for effects, where tests drive the clock. */
export const monotonicMillis: Effect.Effect<number> = Clock.clockWith((clock) =>
  Effect.sync(() => Number(clock.unsafeCurrentTimeNanos()) / 1e6)
);

/** Starts to measure; answers whole milliseconds since. */
export const stopwatch = (): () => number => {
  const began = monotonic();
  return () => Math.round(monotonic() - began);
};

/** When something was, in Unix milliseconds as the clock on the wall counts now, of a time of {@linkcode monotonic}. */
export const unixTime = (then: number): number => Math.round(Date.now() - monotonic() + then);

let origin: number | undefined;

/** {@linkcode monotonic} with one origin for all threads of this process, for times in memory that they share. */
export const commonMonotonic = (): number => (origin ??= originOfThread()) + monotonic();

/** CLOCK_MONOTONIC of time.h. */
const ids: Readonly<Partial<Record<typeof Deno.build.os, number>>> = { linux: 1, darwin: 6 };

const originOfThread = (): number => {
  try {
    const id = ids[Deno.build.os];
    if (id === undefined) return performance.timeOrigin;
    const library = openCLibrary({
      clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
    });
    try {
      const time = new BigInt64Array(2);
      if (library.symbols.clock_gettime(id, time) !== 0) return performance.timeOrigin;
      return Number(time[0]) * 1000 + Number(time[1]) / 1e6 - monotonic();
    } finally {
      library.close();
    }
  } catch {
    // Right as long as the clock is not set between the starts of two threads.
    return performance.timeOrigin;
  }
};
