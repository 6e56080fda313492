import { Context, type Effect, type Scope, type Stream } from "effect";
import type { FsError } from "../errors.ts";
import type { Attributes, Entry } from "../model/entry.ts";
import type { Principal } from "../model/session.ts";
import type { User } from "../model/user.ts";
import type { VPath } from "../vpath.ts";
import type { Resumables } from "./resumable.ts";
import type { UploadRecords } from "./upload_records.ts";

/** How a file is to be opened; the bits of SFTP v3 section 6.3, which other protocols subset. */
export interface OpenOptions {
  readonly read: boolean;
  readonly write: boolean;
  readonly append: boolean;
  readonly create: boolean;
  readonly truncate: boolean;
  readonly exclusive: boolean;
  readonly attributes?: Attributes;
}

/** Opens a file that is there, to read it. */
export const toRead: OpenOptions = {
  read: true,
  write: false,
  append: false,
  create: false,
  truncate: false,
  exclusive: false,
};

/** Opens a file to write all of it, whether there is one or not. */
export const toReplace: OpenOptions = {
  read: false,
  write: true,
  append: false,
  create: true,
  truncate: true,
  exclusive: false,
};

/** What the target of a copy means. */
export interface CopyOptions {
  /** The client's target ended with `/`. */
  readonly intoSlash?: boolean;
  /**
   * The target is the copy itself and nothing is made above it: Conflict where
   * its directory is missing. With `nothing` whatever is there is AlreadyExists,
   * with `file` a directory is IsDirectory and a file may be replaced.
   */
  readonly onto?: "nothing" | "file";
}

/**
 * An open file.
 *
 * `read` and `write` are the hot path: plain promises that reject with
 * FsError; calls may overlap. `read` answers 0 at the end of the file. A write
 * resolves when the storage took the bytes. `close` waits for what is under
 * way, commits an upload, settles quota and records the event; an error from
 * it means that the upload did not happen. Leaving the scope without `close`
 * aborts an upload.
 */
export interface Handle {
  readonly path: VPath;
  read(offset: number, into: Uint8Array): Promise<number>;
  /** `chunk` is lent until the promise settles: its memory is used again then. */
  write(offset: number, chunk: Uint8Array): Promise<void>;
  stat(): Effect.Effect<Entry, FsError>;
  setAttributes(attributes: Attributes): Effect.Effect<void, FsError>;
  sync(): Effect.Effect<void, FsError>;
  close(): Effect.Effect<void, FsError>;
}

/** A handle that no scope closes. */
export interface OwnedHandle extends Handle {
  /** Gives back what is left to give back: an upload that was not closed is aborted. May be repeated. */
  leave(): Effect.Effect<void>;
  /** Does ahead, once the client has its answer, what the first write would have to wait for. */
  prepare?(): void;
  /** `close` in this turn of the event loop; false if that cannot be, and then `close` is to be called. */
  closeNow(): boolean;
}

/** `crc32` as of zlib and ISO 3309, 8 hex digits. */
export type ChecksumAlgorithm = "crc32" | "md5" | "sha1" | "sha256" | "sha384" | "sha512";

/** Space left for this user: quota where there is one, else the disk. Bytes and files. */
export interface Available {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly totalFiles: number;
  readonly freeFiles: number;
}

/**
 * One session's view of its files: the only way from a protocol to bytes.
 *
 * Every call passes path, mount, policy, quota and storage, and records the
 * event of what it committed. Adapters never check a permission themselves.
 */
export interface Vfs {
  /** Where relative paths start: the user's start directory. */
  readonly home: VPath;
  /** Parses what a client sent, relative to `base` (default `home`). */
  resolve(raw: string, base?: VPath): Effect.Effect<VPath, FsError>;
  stat(path: VPath): Effect.Effect<Entry, FsError>;
  lstat(path: VPath): Effect.Effect<Entry, FsError>;
  /** `resolve` and `stat` or `lstat` in this turn of the event loop; undefined if that cannot be, or fails. */
  statNow(raw: string, follow: boolean): Entry | undefined;
  /** Pages lazily; hidden names are left out; `.` and `..` are not included. */
  list(path: VPath): Stream.Stream<Entry, FsError>;
  open(path: VPath, options: OpenOptions): Effect.Effect<Handle, FsError, Scope.Scope>;
  /** The same for who keeps account of its files by itself: each is to be left, closed or not. */
  openFile(path: VPath, options: OpenOptions): Effect.Effect<OwnedHandle, FsError>;
  /**
   * `resolve` and `openFile` in this turn of the event loop, for clients with
   * thousands of small files. Undefined if that cannot be, or fails: then
   * `openFile` is to be called, which says why.
   */
  openNow(raw: string, options: OpenOptions): OwnedHandle | undefined;
  mkdir(path: VPath, attributes?: Attributes): Effect.Effect<void, FsError>;
  /** Removes a file or a link. */
  remove(path: VPath): Effect.Effect<void, FsError>;
  rmdir(path: VPath): Effect.Effect<void, FsError>;
  /** Removes a file or a whole tree, checking each entry. */
  removeTree(path: VPath): Effect.Effect<void, FsError>;
  rename(from: VPath, to: VPath, options: { replace: boolean }): Effect.Effect<void, FsError>;
  /** Copies a file or a tree (BEHAVIOUR FS-09). */
  copy(from: VPath, to: VPath, options?: CopyOptions): Effect.Effect<void, FsError>;
  setAttributes(
    path: VPath,
    attributes: Attributes,
    options?: { follow?: boolean },
  ): Effect.Effect<void, FsError>;
  /** `target` is raw client text, relative to the link's directory or absolute in the VFS. */
  symlink(target: string, link: VPath): Effect.Effect<void, FsError>;
  hardLink(from: VPath, to: VPath): Effect.Effect<void, FsError>;
  /** Answers a virtual path. */
  readlink(path: VPath): Effect.Effect<string, FsError>;
  realpath(path: VPath): Effect.Effect<VPath, FsError>;
  available(path: VPath): Effect.Effect<Available, FsError>;
  /**
   * Hashes `length` bytes from `offset` (both default to the whole file); with
   * `block` one digest a block of that size. Hex digests, in order.
   */
  checksum(
    path: VPath,
    algorithm: ChecksumAlgorithm,
    range?: { offset?: number; length?: number; block?: number },
  ): Effect.Effect<ReadonlyArray<string>, FsError>;
  /** Uploads that outlive their connection, and are written down in `records`. */
  resumables(records: typeof UploadRecords.Service): Resumables;
  /** Records an `ssh_cmd` event (BEHAVIOUR CMD-07). */
  recordCommand(command: string, outcome: { ok: boolean; elapsed: number }): Effect.Effect<void>;
}

/** What watches transfers: the registry, so that `sessions list` can show them. */
export interface TransferObserver {
  /** Called once an open handle; `moved` is called with each byte count; `end` once. */
  begin(
    path: VPath,
    operation: "upload" | "download",
  ): { moved(bytes: number): void; end(): void };
}

/** Makes a {@linkcode Vfs} for one logged-in session. Closing the scope releases its storages. */
export class VfsFactory extends Context.Tag("sluice/VfsFactory")<VfsFactory, {
  readonly forSession: (
    user: User,
    principal: Principal,
    observer?: TransferObserver,
  ) => Effect.Effect<Vfs, FsError, Scope.Scope>;
}>() {}
