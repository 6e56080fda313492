import { Effect } from "effect";
import type { ByteChannel } from "../byte_channel.ts";

const encoder = new TextEncoder();

/** Standard output and error of a command, as text. A lost connection is not the command's failure. */
export interface Terminal {
  readonly print: (text: string) => Effect.Effect<void>;
  readonly complain: (text: string) => Effect.Effect<void>;
}

/** Writes whole lines to `channel`, waiting while its backlog is full. */
export const terminal = (channel: ByteChannel): Terminal => ({
  print: (text) =>
    Effect.ignore(Effect.tryPromise(() => channel.write(encoder.encode(`${text}\n`)))),
  complain: (text) =>
    Effect.ignore(Effect.tryPromise(() => channel.writeError(encoder.encode(`${text}\n`)))),
});
