import { Chunk, Clock, Deferred, Effect, Layer, Option, Stream } from "effect";
import { atMost } from "../src/at_most.ts";
import type { CatalogError } from "../src/errors.ts";
import type { Event, NewEvent } from "../src/events/event.ts";
import { IntentLog, type Unsettled } from "../src/events/intent_log.ts";
import {
  type EventFilter,
  type Intent,
  Journal,
  type Prepared,
  type QuotaDelta,
  type Unflushed,
} from "../src/events/journal.ts";
import {
  EventStore,
  isRow,
  type JournalEntry,
  JournalSink,
  pageSize,
} from "../src/events/journal_sink.ts";
import { untilFlushed } from "./late_flushes.ts";
import { supervise } from "./supervisor.ts";

/** An entry with what its operation left to be flushed, which no other thread can do. */
interface Queued extends JournalEntry {
  readonly unflushed?: Unflushed;
}

/** Entries that may wait to be written; a producer beyond that waits for room. */
const capacity = 8192;
const batchSize = 1024;
/** How long an entry may wait for company, in milliseconds: longer while many come, since each batch costs a flush. */
const linger = (before: number) => before < 16 ? 50 : 200;
/** How often followers look for events of other processes, in milliseconds. */
const pollEvery = 400;

/**
 * The journal of one part of the process.
 *
 * What is prepared goes to the part's own intent log; what is done is queued.
 * One fiber brings the queue to the sink in batches and keeps a batch until it
 * is durable, so neither a busy database nor its own restart loses an entry.
 * Closing the scope writes what is queued.
 */
export const journalLayer: Layer.Layer<Journal, never, IntentLog | JournalSink | EventStore> = Layer
  .scoped(
    Journal,
    Effect.gen(function* () {
      const log = yield* IntentLog;
      const sink = yield* JournalSink;
      const store = yield* EventStore;
      let box: Queued[] = [];
      let batch: ReadonlyArray<Queued> = [];
      let queued = 0;
      let latest = 0;
      let written = 0;
      /** Who waits for the entry of a number to be written, in order. */
      const marks: Array<{ readonly upTo: number; readonly done: () => void }> = [];
      const hurry = yield* Effect.makeLatch(false);
      const filled = yield* Effect.makeLatch(false);
      let room = yield* Deferred.make<void>();

      const turn = Effect.gen(function* () {
        if (batch.length === 0) {
          yield* filled.await;
          yield* Effect.raceFirst(Effect.sleep(linger(latest)), hurry.await);
          batch = box.length <= batchSize ? box : box.slice(0, batchSize);
          box = box.length <= batchSize ? [] : box.slice(batchSize);
          if (box.length === 0) filled.unsafeClose();
        }
        const later = batch.flatMap(({ unflushed }) => unflushed ?? []);
        if (later.length > 0) yield* untilFlushed(later);
        yield* untilWritten(
          later.length === 0 ? batch : batch.map(({ unflushed: _, ...entry }) => entry),
          sink.apply,
        );
        for (const { intent } of batch) {
          if (intent !== undefined && !isRow(intent)) log.forget(intent);
        }
        for (const each of later) each.over();
        written += batch.length;
        latest = batch.length;
        batch = [];
        while (marks[0] && marks[0].upTo <= written) marks.shift()?.done();
        if (marks.length === 0) hurry.unsafeClose();
        yield* Deferred.succeed(room, undefined);
        room = yield* Deferred.make<void>();
      });

      yield* supervise(
        "journal",
        { restart: "permanent", max: 10, within: "1 minute" },
        Effect.forever(turn),
      ).pipe(
        Effect.catchAllCause((cause) => sink.giveUp("the journal", cause)),
        Effect.forkScoped,
      );

      const push = (entry: Queued) => {
        box.push(entry);
        queued++;
        if (box.length === 1) filled.unsafeOpen();
      };
      const offer = (entry: Queued): Effect.Effect<void> => {
        if (box.length < capacity) return Effect.sync(() => push(entry));
        return Effect.andThen(Deferred.await(room), Effect.suspend(() => offer(entry)));
      };
      const enqueue = (entry: Omit<Queued, "at">): Effect.Effect<void> =>
        Clock.clockWith((clock) => offer({ ...entry, at: clock.unsafeCurrentTimeMillis() }));
      const flush = Effect.suspend(() =>
        queued === written ? Effect.void : Effect.async<void>((resume) => {
          marks.push({ upTo: queued, done: () => resume(Effect.void) });
          hurry.unsafeOpen();
        })
      );
      yield* Effect.addFinalizer(() => atMost("10 seconds")(flush));

      const handle = (id: string, event: NewEvent): Prepared => {
        let over = false;
        const once = (then: () => Effect.Effect<void>) =>
          Effect.suspend(() => {
            if (over) return Effect.void;
            over = true;
            return then();
          });
        return {
          settle: (result, quota, unflushed) =>
            once(() => {
              if (!isRow(id)) log.done(id);
              return enqueue(ended(id, { ...event, ...result }, quota, unflushed));
            }),
          cancel: () =>
            once(() => isRow(id) ? enqueue({ intent: id }) : Effect.sync(() => log.cancel(id))),
        };
      };

      /** Those that the catalog does not know as settled; the log need not keep the others. */
      const open = (left: ReadonlyArray<Unsettled>) =>
        Effect.map(store.settled(left.map(({ id }) => id)), (settled) =>
          left.filter(({ id }) => {
            if (settled.has(id)) log.forget(id);
            return !settled.has(id);
          }).map(({ id, ...rest }) => ({ ...rest, prepared: handle(id, rest.event) })));

      const query = (filter: EventFilter) =>
        Stream.paginateChunkEffect(
          { after: filter.after, left: filter.limit ?? Infinity },
          ({ after, left }) =>
            Effect.map(
              store.page(
                { ...filter, ...(after !== undefined && { after }) },
                Math.min(left, pageSize),
              ),
              (events) => nextPage(events, left),
            ),
        );

      const follow = ({ limit: _, descending: __, ...filter }: EventFilter) =>
        Stream.unwrap(Effect.gen(function* () {
          const from = filter.after ?? (filter.since === undefined ? yield* store.last : 0);
          return Stream.paginateChunkEffect(from, (after) =>
            Effect.gen(function* () {
              // Read before the page: rows that appear in between are looked at next time.
              const upTo = yield* store.last;
              const events = upTo > after ? yield* store.page({ ...filter, after }, pageSize) : [];
              if (events.length === 0) {
                yield* Effect.raceFirst(store.more, Effect.sleep(pollEvery));
              }
              return nextFollow(events, Math.max(after, upTo));
            }));
        }));

      return Journal.of({
        record: (event) => enqueue({ event }),
        recordNow: (event) => {
          if (box.length >= capacity) return false;
          push({ event, at: Date.now() });
          return true;
        },
        keepsContent: log.keepsContent,
        prepare: (event, intent, quota, content) =>
          Effect.map(log.append(begun(event, intent, quota, content)), (id) => handle(id, event)),
        prepareNow: (event, intent, quota, content) => {
          if (box.length >= capacity) return undefined;
          const id = log.appendNow(begun(event, intent, quota, content));
          if (id === undefined) return undefined;
          return {
            settle: (result, quota, unflushed) => {
              log.done(id);
              push({ ...ended(id, { ...event, ...result }, quota, unflushed), at: Date.now() });
            },
            cancel: () => log.cancel(id),
          };
        },
        query,
        follow,
        unsettled: Effect.flatMap(
          Effect.zipWith(store.older, log.leftBehind(), (rows, logged) => [...rows, ...logged]),
          open,
        ),
        unsettledOf: (part) => Effect.flatMap(log.leftBehind(part), open),
        flush,
      });
    }),
  );

