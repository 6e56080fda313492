import type { Handle } from "../src/vfs/vfs.ts";

/** Bytes that are collected before the storage gets them. */
const pieceSize = 512 * 1024;

type Piece = Uint8Array<ArrayBuffer>;

/**
 * Writes what comes in small chunks to a file in large pieces, one under way
 * while the next is collected: memory for two.
 */
export class PieceWriter {
  readonly #handle: Handle;
  readonly #size: number;
  readonly #free: Piece[] = [];
  #piece: Piece = new Uint8Array(0);
  #filled = 0;
  #offset: number;
  #pending: Promise<void> = Promise.resolve();

  /** `expected`: the bytes that are to come, where that is known: a small file needs no large buffer. */
  constructor(handle: Handle, { expected = pieceSize, from = 0 } = {}) {
    this.#handle = handle;
    this.#size = Math.min(pieceSize, Math.max(1, expected));
    this.#offset = from;
  }

  /** Where the next byte goes. */
  get position(): number {
    return this.#offset + this.#filled;
  }

  /** Where the next bytes may be put directly, told by {@linkcode placed}; nothing is pushed in between. Never empty. */
  room(): Piece {
    this.#provide();
    return this.#piece.subarray(this.#filled);
  }

  /** The first bytes of {@linkcode room} are there; its memory may have been transferred meanwhile. */
  async placed(bytes: Piece): Promise<void> {
    if (bytes.buffer !== this.#piece.buffer) this.#piece = new Uint8Array(bytes.buffer);
    this.#filled += bytes.length;
    if (this.#filled === this.#piece.length) await this.#flush();
  }

  /** Takes a chunk, whose memory is the caller's again after it. Rejects with what a write failed with. */
  async push(chunk: Uint8Array): Promise<void> {
    for (let from = 0; from < chunk.length;) {
      this.#provide();
      const count = Math.min(chunk.length - from, this.#piece.length - this.#filled);
      this.#piece.set(chunk.subarray(from, from + count), this.#filled);
      this.#filled += count;
      from += count;
      if (this.#filled === this.#piece.length) await this.#flush();
    }
  }

  /** Waits until the storage has all. */
  async end(): Promise<void> {
    if (this.#filled > 0) await this.#flush();
    await this.#pending;
  }

  async #flush(): Promise<void> {
    await this.#pending;
    const piece = this.#piece;
    const write = this.#handle.write(this.#offset, piece.subarray(0, this.#filled));
    this.#pending = write.then(() => {
      this.#free.push(piece);
    });
    // Who waits for it next sees the failure.
    this.#pending.catch(() => {});
    this.#offset += this.#filled;
    this.#filled = 0;
    this.#piece = this.#free.pop() ?? new Uint8Array(0);
  }

  #provide(): void {
    if (this.#piece.length === 0) this.#piece = this.#free.pop() ?? new Uint8Array(this.#size);
  }
}
