import { Context, type Effect } from "effect";
import type { VPath } from "../vpath.ts";

/** A WebDAV lock (RFC 4918 section 6). */
export interface Lock {
  readonly token: string;
  readonly path: VPath;
  /** Covers what is below too. */
  readonly deep: boolean;
  readonly exclusive: boolean;
  /** The client's own `owner` element, as XML; empty for none. */
  readonly owner: string;
  readonly username: string;
  readonly seconds: number;
  /** Unix milliseconds. */
  readonly expires: number;
}

export type NewLock = Pick<Lock, "path" | "deep" | "exclusive" | "owner" | "username" | "seconds">;

/** A property that the server only keeps (RFC 4918 section 4). `value` is a whole element as XML. */
export interface DeadProperty {
  readonly ns: string;
  readonly name: string;
  readonly value: string;
}

/** One step of a PROPPATCH; without a value the property goes. */
export interface PropertyChange {
  readonly ns: string;
  readonly name: string;
  readonly value?: string;
}

/** Why a lock was not given. */
export type LockRefusal = "conflict" | "too_many";

/**
 * Locks and dead properties of users' files: one for all threads.
 *
 * `owner` names whose tree a path is in, so that paths of two users never meet.
 */
export class DavState extends Context.Tag("sluice/DavState")<DavState, {
  /** Takes a lock unless another stands against it; one step. */
  readonly lock: (
    owner: string,
    wanted: NewLock,
  ) => Effect.Effect<
    { readonly lock: Lock } | { readonly refusal: LockRefusal; readonly by?: Lock }
  >;
  /** Starts the time of a lock anew; undefined when it is gone or does not cover `path`. */
  readonly refresh: (
    owner: string,
    path: VPath,
    token: string,
    seconds: number,
  ) => Effect.Effect<Lock | undefined>;
  /** Ends the lock if it covers `path`; false when there is none. */
  readonly unlock: (owner: string, path: VPath, token: string) => Effect.Effect<boolean>;
  /** Locks that cover `path`; with `below` also those further down. */
  readonly locks: (
    owner: string,
    path: VPath,
    below: boolean,
  ) => Effect.Effect<ReadonlyArray<Lock>>;
  /** Dead properties of `path`, and of its children where `children`; only paths that have some. */
  readonly properties: (
    owner: string,
    path: VPath,
    children: boolean,
  ) => Effect.Effect<ReadonlyMap<VPath, ReadonlyArray<DeadProperty>>>;
  /** Makes all changes or, when the user would keep too much, none: then false. */
  readonly change: (
    owner: string,
    path: VPath,
    changes: ReadonlyArray<PropertyChange>,
  ) => Effect.Effect<boolean>;
  /** `path` and what is below is gone: so are its locks and properties. */
  readonly removed: (owner: string, path: VPath) => Effect.Effect<void>;
  /** Properties follow a copy (RFC 4918 section 9.8.2); locks never do. */
  readonly copied: (owner: string, from: VPath, to: VPath, deep: boolean) => Effect.Effect<void>;
  /** Properties follow a move; locks stay behind and end (RFC 4918 section 7.6). */
  readonly moved: (owner: string, from: VPath, to: VPath) => Effect.Effect<void>;
}>() {}
