import { commonMonotonic } from "../monotonic.ts";

/** Which way bytes go, as the user sees it. */
export type Direction = "upload" | "download";

/** Words of one user's line, 8 bytes each. */
const at = {
  busyUntil: { upload: 0, download: 1 },
  moved: { upload: 2, download: 3 },
  era: 4,
} as const;
export const lineBytes = 8 * 5;

/** Microseconds that a line may have been idle and still make up for: a burst of a tenth of a second. */
const BURST = 100_000n;
/** A line that is taken for longer than this was left by a clock that has been set back: not every system has another. */
const FOREVER = 24n * 3600n * 1_000_000n;

/**
 * One user's way in and out, in memory that all threads share.
 *
 * The bucket is kept as the time until which the line is taken: whoever wants to
 * move bytes appends the time that these take, in one atomic step, and waits for
 * the start of the slot. So all sessions and threads together keep the rate, in
 * the order in which they asked, and a thread that dies leaves at worst the
 * slots it had taken.
 */
export class Line {
  readonly #words: BigInt64Array<SharedArrayBuffer>;

  constructor(memory: SharedArrayBuffer, offset: number) {
    this.#words = new BigInt64Array(memory, offset, lineBytes / 8);
  }

  /** Takes a slot for `bytes` at `rate` bytes a second; answers the milliseconds until it may be used. */
  reserve(way: Direction, bytes: number, rate: number, now = commonMonotonic()): number {
    const i = at.busyUntil[way];
    const cost = BigInt(Math.ceil(bytes / rate * 1e6));
    const time = BigInt(Math.round(now * 1000));
    for (;;) {
      const busy = Atomics.load(this.#words, i);
      const from = busy < time - BURST || busy > time + FOREVER ? time - BURST : busy;
      const until = from + cost;
      if (Atomics.compareExchange(this.#words, i, busy, until) === busy) {
        return Math.max(0, Number(until - time) / 1000);
      }
    }
  }

  /** Counts bytes against an allowance; answers how many were counted so far, these included. */
  count(way: Direction, bytes: number): number {
    return Number(Atomics.add(this.#words, at.moved[way], BigInt(bytes))) + bytes;
  }

  moved(way: Direction): number {
    return Number(Atomics.load(this.#words, at.moved[way]));
  }

  /** Another number after each `begin`: what was counted before is not to be counted again. */
  get era(): bigint {
    return Atomics.load(this.#words, at.era);
  }

  /** What counts as moved so far: as the catalog knows it, or since a reset. */
  begin(upload: number, download: number): void {
    Atomics.add(this.#words, at.era, 1n);
    Atomics.store(this.#words, at.moved.upload, BigInt(upload));
    Atomics.store(this.#words, at.moved.download, BigInt(download));
  }
}
