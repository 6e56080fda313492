import { FsError } from "../../../src/errors.ts";
import type { Handle } from "../../../src/vfs/vfs.ts";
import type { Wire } from "./wire.ts";

/** Most bytes of one upload that the storage has not taken yet. */
export const maxInFlight = 1024 * 1024;

/** How the data of one file ended. `failure` is what the first failed write rejected with. */
export interface Received {
  readonly complete: boolean;
  readonly failure?: FsError;
}

/**
 * Moves `size` bytes from the wire into `handle`, chunks as they arrive.
 *
 * Reading stops while {@linkcode maxInFlight} bytes wait for the storage.
 * After a failed write the rest is read and dropped, so that the stream stays
 * in step as OpenSSH's sink does. Resolves when no write is under way; rejects
 * only when the connection is lost.
 */
export const receive = async (
  wire: Wire,
  handle: Handle,
  size: number,
  signal: AbortSignal,
): Promise<Received> => {
  const state: { inFlight: number; failure?: FsError; wake?: () => void } = { inFlight: 0 };
  const store = (offset: number, chunk: Uint8Array): void => {
    state.inFlight += chunk.length;
    const done = () => {
      state.inFlight -= chunk.length;
      wire.done(chunk);
      state.wake?.();
    };
    handle.write(offset, chunk).then(done, (error) => {
      state.failure ??= asFsError(error, "write", handle.path);
      done();
    });
  };
  const below = async (limit: number): Promise<void> => {
    while (state.inFlight > limit) {
      await new Promise<void>((resolve) => state.wake = resolve);
    }
  };

  let offset = 0;
  try {
    while (offset < size && !signal.aborted) {
      const chunk = await wire.some(size - offset);
      if (chunk === undefined) break;
      if (!state.failure) store(offset, chunk);
      offset += chunk.length;
      if (state.inFlight > maxInFlight) await below(maxInFlight / 2);
    }
  } finally {
    await below(0);
  }
  return { complete: offset === size, ...(state.failure && { failure: state.failure }) };
};

/** What a handle rejected with. Handles promise FsError; anything else is shown as an outage. */
export const asFsError = (cause: unknown, op: string, path: string): FsError =>
  cause instanceof FsError ? cause : new FsError({ reason: "Unavailable", op, path, cause });
