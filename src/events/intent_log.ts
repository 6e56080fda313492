import { Context, Effect, Layer } from "effect";
import type { CatalogError } from "../errors.ts";
import type { NewEvent } from "./event.ts";
import type { Intent, QuotaDelta } from "./journal.ts";

/** An operation that was prepared and not yet settled or cancelled. */
export interface Unsettled {
  /** Never used again, by any process. */
  readonly id: string;
  readonly event: NewEvent;
  readonly intent: Intent;
  readonly quota?: QuotaDelta;
  /** Known to have happened, whatever the storage shows by now. */
  readonly done?: boolean;
  /** The content of a small upload: {@linkcode Intent.redo} says what it belongs to. */
  readonly content?: Uint8Array;
}

/**
 * What is about to be done to the storage, kept until its record is durable.
 *
 * It belongs to one part of the process (the hub or one worker), which appends
 * before it touches the storage. An entry goes by `cancel`, or by `forget` once
 * its event is in the catalog; what a crash leaves is read by `leftBehind`,
 * whose entries go the same two ways.
 */
export class IntentLog extends Context.Tag("sluice/IntentLog")<IntentLog, {
  /** Whether an entry that was appended survives a power cut, its content with it. */
  readonly keepsContent: boolean;
  /** Answers the entry's id when it is durable. Fails with Unavailable, and then nothing may be done. */
  readonly append: (entry: Omit<Unsettled, "id">) => Effect.Effect<string, CatalogError>;
  /** The same without waiting; undefined, and nothing is written, where others flush already. Throws CatalogError. */
  readonly appendNow: (entry: Omit<Unsettled, "id">) => string | undefined;
  /** The operation did not happen. Never fails: what is not noted now is found out after a crash. */
  readonly cancel: (id: string) => void;
  /**
   * The operation happened; its event is on the way to the catalog. Until it is
   * there, another worker may do something else in the same place: should this
   * part die, the storage would not show that it happened. Never fails.
   */
  readonly done: (id: string) => void;
  /** The operation's event is durable in the catalog. */
  readonly forget: (id: string) => void;
  /**
   * What processes before this one left, oldest first; settled ones are among
   * them if the catalog knew before the log did. With `part`: what that part of
   * this process left when it died; only the hub may ask.
   */
  readonly leftBehind: (
    part?: string,
  ) => Effect.Effect<ReadonlyArray<Unsettled>, CatalogError>;
}>() {}

/** Keeps nothing beyond the process: for a catalog that does not either. */
export const memoryIntentLog: Layer.Layer<IntentLog> = Layer.sync(IntentLog, () => {
  let next = 1;
  return IntentLog.of({
    keepsContent: false,
    append: () => Effect.sync(() => `memory-${next++}`),
    appendNow: () => `memory-${next++}`,
    cancel: () => {},
    done: () => {},
    forget: () => {},
    leftBehind: () => Effect.succeed([]),
  });
});
