import { Line, lineBytes } from "./line.ts";
import type { Usage } from "./quota.ts";
import { monotonic } from "../monotonic.ts";

/** Numbers of one account, 8 bytes each: from `line` the {@linkcode Line}, after `parts` three for every participant. */
const at = {
  lock: 0,
  bytes: 1,
  files: 2,
  heldBytes: 3,
  heldFiles: 4,
  changing: 5,
  version: 6,
  line: 8,
  parts: 8 + lineBytes / 8,
} as const;
const part = { heldBytes: 0, heldFiles: 1, changing: 2, size: 3 } as const;

/** Bytes of one account. */
export const accountBytes = (participants: number): number =>
  8 * (at.parts + part.size * participants);

/** Looks at a taken lock before the thread gives its core away; a turn inside is far shorter. */
const SPINS = 300;
/** Milliseconds after which the holder of a lock is taken for dead. */
const DEAD_AFTER = 5000;

/** How an account stood when it was looked at. */
export interface Standing {
  /** Grows with every change of usage. */
  readonly version: number;
  /** Changes of files that are done but not settled yet, or the reverse. */
  readonly changing: number;
}

/** Who looks at the accounts: the place among the participants, and the number of this life. */
export interface Viewer {
  readonly index: number;
  readonly life: number;
}

/**
 * One user's books, in memory that all threads share.
 *
 * Every method is one turn under the account's lock, so no two uploads can take
 * the same byte, wherever they run. A turn is a straight line of loads and
 * stores: a thread can be ended before it or after it, not in the middle,
 * because the engine looks for its end at calls and loops only. What each
 * participant holds is kept apart as well, to be given back when it dies.
 */
export class Account {
  readonly #n: Float64Array<SharedArrayBuffer>;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #lock: number;
  readonly #me: number;
  readonly #life: number;
  /** How fast and how much the user moves; needs no turn. */
  readonly line: Line;

  constructor(memory: SharedArrayBuffer, offset: number, viewer: Viewer) {
    this.#n = new Float64Array(memory, offset);
    this.#words = new Int32Array(memory, offset);
    this.line = new Line(memory, offset + 8 * at.line);
    this.#lock = at.lock;
    this.#me = at.parts + part.size * viewer.index;
    this.#life = viewer.life;
  }

