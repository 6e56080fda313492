import { Effect, Stream } from "effect";
import { type Event, kindOf, type NewEvent } from "../../src/events/event.ts";
import type { Intent, Journal, Prepared, QuotaDelta, Unflushed } from "../../src/events/journal.ts";

interface Open {
  readonly event: NewEvent;
  readonly intent: Intent;
  readonly quota?: QuotaDelta;
  readonly content?: Uint8Array;
}

/** A journal in memory that keeps what the real one promises, and lets a test look inside. */
export class MemoryJournal {
  readonly events: Event[] = [];
  readonly open = new Map<number, Open>();
  readonly usage = new Map<string, { bytes: number; files: number }>();
  #next = 1;

  /** What waits to be flushed; a test flushes it, or loses it. */
  readonly late: Unflushed[] = [];

  constructor(keepsContent = false) {
    this.service = { ...this.service, keepsContent };
  }

  readonly service: typeof Journal.Service = {
    record: (event) => Effect.sync(() => this.#append(event)),
    keepsContent: false,
    prepare: (event, intent, quota, content) =>
      Effect.sync(() => {
        const id = this.#next++;
        this.open.set(id, {
          event,
          intent,
          ...(quota ? { quota } : {}),
          ...(content ? { content } : {}),
        });
        return this.#prepared(id, event);
      }),
    recordNow: (event) => {
      this.#append(event);
      return true;
    },
    prepareNow: (event, intent, quota, content) => {
      const { settle, cancel } = Effect.runSync(
        this.service.prepare(event, intent, quota, content),
      );
      return {
        settle: (...result) => Effect.runSync(settle(...result)),
        cancel: () => Effect.runSync(cancel()),
      };
    },
    query: () => Stream.suspend(() => Stream.fromIterable([...this.events])),
    follow: () => Stream.never,
    unsettled: Effect.sync(() =>
      [...this.open].map(([id, open]) => ({ ...open, prepared: this.#prepared(id, open.event) }))
    ),
    unsettledOf: () => Effect.succeed([]),
    flush: Effect.void,
  };

  #prepared(id: number, event: NewEvent): Prepared {
    return {
      settle: (result, quota, unflushed) =>
        Effect.sync(() => {
          if (unflushed) this.late.push(unflushed);
          if (!this.open.delete(id)) throw new Error("settled twice");
          this.#append({ ...event, ...result });
          if (!quota) return;
          const held = this.usage.get(quota.username) ?? { bytes: 0, files: 0 };
          this.usage.set(quota.username, {
            bytes: held.bytes + quota.bytes,
            files: held.files + quota.files,
          });
        }),
      cancel: () =>
        Effect.sync(() => {
          this.open.delete(id);
        }),
    };
  }

  #append(event: NewEvent): void {
    this.events.push({
      ...event,
      id: this.#next++,
      timestamp: Date.now(),
      kind: kindOf(event.action),
    });
  }
}
