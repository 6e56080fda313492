import { Context, type Effect } from "effect";
import type { CatalogError } from "../errors.ts";
import type { VPath } from "../vpath.ts";

/** What an upload is to become: a file, a piece of one, or the file that pieces make. */
export type UploadKind = "whole" | "partial" | "final";

/** How a file is to be put in place. Plain data. */
export interface UploadOptions {
  /** Replace what is there by then. */
  readonly overwrite: boolean;
  /** Modification time to give it, Unix milliseconds. */
  readonly mtime?: number;
}

/** An upload that outlives its connection. How much of it is there, only its object tells. Plain data. */
export interface UploadRecord {
  /** 32 hexadecimal digits, not to be guessed. */
  readonly id: string;
  readonly userId: number;
  /** Identity of the storage that keeps the object. */
  readonly storage: string;
  /** Where the file goes; `/` for a piece. */
  readonly path: VPath;
  readonly kind: UploadKind;
  /** Of a final one, the pieces in order. */
  readonly parts: ReadonlyArray<string>;
  readonly length: number;
  /** Bytes it may add to its user's while it is not finished. */
  readonly reserved: number;
  /** As the client gave it, to be given back. */
  readonly metadata: string;
  readonly options: UploadOptions;
  /** The object is about to become the file: when it is gone, it has. */
  readonly finishing: boolean;
  /** Unix milliseconds. */
  readonly created: number;
}

/** Why an upload was not taken. */
export type UploadRefusal = "too_many" | "no_room";

/**
 * The unfinished uploads of all users, and who is at work on one: over all threads.
 *
 * A record is there before its object, and goes after it.
 */
export class UploadRecords extends Context.Tag("sluice/UploadRecords")<UploadRecords, {
  /** Milliseconds that an upload is kept after it last grew. */
  readonly lifetime: number;
  /**
   * Adds a record unless its user's unfinished uploads, without the parts that it
   * is made of, would reserve more than `room` bytes.
   */
  readonly add: (
    record: UploadRecord,
    room: number | undefined,
  ) => Effect.Effect<UploadRefusal | undefined, CatalogError>;
  readonly find: (id: string) => Effect.Effect<UploadRecord | undefined, CatalogError>;
  readonly setFinishing: (id: string, finishing: boolean) => Effect.Effect<void, CatalogError>;
  readonly remove: (ids: ReadonlyArray<string>) => Effect.Effect<void, CatalogError>;
  /**
   * Records in the order of their ids, after `after`, that may be over: not
   * finishing and made before `open`, finishing since before `finished`, of a
   * user who is gone, or of a concatenation that did not end.
   */
  readonly stale: (
    before: { readonly open: number; readonly finished: number },
    after: string,
  ) => Effect.Effect<
    ReadonlyArray<{ readonly record: UploadRecord; readonly orphan: boolean }>,
    CatalogError
  >;
  /**
   * Makes the holder of `ticket` the only one at work on the upload, and asks
   * whoever was to stop; false when that one does not, or another came later.
   * `idle`: only if nobody is at work.
   */
  readonly take: (id: string, ticket: string, how: "newest" | "idle") => Effect.Effect<boolean>;
  /** Ends when another asks for what the ticket holds. */
  readonly wanted: (ticket: string) => Effect.Effect<void>;
  /** Gives up what the ticket holds or waits for. Does nothing the second time. */
  readonly release: (ticket: string) => Effect.Effect<void>;
}>() {}
