import { FsError } from "../errors.ts";
import { homeStripes, type Participant, type SharedMemory } from "../participant.ts";
import { monotonic } from "../monotonic.ts";

/** Looks at a taken word before the thread gives its core away. */
const SPINS = 200;
/** Milliseconds after which a thread stops waiting for another: a disk may hang. */
const LIMIT = 5000;

let words: Int32Array<SharedArrayBuffer> | undefined;
let mine = 0;
let participants = 0;
let life = 0;

/** Lets this thread keep out of the others' way. Once, before the first storage is used. */
export const takeTurnsAs = (participant: typeof Participant.Service): void => {
  words = participant.memory.participants > 1
    ? new Int32Array(participant.memory.homes)
    : undefined;
  participants = participant.memory.participants;
  mine = participant.index;
  life = participant.life;
};

/** Ends the turns of a thread that is gone. */
export const dismissTurns = (memory: SharedMemory, index: number, gone: number): void => {
  const all = new Int32Array(memory.homes);
  Atomics.store(all, index, 0);
  for (let i = 0; i < homeStripes; i++) {
    Atomics.compareExchange(all, memory.participants + i, gone, 0);
  }
};

/**
 * Turns in one home directory, over all threads.
 *
 * A storage on disk looks where a path leads and then acts on it: two calls to
 * the kernel, which nothing may come between that changes where the path leads.
 * In one thread that is so as long as nothing waits in between. `together` keeps
 * it so among threads: any number at once, but never beside an `alone`. Steps
 * are synchronous (of a promise: up to where it first waits), and may be nested.
 */
export class Turns {
  readonly #stripe: number;

  constructor(root: string) {
    let hash = 0;
    for (let i = 0; i < root.length; i++) hash = Math.imul(hash ^ root.charCodeAt(i), 0x01000193);
    this.#stripe = (hash ^ (hash >>> 15)) & (homeStripes - 1);
  }

  /** Runs a step that looks and acts. Fails with Busy when another thread does not end its turn. */
  together<A>(step: () => A): A {
    if (!words || Atomics.load(words, mine) !== 0) return step();
    const change = participants + this.#stripe;
    // Said before it is asked, by both sides: one of them sees the other.
    Atomics.store(words, mine, this.#stripe + 1);
    for (let who = Atomics.load(words, change); who !== 0; who = Atomics.load(words, change)) {
      if (who === life) break;
      Atomics.store(words, mine, 0);
      whileIs(words, change, who);
      Atomics.store(words, mine, this.#stripe + 1);
    }
    try {
      return step();
    } finally {
      Atomics.store(words, mine, 0);
    }
  }

  /** Runs a step that changes where paths lead: it makes a link, or moves one or a directory. */
  alone<A>(step: () => A): A {
    if (!words) return step();
    const change = participants + this.#stripe;
    for (;;) {
      const who = Atomics.compareExchange(words, change, 0, life);
      if (who === 0) break;
      whileIs(words, change, who);
    }
    try {
      for (let other = 0; other < participants; other++) {
        if (other !== mine) whileIs(words, other, this.#stripe + 1);
      }
      return step();
    } finally {
      Atomics.store(words, change, 0);
    }
  }
}

/** Waits, without leaving the turn of the event loop, while the word has this value. */
const whileIs = (all: Int32Array<SharedArrayBuffer>, at: number, value: number): void => {
  for (let i = 0; i < SPINS; i++) if (Atomics.load(all, at) !== value) return;
  const end = monotonic() + LIMIT;
  while (Atomics.load(all, at) === value) {
    if (monotonic() > end) {
      throw new FsError({
        reason: "Busy",
        op: "wait",
        path: "/",
        detail: "the storage is not answering; try again later",
      });
    }
    Atomics.wait(all, at, value, 1);
  }
};
