import { Context, type Effect, type Scope } from "effect";
import type { FsError } from "../errors.ts";
import type { Reader } from "./storage.ts";

/** The object of an unfinished upload, as it is on the disk now. */
export interface Kept {
  /** Bytes that a power cut cannot take any more. */
  readonly size: number;
  /** When it last grew, Unix milliseconds. */
  readonly touched: number;
}

/**
 * Objects of uploads that outlive the connection, the thread and the process
 * that received them, by the upload's id: 32 hexadecimal digits.
 *
 * They lie out of every client's sight, no sweep takes them, and a writer with
 * `kept` publishes one without copying it. Whoever calls sees to it that one
 * caller at a time works on an id.
 */
export interface Keeping {
  /**
   * Makes the object, empty, of an upload to `key`. Fails with AlreadyExists, and
   * with Unsupported where it could not be published without a copy.
   */
  begin(id: string, key: string): Effect.Effect<void, FsError>;
  /** Takes away what was written after a `mark`, flushes the rest; undefined when there is no object. */
  look(id: string): Effect.Effect<Kept | undefined, FsError>;
  /** What is written beyond `size` does not count, whatever happens, until `unmark`. */
  mark(id: string, size: number): Effect.Effect<void, FsError>;
  unmark(id: string): Effect.Effect<void, FsError>;
  reader(id: string): Effect.Effect<Reader, FsError, Scope.Scope>;
  /** Succeeds when there is nothing, too. */
  remove(id: string): Effect.Effect<void, FsError>;
}

/** Kept objects of a storage that nobody has open, by its identity; undefined where that is not known. */
export class KeptObjects extends Context.Tag("sluice/KeptObjects")<KeptObjects, {
  readonly of: (identity: string) => Keeping | undefined;
}>() {}
