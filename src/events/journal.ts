import { Context, type Effect, type Stream } from "effect";
import type { CatalogError } from "../errors.ts";
import type { Redo } from "../storage/redo.ts";
import type { Event, EventAction, EventKind, EventStatus, NewEvent } from "./event.ts";

/** What moves in a user's usage when an operation is done. Bytes and files, signed. */
export interface QuotaDelta {
  readonly username: string;
  readonly bytes: number;
  readonly files: number;
}

/**
 * What is about to be done to the storage, in terms that a restart can check:
 * `publish`: `staged` becomes `key`; `remove`: `key` goes; `move`: `from`
 * becomes `key`; `make`: `key` appears; `extend`: `key` is changed in place.
 */
export interface Intent {
  readonly kind: "publish" | "remove" | "move" | "make" | "extend";
  readonly username: string;
  readonly key: string;
  readonly from?: string;
  readonly staged?: string;
  /** The folder that the keys are in; absent for the home. */
  readonly folder?: { readonly name: string; readonly subpath: string };
  /** What the content beside the intent belongs to, if it has one. */
  readonly redo?: Redo;
}

/**
 * What an operation left to be flushed, off its client's way. The intent stays
 * until that is done. Each call may be repeated, and rejects when the disk fails.
 */
export interface Unflushed {
  content(): Promise<void>;
  /** Things of one place are flushed by `names` of any of them. */
  readonly place: string;
  names(): Promise<void>;
  /** Where it is, if all of that can be flushed at once; `place` is one of what is there. */
  readonly volume?: { flush(place: string): Promise<boolean> } | undefined;
  /** All is flushed and the operation is durable in the catalog. */
  over(): void;
}

export interface EventFilter {
  /** Unix milliseconds, inclusive. */
  readonly since?: number;
  readonly until?: number;
  readonly username?: string;
  /** A path, or a path prefix by whole components. */
  readonly path?: string;
  readonly kinds?: ReadonlyArray<EventKind>;
  readonly actions?: ReadonlyArray<EventAction>;
  readonly status?: EventStatus;
  readonly ip?: string;
  readonly session_id?: string;
  /** Only events after this sequence number. */
  readonly after?: number;
  /** Most recent first when true. */
  readonly descending?: boolean;
  readonly limit?: number;
}

/** An operation that the journal knows has begun. Exactly one of the two calls follows. */
export interface Prepared {
  /** The operation is done: shows the event, with the usage change, in one transaction, once `unflushed` is flushed. */
  settle(
    result: Partial<NewEvent>,
    quota?: QuotaDelta,
    unflushed?: Unflushed,
  ): Effect.Effect<void>;
  /** The operation did not happen: forgets it. */
  cancel(): Effect.Effect<void>;
}

/** {@linkcode Prepared} for who goes on at once, in the same turn of the event loop. */
export interface PreparedNow {
  settle(result: Partial<NewEvent>, quota?: QuotaDelta, unflushed?: Unflushed): void;
  cancel(): void;
}

/** An operation whose end is not known. */
export interface LeftBehind {
  readonly event: NewEvent;
  readonly intent: Intent;
  readonly prepared: Prepared;
  /** The usage change that settling would have carried, as known at prepare. */
  readonly quota?: QuotaDelta;
  /** It happened, whatever the storage shows by now. */
  readonly done?: boolean;
  /** As it was given to `prepare`. */
  readonly content?: Uint8Array;
}

/**
 * The durable record of what happened.
 *
 * Writes are grouped into transactions of the catalog. `prepare` is
 * durable when it succeeds; `settle`, `cancel` and `record` are queued and
 * durable within a flush interval: a restart settles what it finds prepared by
 * looking at the storage, so an acknowledged operation is never lost.
 */
export class Journal extends Context.Tag("sluice/Journal")<Journal, {
  readonly record: (event: NewEvent) => Effect.Effect<void>;
  /** The same without waiting; false if there is no room. */
  readonly recordNow: (event: NewEvent) => boolean;
  /** Whether `content` given to `prepare` survives a power cut. */
  readonly keepsContent: boolean;
  /** `quota` is the change that settling is expected to carry; recovery uses it. `content` goes with `intent.redo`. */
  readonly prepare: (
    event: NewEvent,
    intent: Intent,
    quota?: QuotaDelta,
    content?: Uint8Array,
  ) => Effect.Effect<Prepared, CatalogError>;
  /** The same without waiting; undefined, and nothing is done, where something has to be waited for. Throws CatalogError. */
  readonly prepareNow: (
    event: NewEvent,
    intent: Intent,
    quota?: QuotaDelta,
    content?: Uint8Array,
  ) => PreparedNow | undefined;
  readonly query: (filter: EventFilter) => Stream.Stream<Event, CatalogError>;
  /** Past events that match from `after`, then live ones, without a gap. Never ends. */
  readonly follow: (filter: EventFilter) => Stream.Stream<Event, CatalogError>;
  /** Operations that a previous process left between prepare and settle, oldest first. */
  readonly unsettled: Effect.Effect<ReadonlyArray<LeftBehind>, CatalogError>;
  /** The same of one part of this process, a worker that died. */
  readonly unsettledOf: (part: string) => Effect.Effect<ReadonlyArray<LeftBehind>, CatalogError>;
  /** Waits until everything queued so far is durable. */
  readonly flush: Effect.Effect<void>;
}>() {}
