import { createHash } from "node:crypto";
import {
  admit,
  inPlaceBytes,
  inPlaceSlots,
  type Participant,
  shareMemory,
} from "../participant.ts";

/** Words of the table: a lock, and how many uploads in place there are. */
const table = { lock: 0, live: 1, bytes: 64 } as const;
/** Words of one file: its digest, its counted size (8 bytes), uploads in all, uploads of each participant. */
const file = { digest: 0, size: 4, uploads: 6, parts: 8 } as const;
/** Places where a file may be, from the one that its digest names. */
const reach = 64;

/**
 * Files that uploads write in place, over all threads, with the size that the
 * quota counts for each. That is not the size on disk: new bytes are only held
 * until the upload is closed.
 *
 * A table in shared memory, found by SHA-256, because two files that were taken
 * for one would make a quota wrong. While it is empty, a question costs one load.
 */
export class InPlace {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #sizes: Float64Array<SharedArrayBuffer>;
  readonly #stride: number;
  readonly #index: number;
  readonly #life: number;

  constructor({ memory, index, life }: typeof Participant.Service = admit(shareMemory(1), 0)) {
    this.#words = new Int32Array(memory.inPlace);
    this.#sizes = new Float64Array(memory.inPlace);
    this.#stride = inPlaceBytes(memory.participants) / 4;
    this.#index = index;
    this.#life = life;
  }

  /** Whether any file is written in place, anywhere. */
  get any(): boolean {
    return Atomics.load(this.#words, table.live) > 0;
  }

  /** Notes an upload to `name`; `size` is what the quota counts, unless an earlier upload knows better. False: no room. */
  enter(name: string, size: number | undefined): boolean {
    return this.#locked(name, (at, free) => {
      const slot = at ?? free?.at;
      if (slot === undefined) return false;
      const words = this.#words;
      if (at === undefined && free) {
        words.set(free.digest, slot);
        this.#setSize(slot, size);
      }
      words[slot + file.uploads] = (words[slot + file.uploads] as number) + 1;
      words[slot + file.parts + this.#index] = (words[slot + file.parts + this.#index] as number) +
        1;
      Atomics.add(words, table.live, 1);
      return true;
    });
  }

  leave(name: string): void {
    this.#locked(name, (at) => {
      if (at === undefined) return;
      const words = this.#words;
      words[at + file.uploads] = (words[at + file.uploads] as number) - 1;
      words[at + file.parts + this.#index] = (words[at + file.parts + this.#index] as number) - 1;
      Atomics.sub(words, table.live, 1);
    });
  }

  /** What the quota counts for a file that is written in place; undefined when it is not one. */
  counted(name: string): { readonly size: number | undefined } | undefined {
    return this.#locked(name, (at) => {
      if (at === undefined) return undefined;
      const size = this.#sizes[(at + file.size) / 2] as number;
      return { size: size < 0 ? undefined : size };
    });
  }

  /** The quota counts another size now; undefined when the file is gone. */
  recount(name: string, size: number | undefined): void {
    this.#locked(name, (at) => {
      if (at !== undefined) this.#setSize(at, size);
    });
  }

  /** Forgets the uploads of a participant that is gone. */
  dismiss(index: number, life: number): void {
    const words = this.#words;
    Atomics.compareExchange(words, table.lock, life, 0);
    this.#enter();
    for (let i = 0; i < inPlaceSlots; i++) {
      const at = this.#slot(i);
      const its = words[at + file.parts + index] as number;
      if (its === 0) continue;
      words[at + file.uploads] = (words[at + file.uploads] as number) - its;
      words[at + file.parts + index] = 0;
      Atomics.sub(words, table.live, its);
    }
    Atomics.store(words, table.lock, 0);
  }

  #slot(i: number): number {
    return table.bytes / 4 + this.#stride * i;
  }

  #setSize(at: number, size: number | undefined): void {
    this.#sizes[(at + file.size) / 2] = size ?? -1;
  }

  /** Runs `turn` alone, with the place of `name` and, if it has none, one that is free. */
  #locked<A>(
    name: string,
    turn: (at: number | undefined, free?: { at: number; digest: Int32Array }) => A,
  ): A {
    const hash = createHash("sha256").update(name).digest();
    const digest = Int32Array.from([0, 4, 8, 12], (offset) => hash.readInt32LE(offset));
    const first = hash.readUInt32LE(16);
    this.#enter();
    try {
      let free: number | undefined;
      for (let i = 0; i < reach; i++) {
        const at = this.#slot((first + i) % inPlaceSlots);
        if (this.#words[at + file.uploads] === 0) free ??= at;
        else if (digest.every((word, j) => this.#words[at + j] === word)) return turn(at);
      }
      return turn(undefined, free === undefined ? undefined : { at: free, digest });
    } finally {
      Atomics.store(this.#words, table.lock, 0);
    }
  }

  #enter(): void {
    for (let i = 1; Atomics.compareExchange(this.#words, table.lock, 0, this.#life) !== 0; i++) {
      if (i % 1000 === 0) Atomics.wait(this.#words, 3, 0, 1);
    }
  }
}
