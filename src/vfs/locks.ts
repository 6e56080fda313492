import { Effect } from "effect";
import { admit, hashSeed, type Participant, shareMemory, stripeOf } from "../participant.ts";

/** Set in a word while threads other than the holder's may be waiting for it. */
const WAITED = 1 << 30;
const HOLDER = WAITED - 1;
/** How often fibers of one thread hand a stripe on among themselves while other threads wait. */
const MOST_IN_A_ROW = 16;
/** Milliseconds after which a waiting thread looks again by itself: a wake-up may have gone to a thread that died. */
const LOOK_AGAIN = 250;
/** Milliseconds that a thread which had its turns leaves to the one it woke. */
const STEP_ASIDE = 2;

/** Fibers of this thread that wait for one stripe, oldest first. */
class Line {
  readonly waiting: Array<() => void> = [];
  /** A wait for another thread is under way. */
  asking = false;
  inARow = 0;
}

/** The stripes of one caller, ascending; the first `taken` of them are held. */
interface Hold {
  readonly slots: ReadonlyArray<number>;
  taken: number;
}

/**
 * One lock a path, over all threads: whoever commits, deletes or renames holds
 * it, so that the size a change replaces is the size that the quota is told.
 *
 * Paths share a fixed number of stripes in shared memory, one word each: who
 * holds it, and whether other threads wait. Not to be nested: a path inside
 * may have the stripe of one outside.
 */
export class PathLocks {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #me: number;
  readonly #seed: number;
  readonly #lines = new Map<number, Line>();

  constructor({ memory, life }: typeof Participant.Service = admit(shareMemory(1), 0)) {
    this.#words = new Int32Array(memory.locks);
    this.#seed = hashSeed(memory);
    this.#me = life;
  }

