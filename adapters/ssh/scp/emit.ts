import type { FsError } from "../../../src/errors.ts";
import type { Handle } from "../../../src/vfs/vfs.ts";
import { borrow, giveBack } from "../memory.ts";
import { asFsError } from "./receive.ts";
import type { Wire } from "./wire.ts";

/** Bytes of one read. */
export const chunkBytes = 256 * 1024;

/** `failure` is what a read rejected with; `shrunk` that the file ended early. Both were padded. */
export interface Emitted {
  readonly shrunk: boolean;
  readonly failure?: FsError;
}

/**
 * Sends exactly `size` bytes of `handle`, reading one chunk ahead of the wire.
 *
 * The size was announced and cannot be taken back: what can no longer be read
 * is sent as zeros and reported afterwards, as OpenSSH's source does; what was
 * added meanwhile is not sent. Rejects only when the connection is lost.
 */
export const emit = async (
  wire: Wire,
  handle: Handle,
  size: number,
  signal: AbortSignal,
): Promise<Emitted> => {
  let failure: FsError | undefined;
  const fetch = async (offset: number): Promise<Uint8Array> => {
    // The channel keeps what it is given until it was sent.
    const into = borrow(Math.min(chunkBytes, size - offset));
    if (into.length === 0) return into;
    try {
      return into.subarray(0, await handle.read(offset, into));
    } catch (error) {
      failure = asFsError(error, "read", handle.path);
      giveBack(into);
      return new Uint8Array(0);
    }
  };

  let offset = 0;
  let next = fetch(0);
  try {
    while (offset < size && !signal.aborted) {
      const chunk = await next;
      if (chunk.length === 0) break;
      offset += chunk.length;
      next = fetch(offset);
      await wire.write(chunk, () => giveBack(chunk));
    }
  } finally {
    await next;
  }
  const shrunk = offset < size;
  for (; offset < size && !signal.aborted;) {
    const zeros = new Uint8Array(Math.min(chunkBytes, size - offset));
    offset += zeros.length;
    await wire.write(zeros);
  }
  return { shrunk, ...(failure && { failure }) };
};
