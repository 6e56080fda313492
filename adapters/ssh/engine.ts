import type { Effect, Exit, Scope } from "effect";
import type { Settings } from "../../src/config/config.ts";
import type { ActorBusy } from "../../src/errors.ts";
import type { User } from "../../src/model/user.ts";
import type { Vfs } from "../../src/vfs/vfs.ts";
import type { ByteChannel } from "./byte_channel.ts";

/** What an engine (SFTP, SCP, a command) gets from the session that it runs in. */
export interface EngineContext {
  readonly vfs: Vfs;
  readonly settings: Settings["sftpd"];
  /** Who is logged in: what `~name` and a listing's owner names may show of them. */
  readonly user?: Pick<User, "username" | "uid" | "gid">;
  /**
   * Runs one control operation (open, close, rename ...) as a message to the
   * session actor: one at a time, in order, bounded (ActorBusy when full). The
   * promise never rejects. READ and WRITE do not go this way.
   */
  readonly control: <A, E>(operation: Effect.Effect<A, E>) => Promise<Exit.Exit<A, E | ActorBusy>>;
  /** Ends the whole connection for a protocol breach; `why` goes to the log. */
  readonly disconnect: (why: string) => void;
}

/**
 * Serves one channel until its input ends, the engine is done, or the scope
 * closes. Answers the exit status to send, undefined for none. Everything the
 * engine opened is tied to the scope.
 */
export type Engine = (
  channel: ByteChannel,
  context: EngineContext,
) => Effect.Effect<number | undefined, never, Scope.Scope>;