  /** Runs `body` holding all `names`; taken in one order, so that two callers cannot wait for each other. */
  with<A, E, R>(
    names: ReadonlyArray<string>,
    body: Effect.Effect<A, E, R>,
  ): Effect.Effect<A, E, R> {
    return Effect.uninterruptibleMask((restore) => {
      const hold: Hold = { slots: this.#slotsOf(names), taken: 0 };
      const ready = this.#advance(hold);
      return Effect.matchCauseEffect(
        restore(ready ? body : Effect.andThen(this.#wait(hold), body)),
        {
          onSuccess: (value) => {
            this.#release(hold);
            return Effect.succeed(value);
          },
          onFailure: (cause) => {
            this.#release(hold);
            return Effect.failCause(cause);
          },
        },
      );
    });
  }

  /** Takes the lock of `name` if nobody has it or waits for it; the answer gives it up. */
  take(name: string): (() => void) | undefined {
    const hold: Hold = { slots: [stripeOf(this.#seed, name)], taken: 0 };
    return this.#advance(hold) ? () => this.#release(hold) : undefined;
  }

  /** Frees what a thread held that is gone. For the hub, before the place is given to another. */
  releaseAll(life: number): void {
    for (let slot = 0; slot < this.#words.length; slot++) {
      const word = Atomics.load(this.#words, slot);
      if ((word & HOLDER) === life) this.#free(slot, life);
    }
  }

  #slotsOf(names: ReadonlyArray<string>): ReadonlyArray<number> {
    const only = names[0];
    if (names.length === 1 && only !== undefined) return [stripeOf(this.#seed, only)];
    return [...new Set(names.map((name) => stripeOf(this.#seed, name)))].sort((a, b) => a - b);
  }

  /** Takes what is free, in order; false at the first that is not. */
  #advance(hold: Hold): boolean {
    const { slots } = hold;
    while (hold.taken < slots.length) {
      const slot = slots[hold.taken] as number;
      // Whoever waits in this thread comes first.
      if (this.#lines.size > 0 && (this.#lines.get(slot)?.waiting.length ?? 0) > 0) return false;
      if (Atomics.compareExchange(this.#words, slot, 0, this.#me) !== 0) return false;
      hold.taken++;
    }
    return true;
  }

  /** Takes the rest as it becomes free. What was taken when this is interrupted is the caller's to release. */
  #wait(hold: Hold): Effect.Effect<void> {
    return Effect.async((resume) => {
      let leave = () => {};
      const next = () => {
        if (this.#advance(hold)) return resume(Effect.void);
        leave = this.#queue(hold.slots[hold.taken] as number, () => {
          hold.taken++;
          next();
        });
      };
      next();
      return Effect.sync(() => leave());
    });
  }

  /** Stands in line; `granted` runs once this thread holds the slot for the caller. Answers what leaves the line. */
  #queue(slot: number, granted: () => void): () => void {
    const line = this.#lines.get(slot) ?? new Line();
    this.#lines.set(slot, line);
    line.waiting.push(granted);
    if (!line.asking) this.#ask(slot, line);
    return () => {
      const at = line.waiting.indexOf(granted);
      if (at >= 0) line.waiting.splice(at, 1);
      this.#tidy(slot, line);
    };
  }

  /** Takes the slot for the first in line, or waits for the thread that holds it. */
  #ask(slot: number, line: Line): void {
    for (;;) {
      const word = Atomics.load(this.#words, slot);
      // Held in this thread: its release sees the line.
      if ((word & HOLDER) === this.#me) return;
      if (word === 0) {
        // Others may be waiting as well; to say so in vain costs one idle wake-up.
        if (Atomics.compareExchange(this.#words, slot, 0, this.#me | WAITED) !== 0) continue;
        line.inARow = 0;
        line.waiting.shift()?.();
        return this.#tidy(slot, line);
      }
      const waited = word | WAITED;
      if (word !== waited && Atomics.compareExchange(this.#words, slot, word, waited) !== word) {
        continue;
      }
      if (this.#sleep(slot, line, waited, LOOK_AGAIN)) return;
    }
  }

  /** Asks again when the word changes or the time is up; false when it has changed already. */
  #sleep(slot: number, line: Line, word: number, time: number): boolean {
    const wait = Atomics.waitAsync(this.#words, slot, word, time);
    if (!wait.async) return false;
    line.asking = true;
    wait.value.then((how) => {
      line.asking = false;
      if (line.waiting.length > 0) return this.#ask(slot, line);
      // Nobody here wants it any more: the wake-up belongs to another thread.
      if (how === "ok") Atomics.notify(this.#words, slot, 1);
      this.#tidy(slot, line);
    });
    return true;
  }

  #release(hold: Hold): void {
    const { slots, taken } = hold;
    hold.taken = 0;
    for (let i = 0; i < taken; i++) this.#pass(slots[i] as number);
  }

  /** Hands a slot to the next of this thread, or gives it up. */
  #pass(slot: number): void {
    const line = this.#lines.size > 0 ? this.#lines.get(slot) : undefined;
    if (!line || line.waiting.length === 0) {
      this.#free(slot, this.#me);
      if (line) this.#tidy(slot, line);
      return;
    }
    const othersWait = (Atomics.load(this.#words, slot) & WAITED) !== 0;
    if (!othersWait || ++line.inARow <= MOST_IN_A_ROW) {
      line.waiting.shift()?.();
      return this.#tidy(slot, line);
    }
    line.inARow = 0;
    this.#free(slot, this.#me);
    if (!line.asking && !this.#sleep(slot, line, 0, STEP_ASIDE)) this.#ask(slot, line);
  }

  #free(slot: number, holder: number): void {
    if (Atomics.compareExchange(this.#words, slot, holder, 0) === holder) return;
    if (Atomics.compareExchange(this.#words, slot, holder | WAITED, 0) !== (holder | WAITED)) {
      // The word gets its mark between the two; it loses it only here.
      if ((Atomics.load(this.#words, slot) & HOLDER) === holder) this.#free(slot, holder);
      return;
    }
    Atomics.notify(this.#words, slot, 1);
  }

  #tidy(slot: number, line: Line): void {
    if (line.waiting.length > 0 || line.asking) return;
    if (this.#lines.get(slot) === line) this.#lines.delete(slot);
  }
}
