import { type Cause, Context, type Effect } from "effect";
import type { CatalogError } from "../errors.ts";
import type { Event, NewEvent } from "./event.ts";
import type { Unsettled } from "./intent_log.ts";
import type { EventFilter, QuotaDelta } from "./journal.ts";

/** Rows that one query for events answers; longer answers come in pages. */
export const pageSize = 500;

/** How the ids of intents begin that are rows of the catalog. */
export const rowMark = "catalog-";
/** Whether an intent is a row of the catalog, as versions before 0.2 kept them. */
export const isRow = (intent: string): boolean => intent.startsWith(rowMark);

/** One thing for the catalog to take up. Plain data: it may come from another thread. */
export interface JournalEntry {
  /** The intent that this settles: the same one is taken up once, however often it comes. */
  readonly intent?: string;
  /** Absent where an intent of the catalog itself is only forgotten. */
  readonly event?: NewEvent;
  readonly quota?: QuotaDelta;
  /** When it happened, Unix milliseconds. */
  readonly at: number;
}

/** Where journals bring their batches: the catalog, or in a worker the way to it. */
export class JournalSink extends Context.Tag("sluice/JournalSink")<JournalSink, {
  /** Takes up all entries in one transaction, in their order; durable when it succeeds. May be called again with the same batch. */
  readonly apply: (entries: ReadonlyArray<JournalEntry>) => Effect.Effect<void, CatalogError>;
  /** Reports that the journal cannot go on: the server must end. */
  readonly giveUp: (who: string, cause: Cause.Cause<unknown>) => Effect.Effect<void>;
}>() {}

/** What the catalog knows of the journal. Whole in the hub; a worker's answers Unavailable. */
export class EventStore extends Context.Tag("sluice/EventStore")<EventStore, {
  /** Events that match, in journal order (or newest first). */
  readonly page: (
    filter: EventFilter,
    limit: number,
  ) => Effect.Effect<ReadonlyArray<Event>, CatalogError>;
  /** Sequence number of the newest event; 0 when there is none. */
  readonly last: Effect.Effect<number, CatalogError>;
  /** Resolves when this process has written more. */
  readonly more: Effect.Effect<void>;
  /** Those of `intents` whose event is in the catalog. */
  readonly settled: (
    intents: ReadonlyArray<string>,
  ) => Effect.Effect<ReadonlySet<string>, CatalogError>;
  /** Intents that versions before 0.2 kept in the catalog, oldest first. */
  readonly older: Effect.Effect<ReadonlyArray<Unsettled>, CatalogError>;
}>() {}