  /** BEHAVIOUR QUOTA-04: takes a place for an upload, or says what stands against it. 0 is no limit. */
  start(limit: Usage, newFiles: 0 | 1): "bytes" | "files" | undefined {
    const n = this.#n;
    this.#enter();
    const fullBytes = limit.bytes > 0 &&
      (n[at.bytes] as number) + (n[at.heldBytes] as number) >= limit.bytes;
    const fullFiles = newFiles === 1 && limit.files > 0 &&
      (n[at.files] as number) + (n[at.heldFiles] as number) >= limit.files;
    if (!fullBytes && !fullFiles) {
      n[at.heldFiles] = (n[at.heldFiles] as number) + newFiles;
      n[this.#me + part.heldFiles] = (n[this.#me + part.heldFiles] as number) + newFiles;
    }
    Atomics.store(this.#words, this.#lock, 0);
    return fullBytes ? "bytes" : fullFiles ? "files" : undefined;
  }

  /** Holds `more` bytes for an upload; false, and nothing is held, beyond `limit`. */
  hold(more: number, limit: number): boolean {
    const n = this.#n;
    this.#enter();
    const held = (n[at.heldBytes] as number) + more;
    const fits = limit <= 0 || (n[at.bytes] as number) + held <= limit;
    if (fits) {
      n[at.heldBytes] = held;
      n[this.#me + part.heldBytes] = (n[this.#me + part.heldBytes] as number) + more;
    }
    Atomics.store(this.#words, this.#lock, 0);
    return fits;
  }

  /** Gives back what an upload held. */
  release(bytes: number, files: number): void {
    const n = this.#n;
    this.#enter();
    n[at.heldBytes] = (n[at.heldBytes] as number) - bytes;
    n[at.heldFiles] = (n[at.heldFiles] as number) - files;
    n[this.#me + part.heldBytes] = (n[this.#me + part.heldBytes] as number) - bytes;
    n[this.#me + part.heldFiles] = (n[this.#me + part.heldFiles] as number) - files;
    Atomics.store(this.#words, this.#lock, 0);
  }

  /**
   * Gives back what an upload held and counts what it changed, in one turn.
   * Answers what the usage moved by.
   */
  settle(bytes: number, files: number, deltaBytes: number, deltaFiles: number): Usage {
    const n = this.#n;
    this.#enter();
    const oldBytes = n[at.bytes] as number;
    const oldFiles = n[at.files] as number;
    const newBytes = oldBytes + deltaBytes;
    const newFiles = oldFiles + deltaFiles;
    // External changes (QUOTA-14) can make a count too high; it never goes below nothing.
    n[at.bytes] = newBytes > 0 ? newBytes : 0;
    n[at.files] = newFiles > 0 ? newFiles : 0;
    n[at.heldBytes] = (n[at.heldBytes] as number) - bytes;
    n[at.heldFiles] = (n[at.heldFiles] as number) - files;
    n[this.#me + part.heldBytes] = (n[this.#me + part.heldBytes] as number) - bytes;
    n[this.#me + part.heldFiles] = (n[this.#me + part.heldFiles] as number) - files;
    n[at.version] = (n[at.version] as number) + 1;
    Atomics.store(this.#words, this.#lock, 0);
    return {
      bytes: (newBytes > 0 ? newBytes : 0) - oldBytes,
      files: (newFiles > 0 ? newFiles : 0) - oldFiles,
    };
  }

  /** Begins a change of files (`by` 1), or ends it (-1). */
  touch(by: 1 | -1): void {
    const n = this.#n;
    this.#enter();
    n[at.changing] = (n[at.changing] as number) + by;
    n[this.#me + part.changing] = (n[this.#me + part.changing] as number) + by;
    n[at.version] = (n[at.version] as number) + 1;
    Atomics.store(this.#words, this.#lock, 0);
  }

  usage(): Usage {
    const n = this.#n;
    this.#enter();
    const bytes = n[at.bytes] as number;
    const files = n[at.files] as number;
    Atomics.store(this.#words, this.#lock, 0);
    return { bytes, files };
  }

  held(): Usage {
    const n = this.#n;
    this.#enter();
    const bytes = n[at.heldBytes] as number;
    const files = n[at.heldFiles] as number;
    Atomics.store(this.#words, this.#lock, 0);
    return { bytes, files };
  }

  standing(): Standing {
    const n = this.#n;
    this.#enter();
    const version = n[at.version] as number;
    const changing = n[at.changing] as number;
    Atomics.store(this.#words, this.#lock, 0);
    return { version, changing };
  }

  /** Sets the usage. With `version`: only if nothing changed since, and nothing is changing; answers whether. */
  set(usage: Usage, version?: number): boolean {
    const n = this.#n;
    const { bytes, files } = usage;
    this.#enter();
    const still = version === undefined || (n[at.version] === version && n[at.changing] === 0);
    if (still) {
      n[at.bytes] = bytes;
      n[at.files] = files;
      n[at.version] = (n[at.version] as number) + 1;
    }
    Atomics.store(this.#words, this.#lock, 0);
    return still;
  }

  /**
   * Gives back what the participant at `index` held, which is gone. Answers
   * whether it was changing files: what it did may be counted or not.
   */
  dismiss(index: number, life: number): boolean {
    const n = this.#n;
    const its = at.parts + part.size * index;
    // It cannot come back to give the lock up.
    Atomics.compareExchange(this.#words, this.#lock, life, 0);
    this.#enter();
    const changing = n[its + part.changing] as number;
    n[at.heldBytes] = (n[at.heldBytes] as number) - (n[its + part.heldBytes] as number);
    n[at.heldFiles] = (n[at.heldFiles] as number) - (n[its + part.heldFiles] as number);
    n[at.changing] = (n[at.changing] as number) - changing;
    n[its + part.heldBytes] = 0;
    n[its + part.heldFiles] = 0;
    n[its + part.changing] = 0;
    if (changing !== 0) n[at.version] = (n[at.version] as number) + 1;
    Atomics.store(this.#words, this.#lock, 0);
    return changing !== 0;
  }

  #enter(): void {
    if (Atomics.compareExchange(this.#words, this.#lock, 0, this.#life) !== 0) this.#contend();
  }

  #contend(): void {
    for (let i = 0; i < SPINS; i++) {
      if (
        Atomics.load(this.#words, this.#lock) === 0 &&
        Atomics.compareExchange(this.#words, this.#lock, 0, this.#life) === 0
      ) return;
    }
    let since = monotonic();
    let seen = 0;
    for (;;) {
      const holder = Atomics.compareExchange(this.#words, this.#lock, 0, this.#life);
      if (holder === 0) return;
      if (holder !== seen) {
        seen = holder;
        since = monotonic();
      } else if (
        monotonic() - since > DEAD_AFTER &&
        Atomics.compareExchange(this.#words, this.#lock, holder, this.#life) === holder
      ) return;
      // The holder lost its core, or collects garbage: leave it ours.
      Atomics.wait(this.#words, this.#lock, holder, 1);
    }
  }
}