/** What the log keeps of an operation that begins. */
const begun = (
  event: NewEvent,
  intent: Intent,
  quota: QuotaDelta | undefined,
  content: Uint8Array | undefined,
): Omit<Unsettled, "id"> => ({
  event,
  intent,
  ...(quota && { quota }),
  ...(content && { content }),
});

/** What the sink is told of the operation `intent` when it is done. */
const ended = (
  intent: string,
  event: NewEvent,
  quota: QuotaDelta | undefined,
  unflushed: Unflushed | undefined,
): Omit<Queued, "at"> => ({
  intent,
  event,
  ...(quota && { quota }),
  ...(unflushed && { unflushed }),
});

/** Writes all of it, however long the database stays away. Only what no database would take is given up. */
const untilWritten = (
  entries: ReadonlyArray<JournalEntry>,
  write: (entries: ReadonlyArray<JournalEntry>) => Effect.Effect<void, CatalogError>,
): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let pause = 50;; pause = Math.min(pause * 2, 2000)) {
      const error = yield* Effect.flip(write(entries)).pipe(Effect.option);
      if (Option.isNone(error)) return;
      if (error.value.reason === "Invalid") break;
      yield* Effect.logWarning(`the journal cannot be written yet: ${error.value.detail}`);
      yield* Effect.sleep(pause);
    }
    if (entries.length > 1) {
      return yield* Effect.forEach(entries, (entry) => untilWritten([entry], write), {
        discard: true,
      });
    }
    yield* Effect.logError(`an event could not be recorded: ${entries[0]?.event?.action}`);
  });

type Next<S> = readonly [Chunk.Chunk<Event>, Option.Option<S>];

const nextPage = (
  events: ReadonlyArray<Event>,
  left: number,
): Next<{ after: number | undefined; left: number }> => {
  const rest = left - events.length;
  const last = events.at(-1);
  const more = last !== undefined && rest > 0 && events.length === pageSize;
  return [
    Chunk.unsafeFromArray(events),
    more ? Option.some({ after: last.id, left: rest }) : Option.none(),
  ];
};

/** A short page means that everything up to `upTo` has been looked at. */
const nextFollow = (events: ReadonlyArray<Event>, upTo: number): Next<number> => {
  const last = events.at(-1)?.id ?? 0;
  return [
    Chunk.unsafeFromArray(events),
    Option.some(events.length === pageSize ? last : Math.max(last, upTo)),
  ];
};
