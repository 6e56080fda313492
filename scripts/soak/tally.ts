/** What the load did so far, and what went wrong. */
export class Tally {
  readonly counts = new Map<string, number>();
  readonly failures: string[] = [];
  bytes = 0;

  did(what: string, bytes = 0): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
    this.bytes += bytes;
  }

  /** Notes something that must not happen; the run fails. */
  failed(what: string): void {
    this.failures.push(`${new Date().toISOString().slice(11, 19)} ${what}`);
  }
}

/** Numbers that one seed determines: xorshift32. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = (Math.imul(seed + 1, 2654435761) >>> 0) || 1;
    for (let i = 0; i < 8; i++) this.next();
  }

  /** Below 1, at least 0. */
  next(): number {
    let s = this.#state;
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    this.#state = s >>> 0;
    return this.#state / 2 ** 32;
  }

  /** From `low` to `high`, both included. */
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  /** As often of 1 KiB as of 1 MiB: spread over the powers of two up to `most`. */
  size(most: number): number {
    return this.int(0, 19) === 0 ? 0 : Math.floor(2 ** (this.next() * Math.log2(most)));
  }

  of<A>(items: ReadonlyArray<A>): A {
    const item = items[this.int(0, items.length - 1)];
    if (item === undefined) throw new Error("nothing to choose from");
    return item;
  }

  chance(p: number): boolean {
    return this.next() < p;
  }
}
