import { type Chunk, Effect, type Fiber, type Option, type Scope } from "effect";
import { atMost } from "../../../src/at_most.ts";
import type { FsError } from "../../../src/errors.ts";
import type { Entry } from "../../../src/model/entry.ts";
import type { OwnedHandle } from "../../../src/vfs/vfs.ts";
import { putU32 } from "./encoder.ts";
import { InOrder } from "./in_order.ts";
import { Turns } from "./turns.ts";

/** An open file. */
export class OpenFile {
  readonly kind = "file";
  readonly turns: Turns;
  /** Answers to READ leave in the order of the requests. */
  readonly reads = new InOrder();
  /** Lets it go, closed or not; an upload that was not closed is aborted. May be repeated. */
  readonly leave: Effect.Effect<void>;

  constructor(readonly handle: OwnedHandle, append: boolean) {
    this.turns = new Turns(append);
    this.leave = Effect.andThen(settled(this.turns), Effect.suspend(() => handle.leave()));
  }
}

/**
 * Waits, before a file is let go, for what still reads or writes it: a
 * descriptor that is closed under a write may be another file's by then. The
 * wait is bounded; a storage that hangs must not keep the session from ending.
 */
const settled = (turns: Turns): Effect.Effect<void> =>
  Effect.suspend(() => {
    turns.stop();
    if (turns.quiet) return Effect.void;
    return atMost("10 seconds")(Effect.promise(() => turns.idle()));
  });

/** One piece of a listing. */
export interface Piece {
  readonly entries: ReadonlyArray<Entry>;
  /** Set by the end of the listing; with an error, every later READDIR answers it. */
  readonly ended: { readonly error?: FsError } | undefined;
}

/** An open directory: what was pulled from its listing and not sent yet. */
export interface OpenDirectory {
  readonly kind: "directory";
  readonly scope: Scope.CloseableScope;
  readonly pull: Effect.Effect<Chunk.Chunk<Entry>, Option.Option<FsError>>;
  piece: Piece;
  at: number;
  /** Fetches the piece after this one. */
  ahead: Fiber.RuntimeFiber<Piece> | undefined;
}

export type Opened = OpenFile | OpenDirectory;

interface Slot {
  readonly nonce: number;
  opened: Opened | undefined;
  closing: boolean;
}

/**
 * The open handles of one channel.
 *
 * A handle is a slot number and a random word: opaque to the client, found
 * without hashing, and not valid again when the slot is used anew.
 */
export class Handles {
  #slots: Array<Slot | undefined> = [];
  #free: number[] = [];
  #used = 0;

  constructor(private readonly max: number) {}

  get size(): number {
    return this.#used;
  }

  /** Takes a slot before the open, so that the limit holds; undefined at the limit. */
  reserve(): number | undefined {
    if (this.#used >= this.max) return undefined;
    this.#used++;
    const index = this.#free.pop() ?? this.#slots.length;
    const nonce = crypto.getRandomValues(new Uint32Array(1))[0]!;
    this.#slots[index] = { nonce, opened: undefined, closing: false };
    return index;
  }

  /** Fills a reserved slot; answers the 8 bytes that the client will send. */
  fill(index: number, opened: Opened): Uint8Array {
    const slot = this.#slots[index]!;
    slot.opened = opened;
    const id = new Uint8Array(8);
    putU32(id, 0, index);
    putU32(id, 4, slot.nonce);
    return id;
  }

  free(index: number): void {
    if (this.#slots[index] === undefined) return;
    this.#slots[index] = undefined;
    this.#free.push(index);
    this.#used--;
  }

  get(id: Uint8Array): Opened | undefined {
    const slot = this.#find(id);
    return slot && !slot.closing ? slot.opened : undefined;
  }

  /** Marks as closing: later requests do not see it, the slot stays taken until `free`. */
  take(id: Uint8Array): { readonly index: number; readonly opened: Opened } | undefined {
    const slot = this.#find(id);
    if (!slot?.opened || slot.closing) return undefined;
    slot.closing = true;
    return { index: word(id, 0), opened: slot.opened };
  }

  /** Every handle still open, closing ones too. */
  *all(): Iterable<Opened> {
    for (const slot of this.#slots) if (slot?.opened) yield slot.opened;
  }

  #find(id: Uint8Array): Slot | undefined {
    if (id.length !== 8) return undefined;
    const slot = this.#slots[word(id, 0)];
    return slot && slot.nonce === word(id, 4) ? slot : undefined;
  }
}

const word = (b: Uint8Array, at: number): number =>
  ((b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!) >>> 0;
