import { Effect } from "effect";
import { FsError } from "../errors.ts";
import type { Unflushed } from "../events/journal.ts";
import { promised } from "./promised.ts";
import { hashSeed, lateStripes as stripes, type Participant, pathHash } from "../participant.ts";
import { monotonic } from "../monotonic.ts";

/** Milliseconds after which a waiting thread looks again by itself, and after which it gives up. */
const LOOK_AGAIN = 250;
const LIMIT = 30_000;

/**
 * Where uploads are published and not flushed yet, over all threads.
 *
 * A power cut is recovered from by redoing what the intent logs hold. The log
 * of one thread has its operations in their order; another thread's might have
 * been settled and forgotten before one that came earlier. So what another
 * thread has not flushed at a path is waited for before anything is done there.
 * Enter under the path's lock only.
 */
export class LatePaths {
  /** There is no other thread. */
  readonly alone: boolean;
  /** Of each stripe the life that has something there; then for each participant how many it began and ended. */
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #seed: number;
  readonly #me: number;
  readonly #index: number;
  readonly #participants: number;
  readonly #mine = new Map<number, number>();
  /** What is under each name of this thread's. */
  readonly #files = new Map<string, Unflushed>();

  constructor({ memory, index, life }: typeof Participant.Service) {
    this.#words = new Int32Array(memory.late);
    this.alone = this.#words.length === 0;
    this.#seed = hashSeed(memory);
    this.#me = life;
    this.#index = index;
    this.#participants = memory.participants;
  }

  /** Notes a publication at `name`; the answer, for the journal, takes it back when it is over. */
  enter(name: string, file: Unflushed): Unflushed {
    const leave = this.#enter(name);
    const unflushed: Unflushed = {
      content: () => file.content(),
      place: file.place,
      names: () => file.names(),
      volume: file.volume,
      over: () => {
        if (this.#files.get(name) === unflushed) this.#files.delete(name);
        file.over();
        leave();
      },
    };
    this.#files.set(name, unflushed);
    return unflushed;
  }

  /** Flushes what this thread published at `name`; undefined when there is nothing to flush. */
  content(name: string): Effect.Effect<void, FsError> | undefined {
    const file = this.#files.size > 0 ? this.#files.get(name) : undefined;
    return file && promised(() => file.content(), "flush", "/");
  }

  #enter(name: string): () => void {
    if (this.alone) return nothing;
    const slot = this.#slot(name);
    const before = this.#mine.get(slot) ?? 0;
    this.#mine.set(slot, before + 1);
    Atomics.add(this.#words, this.#began(this.#index), 1);
    if (before === 0) Atomics.store(this.#words, slot, this.#me);
    return () => {
      const now = (this.#mine.get(slot) ?? 1) - 1;
      if (now > 0) this.#mine.set(slot, now);
      else {
        this.#mine.delete(slot);
        Atomics.store(this.#words, slot, 0);
        Atomics.notify(this.#words, slot);
      }
      const ended = this.#began(this.#index) + 1;
      Atomics.add(this.#words, ended, 1);
      Atomics.notify(this.#words, ended);
    };
  }

  /** Waits until other threads have nothing at these names; undefined when that is so already. */
  others(names: ReadonlyArray<string>): Effect.Effect<void, FsError> | undefined {
    if (this.alone) return undefined;
    const taken = names.map((name) => this.#slot(name)).filter((slot) => this.#isTaken(slot));
    if (taken.length === 0) return undefined;
    return Effect.forEach(
      taken,
      (slot) => this.#until(slot, () => !this.#isTaken(slot)),
      { discard: true },
    );
  }

  /** Waits until all that other threads have published up to now is flushed. */
  readonly everywhere: Effect.Effect<void, FsError> = Effect.suspend(() => {
    const all = this.alone ? [] : Array.from({ length: this.#participants }, (_, i) => i);
    return Effect.forEach(
      all.filter((i) => i !== this.#index),
      (i) => {
        const began = Atomics.load(this.#words, this.#began(i));
        const ended = this.#began(i) + 1;
        // Numbers that wrap around.
        return this.#until(ended, () => ((Atomics.load(this.#words, ended) - began) | 0) >= 0);
      },
      { discard: true },
    );
  });

  /** Forgets what a thread had that is gone. For the hub, after its log was recovered. */
  dismiss(index: number, life: number): void {
    if (this.alone) return;
    for (let slot = 0; slot < stripes; slot++) {
      if (Atomics.compareExchange(this.#words, slot, life, 0) === life) {
        Atomics.notify(this.#words, slot);
      }
    }
    const began = this.#began(index);
    Atomics.store(this.#words, began + 1, Atomics.load(this.#words, began));
    Atomics.notify(this.#words, began + 1);
  }

  #slot(name: string): number {
    return pathHash(this.#seed, name) & (stripes - 1);
  }

  #began(index: number): number {
    return stripes + 2 * index;
  }

  #isTaken(slot: number): boolean {
    const life = Atomics.load(this.#words, slot);
    return life !== 0 && life !== this.#me;
  }

  #until(word: number, free: () => boolean): Effect.Effect<void, FsError> {
    return Effect.async((resume) => {
      const end = monotonic() + LIMIT;
      const look = (): void => {
        const value = Atomics.load(this.#words, word);
        if (free()) return resume(Effect.void);
        if (monotonic() > end) return resume(Effect.fail(busy()));
        const wait = Atomics.waitAsync(this.#words, word, value, LOOK_AGAIN);
        if (wait.async) void wait.value.then(look);
        else look();
      };
      look();
    });
  }
}

const nothing = () => {};

const busy = () =>
  new FsError({
    reason: "Busy",
    op: "wait",
    path: "/",
    detail: "an upload there is not on the disk yet; try again later",
  });
