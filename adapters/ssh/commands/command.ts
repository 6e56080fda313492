import type { Effect } from "effect";
import type { Vfs } from "../../../src/vfs/vfs.ts";
import type { ByteChannel } from "../byte_channel.ts";
import type { Terminal } from "./terminal.ts";

/** What a running command sees. `words` are its arguments, options and `--` taken off. */
export interface Invocation {
  readonly words: ReadonlyArray<string>;
  readonly vfs: Vfs;
  readonly channel: ByteChannel;
  readonly terminal: Terminal;
}

/** One built-in command. No command takes options; `run` answers the exit status. */
export interface Command {
  readonly usage: string;
  readonly least: number;
  readonly most: number;
  readonly run: (invocation: Invocation) => Effect.Effect<number>;
}
