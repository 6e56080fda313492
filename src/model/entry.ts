/** What a name in a directory is. */
export type EntryKind = "file" | "dir" | "symlink" | "other";

/** One directory entry, as storages answer and protocols show it. */
export interface Entry {
  /** Last path component; `""` for the root. */
  readonly name: string;
  readonly kind: EntryKind;
  /** Bytes; 0 for directories. */
  readonly size: number;
  /** Unix milliseconds. */
  readonly mtime: number;
  readonly atime?: number;
  /** Permission bits only (07777). */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Hard links. */
  readonly links?: number;
  /** Opaque version of the content, where the store has one. */
  readonly etag?: string;
}

/** What a client asks to change. A missing member stays as it is. */
export interface Attributes {
  readonly size?: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Unix milliseconds. */
  readonly atime?: number;
  /** Unix milliseconds. */
  readonly mtime?: number;
}
