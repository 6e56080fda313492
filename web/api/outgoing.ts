import { Effect, Exit, type Scope } from "effect";
import type { Handle } from "../../src/vfs/vfs.ts";
import type { Range } from "./range.ts";

/** Bytes that are read, and sent, at a time. */
export const pieceSize = 256 * 1024;

/** The bytes of a file as a stream, read when the taker asks. The file must not become shorter meanwhile. */
export const bytesOf = (
  handle: Handle,
  range: Range,
): { readonly body: ReadableStream<Uint8Array<ArrayBuffer>>; readonly cut: () => void } => {
  let at = range.from;
  let over = false;
  let control: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined;
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start: (controller) => {
      control = controller;
      if (at < range.to) return;
      over = true;
      controller.close();
    },
    async pull(controller) {
      const into = new Uint8Array(Math.min(pieceSize, range.to - at));
      const count = await handle.read(at, into);
      if (over) return;
      // The client has to see that the file is not whole.
      if (count === 0) throw new Error("the file became shorter");
      at += count;
      controller.enqueue(count === into.length ? into : into.subarray(0, count));
      if (at < range.to) return;
      over = true;
      controller.close();
    },
    cancel: () => {
      over = true;
    },
  }, { highWaterMark: 1 });
  const cut = () => {
    if (over) return;
    over = true;
    try {
      control?.error(new Error("the session is over"));
    } catch {
      // It has ended already.
    }
  };
  return { body, cut };
};

/** The same as a response's body: the end of the scope cuts what is not sent yet, and closes the file. */
export const bodyOf = (
  handle: Handle,
  range: Range,
): Effect.Effect<ReadableStream<Uint8Array<ArrayBuffer>>, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => bytesOf(handle, range)),
      ({ cut }, exit) =>
        Effect.andThen(
          Effect.sync(cut),
          // What was read to its end is a download; the event tells it.
          Exit.isSuccess(exit) ? Effect.ignore(handle.close()) : Effect.void,
        ),
    ),
    ({ body }) => body,
  );
