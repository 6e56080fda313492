import { Context, type Effect } from "effect";
import type { CatalogError } from "../errors.ts";
import { isWithin, type VPath } from "../vpath.ts";

/** A WebDAV lock (RFC 4918 section 6). */
export interface Lock {
  readonly token: string;
  readonly path: VPath;
  /** Covers what is below too. */
  readonly deep: boolean;
  readonly exclusive: boolean;
  /** The client's own `owner` element, as XML; empty for none. */
  readonly owner: string;
  readonly seconds: number;
  /** Unix milliseconds. */
  readonly expires: number;
}

/** Whether a lock stands for a path: its own, or a deep one above. */
export const covers = (lock: Lock, path: VPath): boolean =>
  lock.deep ? isWithin(lock.path, path) : lock.path === path;

export type NewLock = Pick<Lock, "path" | "deep" | "exclusive" | "owner" | "seconds">;

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
 * Locks and dead properties of users' files, in the catalog: one for all threads
 * and nodes, and there again after a restart.
 *
 * `owner` names whose tree a path is in, so that paths of two users never meet.
 * What a protocol removes or renames takes them along with its event, so the
 * journal is what they follow: a lock and a change wait for the events before
 * them, and `follow` waits for those of the caller.
 */
export class DavState extends Context.Tag("sluice/DavState")<DavState, {
  /** Takes a lock unless another stands against it; one step. */
  readonly lock: (
    owner: string,
    wanted: NewLock,
  ) => Effect.Effect<
    { readonly lock: Lock } | { readonly refusal: LockRefusal; readonly by?: Lock },
    CatalogError
  >;
  /** Starts the time of a lock anew; undefined when it is gone or does not cover `path`. */
  readonly refresh: (
    owner: string,
    path: VPath,
    token: string,
    seconds: number,
  ) => Effect.Effect<Lock | undefined, CatalogError>;
  /** Ends the lock if it covers `path`; false when there is none. */
  readonly unlock: (
    owner: string,
    path: VPath,
    token: string,
  ) => Effect.Effect<boolean, CatalogError>;
  /** Locks that cover `path`; with `below` also those further down. */
  readonly locks: (
    owner: string,
    path: VPath,
    below: boolean,
  ) => Effect.Effect<ReadonlyArray<Lock>, CatalogError>;
  /** Dead properties of `path`, and of its children where `children`; only paths that have some. */
  readonly properties: (
    owner: string,
    path: VPath,
    children: boolean,
  ) => Effect.Effect<ReadonlyMap<VPath, ReadonlyArray<DeadProperty>>, CatalogError>;
  /** Makes all changes or, when the user would keep too much, none: then false. */
  readonly change: (
    owner: string,
    path: VPath,
    changes: ReadonlyArray<PropertyChange>,
  ) => Effect.Effect<boolean, CatalogError>;
  /** Properties follow a copy (RFC 4918 section 9.8.2); locks never do. */
  readonly copied: (
    owner: string,
    from: VPath,
    to: VPath,
    deep: boolean,
  ) => Effect.Effect<void, CatalogError>;
  /** Returns when what was removed and renamed so far has taken locks and properties along. */
  readonly follow: (owner: string) => Effect.Effect<void, CatalogError>;
  /**
   * Whether the caller is the first, in the last seconds, who goes to replace this
   * version of a file: of two uploads that rest on the same one, the later is refused.
   */
  readonly claim: (owner: string, path: VPath, version: string) => Effect.Effect<boolean>;
  /** Removes locks whose time is over, of everybody; answers how many. */
  readonly expire: Effect.Effect<number, CatalogError>;
}>() {}
