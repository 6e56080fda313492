import type { Effect } from "effect";

/**
 * A duplex byte stream to one client: an SSH channel, seen by the engines that run on it.
 *
 * Input is pulled: a chunk is delivered, and no further one before the engine
 * has asked for it, so an engine that stops reading stops the client. Output
 * is bounded: `write` resolves when the bytes were handed to the connection
 * and its unsent backlog is below the connection's budget.
 */
export interface ByteChannel {
  /**
   * The next chunk, which is the caller's from now on (and may be of borrowed memory, see
   * `memory.ts`), or undefined at end of input. Rejects when the connection is lost.
   */
  read(): Promise<Uint8Array | undefined>;
  /**
   * Where the channel can: hands all input to `sink` as it comes, instead of `read`. A chunk is
   * good only during the call. The client is let send more by `took` alone, so it is told of every
   * byte once the engine has no more use for it. Resolves at end of input; rejects when the
   * connection is lost.
   */
  readonly pour?: (sink: (chunk: Uint8Array) => void) => Promise<void>;
  readonly took?: (bytes: number) => void;
  /**
   * Queues bytes, which must stay as they are until `taken` is called. Resolves at
   * once while the backlog is small, else when it drained; rejects when the
   * connection is lost.
   */
  write(bytes: Uint8Array, taken?: () => void): Promise<void>;
  /** SSH extended data type 1 (RFC 4254 section 5.2). */
  writeError(bytes: Uint8Array): Promise<void>;
  /** Bytes accepted by `write` that the socket has not sent yet. */
  readonly backlog: number;
  /** Sends the exit status, end of file and close. Idempotent. */
  close(exitStatus?: number): Effect.Effect<void>;
}
