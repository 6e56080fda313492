import type { Effect, Scope } from "effect";
import type { FsError } from "../errors.ts";
import type { VPath } from "../vpath.ts";
import type { UploadKind, UploadOptions, UploadRecord } from "./upload_records.ts";

/** An upload to begin. */
export interface NewResumable {
  /** Absent for a piece of a file. */
  readonly path?: VPath;
  readonly length: number;
  readonly metadata: string;
  readonly options: UploadOptions;
  /** Make the directories above that are missing. */
  readonly parents: boolean;
}

/** An upload as its client may see it. */
export interface Resumable {
  readonly id: string;
  readonly kind: UploadKind;
  readonly parts: ReadonlyArray<string>;
  readonly length: number;
  /** Bytes that are safe; all of them only once the file is in its place. */
  readonly offset: number;
  readonly metadata: string;
  /** Unix milliseconds; undefined for one that is finished. */
  readonly expires: number | undefined;
}

/** Bytes that are added to an upload, by the one connection that is at work on it. */
export interface Part {
  /** Bytes there are now. */
  readonly offset: number;
  readonly length: number;
  /** Adds bytes at the end; `chunk` is lent. Rejects with FsError. */
  write(chunk: Uint8Array): Promise<void>;
  /** Ends when another connection wants to go on with the upload. */
  readonly wanted: Effect.Effect<void>;
  /** Makes what was written count, and the upload the file when it is whole. */
  end(): Effect.Effect<Resumable, FsError>;
  /** Takes back all that was written. */
  undo(): Effect.Effect<void, FsError>;
}

/**
 * One user's uploads that can be gone on with, after whatever ended the last
 * connection. Ids of other users, and of uploads that are over, are NotFound.
 *
 * Each call but `create` first ends what another connection does with the
 * upload; one that does not end in time fails with Locked.
 */
export interface Resumables {
  readonly create: (wanted: NewResumable) => Effect.Effect<Resumable, FsError>;
  /** Makes a file of pieces that are whole, in this order, and forgets them. `length` is theirs. */
  readonly concatenate: (
    wanted: Omit<NewResumable, "length">,
    parts: ReadonlyArray<string>,
  ) => Effect.Effect<Resumable, FsError>;
  /** How it stands. One that is whole becomes the file first, if a crash came between. */
  readonly look: (id: string) => Effect.Effect<Resumable, FsError>;
  /**
   * Goes on at `offset`, else fails with Conflict. What was written stays when the
   * scope closes before `end`; with `checked` it goes.
   */
  readonly append: (
    id: string,
    offset: number,
    options: { readonly checked: boolean },
  ) => Effect.Effect<Part, FsError, Scope.Scope>;
  readonly terminate: (id: string) => Effect.Effect<void, FsError>;
}

/** An upload for its client. Without `expires` it is finished. */
export const shown = (
  { id, kind, parts, length, metadata }: UploadRecord,
  offset: number,
  expires?: number,
): Resumable => ({ id, kind, parts, length, metadata, offset, expires });
