import { Context, type Effect } from "effect";
import type { CatalogError, FsError } from "../errors.ts";
import type { User } from "../model/user.ts";
import type { Line } from "./line.ts";

/** Bytes and files a user holds. */
export interface Usage {
  readonly bytes: number;
  readonly files: number;
}

/** Bytes moved each way since the counters were reset. */
export interface Moved {
  readonly upload: number;
  readonly download: number;
}

/**
 * What one upload has taken from its user's budget.
 *
 * `grow` is called before bytes are stored, in the hot path: it is synchronous,
 * and false means that the write must fail with QuotaExceeded. Exactly one of
 * `settle` and `release` ends the lease; a second call does nothing.
 */
export interface Lease {
  /** Makes room for a file of `size` bytes in total. Answers false, and takes nothing, if it does not fit. */
  grow(size: number): boolean;
  /**
   * Turns the reservation into usage: what the operation really changed, signed.
   * Answers what the usage moved by, which is for the journal: a usage never goes below nothing.
   */
  settle(delta: Usage): Usage;
  /** Gives all of it back. */
  release(): void;
}

/**
 * Who an account belongs to: a user, or a folder under `/name`, which has no
 * counters of transfer. The limits are of the asking session; 0 is none.
 */
export type Payer =
  & Pick<
    User,
    "id" | "username" | "used_quota_size" | "used_quota_files" | "quota_size" | "quota_files"
  >
  & Partial<Pick<User, "used_upload_data_transfer" | "used_download_data_transfer">>;

/** A user's account, for who cannot wait. */
export interface AtHand {
  /** As {@linkcode Quota} `reserve`. Throws FsError. */
  reserve(path: string, replaces: number | undefined): Lease;
  /** Says that a change of files begins (1), or that it is settled (-1). */
  touch(by: 1 | -1): void;
}

/**
 * Disk quota of every user: one exact in-memory account per user, shared by all of that
 * user's sessions; the durable counters follow through the journal's settle.
 */
export class Quota extends Context.Tag("sluice/Quota")<Quota, {
  /** The way that all transfers of the user share, over all threads. */
  readonly lineOf: (user: User) => Effect.Effect<Line>;
  /**
   * Starts an upload. `replaces` is the size of the file being replaced or
   * extended (counted already), undefined for a new file. Fails with
   * QuotaExceeded when the user is already at a limit (BEHAVIOUR QUOTA-04).
   */
  readonly reserve: (
    user: Payer,
    path: string,
    replaces: number | undefined,
  ) => Effect.Effect<Lease, FsError>;
  /** The account, if this thread has it already. */
  readonly atHand: (user: Payer) => AtHand | undefined;
  /** Applies a change that needs no reservation: delete, truncate, tree removal. Answers as `settle` does. */
  readonly adjust: (user: Payer, delta: Usage) => Effect.Effect<Usage>;
  readonly usage: (user: Payer) => Effect.Effect<Usage>;
  /** What uploads in progress hold on top of the usage. */
  readonly held: (user: Payer) => Effect.Effect<Usage>;
  /**
   * Runs `change`, which touches files and then settles or adjusts what it did:
   * a scan that overlaps it would count half of it, and so counts again.
   */
  readonly during: <A, E, R>(
    user: Payer,
    change: Effect.Effect<A, E, R>,
  ) => Effect.Effect<A, E, R>;
  /** Replaces the counters by what a scan counted, in memory and in the catalog. */
  readonly set: (username: string, usage: Usage) => Effect.Effect<void, CatalogError>;
  /** Replaces what counts as moved, at once for all sessions, and in the catalog (BEHAVIOUR DT-05). */
  readonly setTransfer: (username: string, moved: Moved) => Effect.Effect<void, CatalogError>;
  /**
   * Runs `count` and sets what it answers; counts again when files were
   * committed meanwhile, and gives up with Busy. Uploads in progress go on.
   */
  readonly recount: (
    user: Payer,
    count: Effect.Effect<Usage, FsError>,
  ) => Effect.Effect<Usage, FsError | CatalogError>;
}>() {}
