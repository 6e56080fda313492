import type { Effect } from "effect";
import type { FsError } from "../errors.ts";

/** Longest content that is kept in the intent log, in bytes: one packet of what clients send. */
export const redoLimit = 32 * 1024;

/** The file that a small upload was staged in, so that it is known again after a power cut. Plain data. */
export interface Redo {
  /** Which start of the machine it belongs to; empty where that is not known. */
  readonly boot: string;
  readonly ino: number;
  /** When the file was made, and its times, Unix milliseconds. */
  readonly born: number;
  readonly mtime: number;
  readonly atime: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** What a storage does for recovery with uploads whose content is in the intent log. */
export interface Redoing {
  /** Whether the machine may have lost what was not flushed since. */
  interrupted(redo: Redo): boolean;
  /**
   * Looks for the published file under `keys`. `there`: as its client knows it,
   * or with newer content, and flushed now. `damaged`: at `key`, without
   * content that was written and never flushed.
   */
  find(
    redo: Redo,
    keys: ReadonlyArray<string>,
    content: Uint8Array,
  ): Effect.Effect<Found, FsError>;
  /** Publishes it again under `key`, flushed; false where no file can be there any more. */
  publish(redo: Redo, key: string, content: Uint8Array): Effect.Effect<boolean, FsError>;
}

export type Found =
  | { readonly is: "there"; readonly key: string }
  | { readonly is: "damaged"; readonly key: string; readonly size: number }
  | { readonly is: "absent" };
