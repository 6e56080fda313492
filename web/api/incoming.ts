import { PieceWriter } from "../../actors/piece_writer.ts";
import type { Handle } from "../../src/vfs/vfs.ts";

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
  const writer = new PieceWriter(
    handle,
    promised === null ? {} : { expected: Number(promised) },
  );
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
  if (promised !== null && Number(promised) !== writer.position) throw new Error("cut");
};
