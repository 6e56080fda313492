import { Context, Layer } from "effect";

/**
 * Memory that every thread of the server sees. Plain data: it travels to a
 * worker in its first message, and is the same memory there.
 */
export interface SharedMemory {
  /** How many threads may take part at a time. */
  readonly participants: number;
  /** See {@linkcode head}. */
  readonly head: SharedArrayBuffer;
  /** One word a stripe of paths; see locks.ts. */
  readonly locks: SharedArrayBuffer;
  /** Files that are written in place; see in_place.ts. */
  readonly inPlace: SharedArrayBuffer;
  /** Whose turn it is in home directories; see storage/turns.ts. */
  readonly homes: SharedArrayBuffer;
  /** How many uploads each participant has at or below each stripe of paths; see uploads.ts. */
  readonly presence: SharedArrayBuffer;
  /** Where uploads wait to be flushed; see late_paths.ts. */
  readonly late: SharedArrayBuffer;
}

/** Words of the head: a secret that keeps hashes from being foretold, the server's tag, the last life given out, who lives. */
const head = { seed: 0, tag: 1, lastLife: 2, living: 8 } as const;

/** Stripes of paths; two paths that share one by chance wait for each other, which costs time only. */
export const stripes = 65536;
/** Stripes of paths where uploads wait to be flushed: a shared one costs such a wait, so there are many. */
export const lateStripes = 1 << 20;
/** Stripes of home directories. */
export const homeStripes = 1024;
/** Files written in place at a time, and the bytes that one takes. */
export const inPlaceSlots = 16384;
export const inPlaceBytes = (participants: number): number => 32 + 8 * Math.ceil(participants / 2);

/** Makes the memory; pages that are never used cost nothing. */
export const shareMemory = (participants: number): SharedMemory => {
  const memory: SharedMemory = {
    participants,
    head: new SharedArrayBuffer(4 * (head.living + participants)),
    locks: new SharedArrayBuffer(4 * stripes),
    inPlace: new SharedArrayBuffer(64 + inPlaceSlots * inPlaceBytes(participants)),
    homes: new SharedArrayBuffer(4 * (participants + homeStripes)),
    presence: new SharedArrayBuffer(participants > 1 ? 4 * stripes * participants : 0),
    late: new SharedArrayBuffer(latePathsBytes(participants)),
  };
  crypto.getRandomValues(new Uint32Array(2)).forEach((word, i) => {
    new Uint32Array(memory.head)[i] = word;
  });
  return memory;
};

/**
 * One thread that serves: the only one, the hub (0), or a worker (1 and up).
 *
 * A worker that is started again in the place of a dead one has another `life`,
 * so that nothing of the dead one passes for its own.
 */
export class Participant extends Context.Tag("sluice/Participant")<Participant, {
  readonly index: number;
  readonly life: number;
  readonly memory: SharedMemory;
}>() {
  /** A server of one thread, with memory of its own. */
  static readonly alone: Layer.Layer<Participant> = Layer.sync(
    Participant,
    () => admit(shareMemory(1), 0),
  );
}

/** Gives a place to a thread that is about to start. The place must be empty: see {@linkcode dismiss}. */
export const admit = (memory: SharedMemory, index: number): typeof Participant.Service => {
  const words = new Int32Array(memory.head);
  const life = Atomics.add(words, head.lastLife, 1) + 1;
  Atomics.store(words, head.living + index, life);
  return { index, life, memory };
};

/** The thread at `index` is gone; answers the life that ended, 0 for none. */
export const dismiss = (memory: SharedMemory, index: number): number =>
  Atomics.exchange(new Int32Array(memory.head), head.living + index, 0);

/** The lives of all that have a place, but for the hub: those at work, and dead ones that were not dismissed yet. */
export const workerLives = (memory: SharedMemory): ReadonlyArray<number> =>
  [...new Int32Array(memory.head).subarray(head.living + 1)].filter((life) => life !== 0);

/** Whether a thread of this server that bears the number is alive. */
export const isAlive = (memory: SharedMemory, life: number): boolean => {
  const words = new Int32Array(memory.head);
  for (let i = 0; i < memory.participants; i++) {
    if (Atomics.load(words, head.living + i) === life) return true;
  }
  return false;
};

/** Tells this run of the server from others that may work on the same files; 32 bits. */
export const serverTag = (memory: SharedMemory): number =>
  new Uint32Array(memory.head)[head.tag] as number;

export const hashSeed = (memory: SharedMemory): number =>
  new Int32Array(memory.head)[head.seed] as number;

/** Bytes of the memory of late_paths.ts. */
const latePathsBytes = (participants: number): number =>
  participants > 1 ? 4 * (lateStripes + 2 * participants) : 0;

/** The stripe of a path among {@linkcode stripes}. */
export const stripeOf = (seed: number, name: string): number =>
  pathHash(seed, name) & (stripes - 1);

/** FNV-1a over UTF-16 units from a secret start, mixed: the same in every thread, and no client can aim at a stripe. */
export const pathHash = (seed: number, name: string): number => {
  let hash = seed ^ 0x811c9dc5;
  for (let i = 0; i < name.length; i++) {
    hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  }
  return hash ^ (hash >>> 15);
};
