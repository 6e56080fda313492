import { Cause, Effect, Layer } from "effect";
import { CatalogError } from "../src/errors.ts";
import { EventStore, type JournalEntry, JournalSink } from "../src/events/journal_sink.ts";
import { type Handlers, Hub } from "./rpc.ts";

/** What the journals of workers bring. */
export const journalHandlers: Effect.Effect<Handlers, never, JournalSink> = Effect.map(
  JournalSink,
  ({ apply, giveUp }) => ({
    "journal.apply": (entries: ReadonlyArray<JournalEntry>) => apply(entries),
    "journal.giveUp": (who: string, why: string) => giveUp(who, Cause.die(why)),
  }),
);

const unavailable = (op: string) =>
  new CatalogError({ reason: "Unavailable", op, detail: "a worker cannot read the journal" });

/** In a worker: batches go to the main thread, which answers when they are durable. */
export const remoteSink: Layer.Layer<JournalSink | EventStore, never, Hub> = Layer.mergeAll(
  Layer.effect(
    JournalSink,
    Effect.map(Hub, (hub) =>
      JournalSink.of({
        apply: (entries) => hub.call<void, CatalogError>("journal.apply", entries),
        giveUp: (who, cause) =>
          Effect.andThen(
            Effect.logFatal(`${who} has given up`, cause),
            hub.call<void>("journal.giveUp", who, Cause.pretty(cause)),
          ),
      })),
  ),
  Layer.succeed(
    EventStore,
    EventStore.of({
      page: () => unavailable("events"),
      last: unavailable("events"),
      more: Effect.never,
      settled: () => unavailable("recovery"),
      older: unavailable("recovery"),
    }),
  ),
);
