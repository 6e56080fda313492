import { createHash, timingSafeEqual } from "node:crypto";
import { Effect } from "effect";
import { FsError } from "../../../src/errors.ts";
import type { Part, Resumable } from "../../../src/vfs/resumable.ts";
import { type ApiError, refuse } from "../failure.ts";
import type { Checksum } from "./headers.ts";

/** Bytes that are collected before the storage gets them. */
const piece = 512 * 1024;

/**
 * Adds a request's body to an upload, and answers how it stands then. What
 * arrived of a body that is cut stays, unless a checksum goes with it.
 */
export const receive = (
  request: Request,
  part: Part,
  checksum: Checksum | undefined,
): Effect.Effect<Resumable, FsError | ApiError> =>
  Effect.gen(function* () {
    const hash = checksum && createHash(checksum.algorithm);
    yield* Effect.raceFirst(
      Effect.tryPromise({
        try: (signal) => copy(request, part, signal, (bytes) => hash?.update(bytes)),
        catch: (error) =>
          error instanceof FsError ? error : refuse(400, "the body ended before its end"),
      }),
      Effect.andThen(part.wanted, Effect.fail(refuse(409, "another request goes on with this"))),
    );
    if (checksum && hash && !timingSafeEqual(hash.digest(), checksum.digest)) {
      yield* part.undo();
      return yield* refuse(460, "the checksum is another");
    }
    return yield* part.end();
  });

/** Writes in large pieces; the next is read only when the storage took the last. */
const copy = async (
  request: Request,
  part: Part,
  signal: AbortSignal,
  seen: (bytes: Uint8Array) => void,
): Promise<void> => {
  const reader = request.body?.getReader();
  if (!reader) return;
  const stop = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", stop);
  let buffer = new Uint8Array(0);
  let filled = 0;
  let received = 0;
  const flush = async () => {
    if (filled === 0) return;
    const bytes = buffer.subarray(0, filled);
    filled = 0;
    seen(bytes);
    await part.write(bytes);
  };
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(async (error) => {
        // Cut: what came is worth keeping.
        await flush();
        throw error;
      });
      signal.throwIfAborted();
      if (done) break;
      if (buffer.length === 0) buffer = new Uint8Array(piece);
      for (let from = 0; from < value.length;) {
        const count = Math.min(value.length - from, buffer.length - filled);
        buffer.set(value.subarray(from, from + count), filled);
        filled += count;
        from += count;
        if (filled === buffer.length) await flush();
      }
      received += value.length;
    }
    await flush();
  } catch (error) {
    stop();
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
  const promised = request.headers.get("content-length");
  if (promised !== null && Number(promised) !== received) throw new Error("cut");
};
