import type { Handle } from "../../src/vfs/vfs.ts";

/** Bytes that are collected before the storage gets them. */
const pieceSize = 512 * 1024;

/**
 * Writes what comes in small chunks to a file in large pieces, one under way
 * while the next is collected: memory for two.
 */
export class PieceWriter {
  readonly #handle: Handle;
  readonly #size: number;
  #free: Uint8Array[] = [];
  #piece: Uint8Array = new Uint8Array(0);
  #filled = 0;
  #offset = 0;
  #pending: Promise<void> = Promise.resolve();

  /** `expected`: the bytes that are to come, where that is known: a small file needs no large buffer. */
  constructor(handle: Handle, expected = pieceSize) {
    this.#handle = handle;
    this.#size = Math.min(pieceSize, Math.max(1, expected));
  }

  /** Bytes taken so far. */
  get length(): number {
    return this.#offset + this.#filled;
  }

  /** Takes a chunk, whose memory is the caller's again after it. Rejects with what a write failed with. */
  async push(chunk: Uint8Array): Promise<void> {
    for (let from = 0; from < chunk.length;) {
      if (this.#piece.length === 0) this.#piece = this.#free.pop() ?? new Uint8Array(this.#size);
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
}

/**
 * Writes a request's body to a file. Rejects when the body is cut, also by the
 * measure of its own `Content-Length`: the upload is then not to be closed.
 */
export const receive = async (
  request: Request,
  handle: Handle,
  signal: AbortSignal,
): Promise<void> => {
  const reader = request.body?.getReader();
  const promised = request.headers.get("content-length");
  const writer = new PieceWriter(handle, promised === null ? undefined : Number(promised));
  const stop = () => void reader?.cancel().catch(() => {});
  signal.addEventListener("abort", stop);
  try {
    while (reader) {
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      if (done) break;
      await writer.push(value);
    }
    await writer.end();
  } catch (error) {
    await reader?.cancel().catch(() => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
  if (promised !== null && Number(promised) !== writer.length) throw new Error("cut");
};
