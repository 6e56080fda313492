import type { Handle } from "../src/vfs/vfs.ts";
import { PieceWriter } from "./piece_writer.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Read = { readonly done: boolean; readonly value?: Bytes | undefined };

/** Reads a body into memory of the caller, where the stream can; `cancel` ends it. */
interface BodyReader {
  read(room: () => Bytes): Promise<Read & { readonly placed: boolean }>;
  cancel(): Promise<void>;
}

/** A body of the network's is a stream of bytes (Streams, section 4.7); one that was made here need not be. */
const readerOf = (body: ReadableStream<Bytes>): BodyReader => {
  let byob: ReadableStreamBYOBReader;
  try {
    byob = body.getReader({ mode: "byob" });
  } catch {
    const reader = body.getReader();
    return {
      read: async () => ({ ...await reader.read(), placed: false }),
      cancel: () => reader.cancel(),
    };
  }
  return {
    read: async (room) => ({ ...await byob.read(room()), placed: true }),
    cancel: () => byob.cancel(),
  };
};

/**
 * Writes a request's body to a file as it comes. Rejects with what the storage
 * says, and when the body is cut, also by the measure of its own
 * `Content-Length`: the upload is then not to be closed.
 */
export const receiveBody = async (
  request: Request,
  handle: Handle,
  signal: AbortSignal,
): Promise<void> => {
  const promised = request.headers.get("content-length");
  const expected = promised === null ? undefined : Number(promised);
  const reader = request.body ? readerOf(request.body) : undefined;
  const writer = new PieceWriter(handle, expected === undefined ? {} : { expected });
  const stop = () => void reader?.cancel().catch(() => {});
  signal.addEventListener("abort", stop);
  const room = () => writer.room();
  try {
    while (reader) {
      const { done, value, placed } = await reader.read(room);
      signal.throwIfAborted();
      // The memory comes back with the end, too, and only a cancelled stream keeps it.
      if (placed) await writer.placed(value ?? lost());
      else if (value) await writer.push(value);
      if (done) break;
    }
    await writer.end();
  } catch (error) {
    stop();
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
  if (expected !== undefined && expected !== writer.position) throw new Error("cut");
};

const lost = (): never => {
  throw new Error("cut");
};
