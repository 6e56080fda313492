import type { Effect, Scope, Stream } from "effect";
import type { FsError } from "../errors.ts";
import type { Attributes, Entry } from "../model/entry.ts";
import type { Unflushed } from "../events/journal.ts";
import type { Redo, Redoing } from "./redo.ts";
import type { Capabilities } from "./capabilities.ts";
import type { Keeping } from "./kept.ts";

/**
 * Reads one file at any offset.
 *
 * Hot path: plain promises and a caller-owned buffer, no Effect per chunk.
 * `readAt` resolves with the bytes read, 0 at the end of the file, and rejects
 * with {@linkcode FsError}. Calls may overlap.
 */
export interface Reader {
  /** The file as it was when it was opened. */
  readonly entry: Entry;
  /** The open file as it is now, whatever its name stands for by then. */
  stat(): Promise<Entry>;
  readAt(offset: number, into: Uint8Array): Promise<number>;
}

/**
 * Writes one file.
 *
 * Nothing written is visible under the final key before `commit()` (unless the
 * mode was `direct`, or `update` that only extends). Leaving the scope without
 * `commit()` leaves no trace. Every promise rejects with {@linkcode FsError}.
 * Calls to `writeAt` may overlap on different ranges where `can.write` is `random`.
 */
export interface Writer {
  /** Bytes the file would have if it were committed now. */
  readonly size: number;
  /** Key of the temporary object, if there is one: crash recovery looks for it. */
  readonly staged?: string | undefined;
  /** Does ahead what the first write would have to. What fails is told by that write. */
  prepare?(): void;
  /**
   * For an upload whose whole content is small: sets `attributes` and answers
   * what the intent log has to keep, after which its `commit` takes the place
   * of the writer's own. Undefined where the writer has to flush by itself.
   * Throws FsError.
   */
  redo?(attributes?: Attributes): Logged | undefined;
  /** `chunk` is lent: when the promise settles its memory is used again, so nothing may keep it. */
  writeAt(offset: number, chunk: Uint8Array): Promise<void>;
  /** Reads back what this writer would commit; for read-write handles. */
  readAt(offset: number, into: Uint8Array): Promise<number>;
  truncate(size: number): Promise<void>;
  /** fsync, or the store's equivalent. */
  sync(): Promise<void>;
  /**
   * Publishes: fsync file, rename, fsync directory; or completes the multipart
   * upload. The old content, if any, is untouched until this succeeds.
   */
  commit(attributes?: Attributes): Promise<Entry>;
  /**
   * Keeps what was received in order, after a cut: in place where the writer
   * extends, else (`upload_mode` 2) under the key, but only if no object was
   * there; fails with Conflict otherwise. Never mixes old and new content.
   */
  keepPartial(): Promise<Entry>;
}

/**
 * `create` fails with AlreadyExists. `replace` starts empty and replaces on
 * commit. `update` starts from the existing content (or empty).
 */
export type WriteMode = "create" | "replace" | "update";

export interface WriteOptions {
  readonly mode: WriteMode;
  /** Write straight to the key, without a temporary object (`upload_mode` 0). */
  readonly direct?: boolean;
  /** Permission bits for a new file. */
  readonly permissions?: number;
  /** What need not be there yet is made by `prepare`, or when it is first needed. */
  readonly lazy?: boolean;
  /** `redo` will be asked for at commit: a flush before that is not worth its time. */
  readonly redo?: boolean;
  /**
   * Goes on with the object of this unfinished upload (kept.ts), which is there.
   * Its `commit` publishes the object; without one the object stays as it is.
   */
  readonly kept?: string;
}

/** A small upload as the intent log keeps it. */
export interface Logged {
  readonly redo: Redo;
  readonly content: Uint8Array;
  /** Publishes at once, and flushes nothing: `unflushed` is what has to be, later. Throws FsError. */
  commit(): { readonly entry: Entry; readonly unflushed: Unflushed };
}

/** What is held without a scope: `release`, called once, gives it back and never throws. */
export interface Releasable {
  release(): void;
}

/**
 * What every file costs, for a storage that need not wait for it: small files
 * come by the thousand, and the machinery of waiting takes longer than the
 * work. All of it throws FsError.
 */
export interface AtOnce {
  /** As `stat` or `lstat`; undefined when there is nothing under that name. */
  find(key: string, follow: boolean): Entry | undefined;
  reader(key: string): Reader & Releasable;
  writer(key: string, options: WriteOptions): Writer & Releasable;
}

/** Space of the volume behind a storage, in bytes and inodes. */
export interface Space {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly totalFiles: number;
  readonly freeFiles: number;
}

/**
 * The storage port: one user's home or one folder, addressed by key.
 *
 * A key is a canonical virtual path relative to the storage's own root, with
 * the same grammar as VPath (`/`, `/a/b`). Implementations confine themselves
 * to their root, whatever links lie on disk. Control calls are Effects; data
 * moves through scoped handles with plain promises. Operations a store lacks
 * fail with `Unsupported`.
 */
export interface Storage {
  /** `local`, `memory`, `s3` ...: for logs, never for branching. */
  readonly scheme: string;
  /** The same for two storages exactly when they show the same objects: uploads in progress are shared by it. */
  readonly identity: string;
  readonly can: Capabilities;
  /** Follows links that stay inside the root. */
  stat(key: string): Effect.Effect<Entry, FsError>;
  lstat(key: string): Effect.Effect<Entry, FsError>;
  /** Unordered, paged lazily, without `.`, `..` and the storage's own temporary files. */
  list(key: string): Stream.Stream<Entry, FsError>;
  reader(key: string): Effect.Effect<Reader, FsError, Scope.Scope>;
  writer(key: string, options: WriteOptions): Effect.Effect<Writer, FsError, Scope.Scope>;
  mkdir(key: string, mode?: number): Effect.Effect<void, FsError>;
  /** Removes a file or a link, never a directory (IsDirectory). */
  remove(key: string): Effect.Effect<void, FsError>;
  /** Removes an empty directory (NotEmpty, NotDirectory). */
  rmdir(key: string): Effect.Effect<void, FsError>;
  /** With `replace` an existing target file is replaced atomically, else AlreadyExists. */
  rename(from: string, to: string, options: { replace: boolean }): Effect.Effect<void, FsError>;
  /** Copies one file's content inside the store, without commit semantics of a writer. */
  copy(from: string, to: string): Effect.Effect<Entry, FsError>;
  setAttributes(
    key: string,
    attributes: Attributes,
    options: { follow: boolean },
  ): Effect.Effect<void, FsError>;
  /** `target` is stored as given; the VFS has already made it relative and confined. */
  symlink(target: string, key: string): Effect.Effect<void, FsError>;
  readlink(key: string): Effect.Effect<string, FsError>;
  hardLink(from: string, to: string): Effect.Effect<void, FsError>;
  /** Resolves links inside the root and answers a canonical key. */
  realpath(key: string): Effect.Effect<string, FsError>;
  /** Absent where opening a file has to be waited for. */
  readonly atOnce?: AtOnce;
  /** Absent where uploads are durable by themselves. */
  readonly redo?: Redoing;
  /** Absent where unfinished uploads cannot be kept. */
  readonly keeping?: Keeping;
  space(key: string): Effect.Effect<Space, FsError>;
  /**
   * Deletes temporary objects that no live writer owns; answers how many.
   * `ours`: only those that this run of the server made.
   */
  sweep(whose?: "ours"): Effect.Effect<number, FsError>;
}
