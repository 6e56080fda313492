import { Data, Effect } from "effect";
import { printable } from "../../../src/vpath.ts";
import type { ByteChannel } from "../byte_channel.ts";
import { giveBack } from "../memory.ts";
import { maxLineBytes } from "./lines.ts";

/** The client went away, or said that it gives up. Nobody is left to be told. */
export class ClientGone extends Data.TaggedError("ClientGone")<{ readonly cause?: unknown }> {}

/** The client broke the protocol; `text` is sent to it and the transfer ends. */
export class Breach extends Data.TaggedError("Breach")<{ readonly text: string }> {}

/** An answer to what was sent: go on, or an error text because of which the peer skips it. */
export type Answer = { readonly ok: true } | { readonly ok: false; readonly text: string };

const encoder = new TextEncoder();
const lenient = new TextDecoder();
const nothing = new Uint8Array(0);
const newline = 0x0a;

/** The legacy SCP framing on a byte channel: lines, answers and runs of data bytes. */
export interface Wire {
  /** The next line without its newline, undefined at the end of input. */
  readonly line: Effect.Effect<Uint8Array | undefined, ClientGone | Breach>;
  /** The answer to the last thing sent: NUL, or 1 with a message; 2 is `ClientGone`. */
  readonly answer: Effect.Effect<Answer, ClientGone | Breach>;
  readonly ok: Effect.Effect<void, ClientGone>;
  /** Reports an error after which the stream goes on. */
  readonly warn: (text: string) => Effect.Effect<void, ClientGone>;
  /** Reports an error after which nothing follows. */
  readonly fatal: (text: string) => Effect.Effect<void, ClientGone>;
  readonly send: (line: string) => Effect.Effect<void, ClientGone>;
  /** Hot path: at least one and at most `most` bytes, not copied; undefined at the end of input. */
  some(most: number): Promise<Uint8Array | undefined>;
  /** Hot path: nobody looks any more at what `some` answered. */
  done(part: Uint8Array): void;
  /** Hot path: hands over `bytes`; see {@linkcode ByteChannel.write}. */
  write(bytes: Uint8Array, taken?: () => void): Promise<void>;
}

/** Frames `channel`. */
export const makeWire = (channel: ByteChannel): Wire => {
  let held: Uint8Array = nothing;

  const some = async (most: number): Promise<Uint8Array | undefined> => {
    while (held.length === 0) {
      const chunk = await channel.read();
      if (chunk === undefined) return undefined;
      held = chunk;
    }
    const part = held.length <= most ? held : held.subarray(0, most);
    held = held.subarray(part.length);
    return part;
  };

  /** `long` when no newline came within the limit, `cut` when the input ended inside a line. */
  const readLine = async (): Promise<Uint8Array | undefined | "long" | "cut"> => {
    let line: Uint8Array = nothing;
    while (true) {
      const part = await some(Infinity);
      if (part === undefined) return line.length === 0 ? undefined : "cut";
      const end = part.indexOf(newline);
      const size = line.length + (end < 0 ? part.length : end);
      if (size > maxLineBytes) return "long";
      line = joined(line, end < 0 ? part : part.subarray(0, end));
      if (end >= 0) {
        // What `some` handed out beyond the newline goes back.
        held = part.subarray(end + 1);
        return line;
      }
    }
  };

  const attempt = <A>(run: () => Promise<A>) =>
    Effect.tryPromise({ try: run, catch: (cause) => new ClientGone({ cause }) });
  const put = (bytes: Uint8Array) => attempt(() => channel.write(bytes));
  const line = Effect.gen(function* () {
    const read = yield* attempt(readLine);
    if (read === "cut") return yield* new ClientGone({});
    if (read === "long") return yield* new Breach({ text: "protocol error: line too long" });
    return read;
  });
  const complain = (level: number, text: string) => {
    const message = encoder.encode(` scp: ${printable(text)}\n`);
    message[0] = level;
    return put(message);
  };

  return {
    line,
    answer: Effect.gen(function* () {
      const code = (yield* attempt(() => some(1)))?.[0];
      if (code === undefined) return yield* new ClientGone({});
      if (code === 0) return { ok: true };
      if (code > 2) return yield* new Breach({ text: "protocol error: expected an answer" });
      const text = lenient.decode((yield* line) ?? nothing);
      if (code === 2) return yield* new ClientGone({ cause: printable(text) });
      return { ok: false, text: printable(text) };
    }),
    ok: Effect.suspend(() => put(new Uint8Array(1))),
    warn: (text) => complain(1, text),
    fatal: (text) => complain(2, text),
    send: (text) => put(encoder.encode(`${text}\n`)),
    some,
    done: (part) => {
      if (held.length === 0 || held.buffer !== part.buffer) giveBack(part);
    },
    write: (bytes, taken) => channel.write(bytes, taken),
  };
};

const joined = (head: Uint8Array, tail: Uint8Array): Uint8Array => {
  if (head.length === 0) return tail;
  const both = new Uint8Array(head.length + tail.length);
  both.set(head);
  both.set(tail, head.length);
  return both;
};
