import { Chunk, Clock, Deferred, Effect, Layer, Option, Queue, Random, Stream } from "effect";
import { atMost } from "../src/at_most.ts";
import { Database, whenFree, Writer } from "../src/catalog/database.ts";
import type { CatalogError } from "../src/errors.ts";
import type { Event, NewEvent } from "../src/events/event.ts";
import { deleteIntent, insertIntent, leftBehind } from "../src/events/intents.ts";
import {
  type EventFilter,
  Journal,
  type Prepared,
  type QuotaDelta,
} from "../src/events/journal.ts";
import { applyQuota, insertEvents, newest, pageSize, selectEvents } from "../src/events/store.ts";
import { supervise } from "./supervisor.ts";

/** One queued change: what to forget, what to show, what to count. */
interface Entry {
  readonly intent?: number;
  readonly event?: NewEvent;
  readonly quota?: QuotaDelta;
  readonly at: number;
}

/** Entries that may wait to be written; a producer beyond that waits for room. */
const capacity = 8192;
const batchSize = 256;
/** How long an entry may wait for company, in milliseconds. */
const linger = 50;
/** How often followers look for events of other processes, in milliseconds. */
const pollEvery = 400;

/**
 * The journal on top of the catalog's writer.
 *
 * One fiber writes the queue in batches and keeps a batch until it is durable,
 * so neither a busy database nor its own restart loses an entry. Closing the
 * scope writes what is queued.
 */
export const journalLayer: Layer.Layer<Journal, never, Database | Writer> = Layer.scoped(
  Journal,
  Effect.gen(function* () {
    const { read, node } = yield* Database;
    const { transact, giveUp } = yield* Writer;
    const owner = { node, process: `${yield* Clock.currentTimeMillis}-${yield* randomName}` };
    const box = yield* Queue.bounded<Entry | Deferred.Deferred<void>>(capacity);
    const wakers = new Set<() => void>();
    const hurry = yield* Effect.makeLatch(true);
    let marks = 0;
    let batch: Array<Entry | Deferred.Deferred<void>> = [];

    const apply = (entries: ReadonlyArray<Entry>) =>
      transact("journal", (trx) =>
        Effect.gen(function* () {
          const shown: Array<{ event: NewEvent; at: number }> = [];
          for (const { intent, event, quota, at } of entries) {
            // Settled before, perhaps by a recovery: its event and usage are in already.
            if (intent !== undefined && !(yield* deleteIntent(trx, intent))) continue;
            if (event) shown.push({ event, at });
            if (quota && (quota.bytes || quota.files)) yield* applyQuota(trx, quota, at);
          }
          yield* insertEvents(trx, shown);
        }));

    const turn = Effect.gen(function* () {
      if (batch.length === 0) {
        batch = [yield* Queue.take(box)];
        yield* Effect.raceFirst(Effect.sleep(linger), hurry.await);
        batch.push(...(yield* Queue.takeUpTo(box, batchSize)));
      }
      const entries = batch.filter(isEntry);
      if (entries.length > 0) yield* untilWritten(entries, apply);
      for (const item of batch) if (!isEntry(item)) yield* Deferred.succeed(item, undefined);
      yield* marks === 0 ? hurry.close : hurry.open;
      batch = [];
      for (const wake of [...wakers]) wake();
    });

    yield* supervise(
      "journal",
      { restart: "permanent", max: 10, within: "1 minute" },
      Effect.forever(turn),
    ).pipe(
      Effect.catchAllCause((cause) => giveUp("the journal", cause)),
      Effect.forkScoped,
    );

    const enqueue = (entry: Omit<Entry, "at">) =>
      Effect.flatMap(Clock.currentTimeMillis, (at) => Queue.offer(box, { ...entry, at }));
    const flush = Effect.gen(function* () {
      const mark = yield* Deferred.make<void>();
      marks += 1;
      yield* hurry.open;
      yield* Queue.offer(box, mark);
      yield* Deferred.await(mark);
    }).pipe(Effect.ensuring(Effect.sync(() => marks -= 1)));
    yield* Effect.addFinalizer(() => atMost("10 seconds")(flush));

    const handle = (id: number, event: NewEvent): Prepared => {
      let over = false;
      const once = (entry: Omit<Entry, "at">) =>
        Effect.suspend(() => {
          if (over) return Effect.void;
          over = true;
          return Effect.asVoid(enqueue(entry));
        });
      return {
        settle: (result, quota) =>
          once({ intent: id, event: { ...event, ...result }, ...(quota && { quota }) }),
        cancel: () => once({ intent: id }),
      };
    };

    const page = (filter: EventFilter, limit: number) =>
      whenFree(selectEvents(read, filter, limit));
    const last = whenFree(newest(read));
    const query = (filter: EventFilter) =>
      Stream.paginateChunkEffect(
        { after: filter.after, left: filter.limit ?? Infinity },
        ({ after, left }) =>
          Effect.map(
            page({ ...filter, ...(after !== undefined && { after }) }, Math.min(left, pageSize)),
            (events) => nextPage(events, left),
          ),
      );

    const woken = Effect.async<void>((resume) => {
      const wake = () => (wakers.delete(wake), resume(Effect.void));
      wakers.add(wake);
      return Effect.sync(() => wakers.delete(wake));
    });
    const follow = ({ limit: _, descending: __, ...filter }: EventFilter) =>
      Stream.unwrap(Effect.gen(function* () {
        const from = filter.after ?? (filter.since === undefined ? yield* last : 0);
        return Stream.paginateChunkEffect(from, (after) =>
          Effect.gen(function* () {
            // Read before the page: rows that appear in between are looked at next time.
            const upTo = yield* last;
            const events = upTo > after ? yield* page({ ...filter, after }, pageSize) : [];
            if (events.length === 0) yield* Effect.raceFirst(woken, Effect.sleep(pollEvery));
            return nextFollow(events, Math.max(after, upTo));
          }));
      }));

    return Journal.of({
      record: (event) => Effect.asVoid(enqueue({ event })),
      prepare: (event, intent, quota) =>
        Effect.map(
          transact("prepare", (trx) =>
            insertIntent(trx, owner, { event, intent, ...(quota && { quota }) })),
          (id) =>
            handle(id, event),
        ),
      query,
      follow,
      unsettled: Effect.map(
        leftBehind(read, owner),
        (rows) => rows.map(({ id, ...row }) => ({ ...row, prepared: handle(id, row.event) })),
      ),
      flush,
    });
  }),
);

const isEntry = (item: Entry | Deferred.Deferred<void>): item is Entry => "at" in item;

const randomName = Effect.map(Random.nextIntBetween(0, 2 ** 31), (n) => n.toString(36));

/** Writes all of it, however long the database stays away. Only what no database would take is given up. */
const untilWritten = (
  entries: ReadonlyArray<Entry>,
  write: (entries: ReadonlyArray<Entry>) => Effect.Effect<void, CatalogError>,
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
