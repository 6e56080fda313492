import { Effect, Exit, type Scope } from "effect";
import type { Handle } from "../src/vfs/vfs.ts";
import { detach } from "./detach.ts";
import type { Range } from "./http_ranges.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A part of a body: bytes of the file, or bytes as they are. */
export type BodyPart = Range | Bytes;

export interface FileBody {
  readonly body: ReadableStream<Bytes>;
  /** Ends it with an error, so that nobody takes it for whole; nothing once it has ended. */
  readonly cut: () => void;
}

/** Bytes that are read, and sent, at a time. */
const pieceSize = 256 * 1024;

const lenders = new WeakMap<ReadableStream, () => void>();

/**
 * Says that the runtime's HTTP takes this body: it holds a chunk's memory by itself
 * before it asks for the next one, so ours can be detached. Does nothing to
 * streams that are not of {@linkcode fileBody}.
 */
export const takenByRuntime = (body: ReadableStream | null): void => {
  if (body) lenders.get(body)?.();
};

/** Parts of a file as a stream, read when the taker asks. Fails where the file became shorter meanwhile. */
export const fileBody = (handle: Handle, parts: ReadonlyArray<BodyPart>): FileBody => {
  const left = parts.filter((part) => part instanceof Uint8Array || part.from < part.to);
  let read = 0;
  let over = false;
  let lends = false;
  let last: Bytes | undefined;
  let control: ReadableStreamDefaultController<Bytes> | undefined;
  const closeAtEnd = (controller: ReadableStreamDefaultController<Bytes>) => {
    if (left.length > 0) return;
    over = true;
    controller.close();
  };
  const body = new ReadableStream<Bytes>({
    start: (controller) => {
      control = controller;
      closeAtEnd(controller);
    },
    async pull(controller) {
      const [part] = left;
      if (part === undefined) return;
      if (part instanceof Uint8Array) {
        left.shift();
        controller.enqueue(part);
        return closeAtEnd(controller);
      }
      const at = part.from + read;
      const into = new Uint8Array(Math.min(pieceSize, part.to - at));
      const count = await handle.read(at, into);
      if (lends && last) detach(last);
      last = into;
      if (over) return;
      if (count === 0) throw new Error("the file became shorter");
      controller.enqueue(count === into.length ? into : into.subarray(0, count));
      read += count;
      if (at + count < part.to) return;
      read = 0;
      left.shift();
      closeAtEnd(controller);
    },
    cancel: () => {
      over = true;
    },
  }, { highWaterMark: 1 });
  lenders.set(body, () => {
    lends = true;
  });
  const cut = () => {
    if (over) return;
    over = true;
    control?.error(new Error("the session is over"));
  };
  return { body, cut };
};

/** The same as a response's body: the end of the scope cuts what is not sent yet, and closes the file. */
export const responseBody = (
  handle: Handle,
  parts: ReadonlyArray<BodyPart>,
): Effect.Effect<ReadableStream<Bytes>, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => fileBody(handle, parts)),
      ({ cut }, exit) =>
        Effect.andThen(
          Effect.sync(cut),
          // What was read to its end is a download; the event tells it.
          Exit.isSuccess(exit) ? Effect.ignore(handle.close()) : Effect.void,
        ),
    ),
    ({ body }) => body,
  );
