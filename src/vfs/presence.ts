import { hashSeed, type Participant, stripeOf, stripes } from "../participant.ts";

const slash = 0x2f;

/**
 * Tells each thread where others may have uploads: a count for every stripe of
 * paths, of the uploads at or below a path of that stripe. Each participant
 * counts in memory of its own, which all may read.
 */
export class Presence {
  readonly #counts: Int32Array<SharedArrayBuffer>;
  readonly #seed: number;
  readonly #mine: number;
  readonly #all: number;

  constructor({ memory, index }: typeof Participant.Service) {
    this.#counts = new Int32Array(memory.presence);
    this.#seed = hashSeed(memory);
    this.#mine = stripes * index;
    this.#all = this.#counts.length;
  }

  /** Notes an upload to `key`; the answer takes it back. */
  appear(identity: string, key: string): () => void {
    // Alone there is nobody to tell.
    if (this.#all === 0) return nothing;
    const at = lineageStripes(this.#seed, identity, key);
    for (const stripe of at) Atomics.add(this.#counts, this.#mine + stripe, 1);
    return () => {
      for (const stripe of at) Atomics.sub(this.#counts, this.#mine + stripe, 1);
    };
  }

  /** Whether another thread may have an upload at or below `key`. */
  elsewhere(identity: string, key: string): boolean {
    if (this.#all === 0) return false;
    const stripe = stripeOf(this.#seed, key === "/" ? identity : identity + key);
    for (let from = 0; from < this.#all; from += stripes) {
      if (from !== this.#mine && Atomics.load(this.#counts, from + stripe) > 0) return true;
    }
    return false;
  }

  /** Forgets the uploads of a participant that is gone. */
  dismiss(index: number): void {
    if (this.#all > 0) this.#counts.fill(0, stripes * index, stripes * (index + 1));
  }
}

const nothing = () => {};

/** The stripes of the root, of every directory on the way, and of `key` itself, in one pass. */
const lineageStripes = (seed: number, identity: string, key: string): ReadonlyArray<number> => {
  let hash = seed ^ 0x811c9dc5;
  for (let i = 0; i < identity.length; i++) {
    hash = Math.imul(hash ^ identity.charCodeAt(i), 0x01000193);
  }
  const stripe = () => (hash ^ (hash >>> 15)) & (stripes - 1);
  const found = [stripe()];
  // The root's key is "/"; below it a directory ends where the next slash begins.
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i);
    if (code === slash && i > 0) found.push(stripe());
    hash = Math.imul(hash ^ code, 0x01000193);
  }
  if (key !== "/") found.push(stripe());
  return found;
};
