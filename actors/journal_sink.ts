import { Context, Effect, Layer } from "effect";
import { Database, type Db, whenFree, Writer } from "../src/catalog/database.ts";
import type { CatalogError } from "../src/errors.ts";
import { deleteRow, leftRows } from "../src/events/intents.ts";
import { EventStore, isRow, type JournalEntry, JournalSink } from "../src/events/journal_sink.ts";
import {
  applyUsage,
  insertEvents,
  newest,
  selectEvents,
  settledAmong,
  sumUsage,
  type Written,
} from "../src/events/store.ts";

/**
 * The catalog's side of the journal: where every part of the process brings its
 * batches, and what `query` and `follow` read. Only where the writer is.
 */
export const hubSink: Layer.Layer<JournalSink | EventStore, never, Database | Writer> = Layer
  .effectContext(Effect.gen(function* () {
    const { read, node } = yield* Database;
    const { transact, giveUp } = yield* Writer;
    const wakers = new Set<() => void>();
    const wake = Effect.sync(() => {
      for (const each of [...wakers]) each();
    });
    return Context.empty().pipe(
      Context.add(JournalSink, {
        apply: (entries) =>
          Effect.andThen(transact("journal", (trx) => takeUp(trx, entries)), wake),
        giveUp,
      }),
      Context.add(EventStore, {
        page: (filter, limit) => whenFree(selectEvents(read, filter, limit)),
        last: whenFree(newest(read)),
        more: Effect.async<void>((resume) => {
          const woken = () => (wakers.delete(woken), resume(Effect.void));
          wakers.add(woken);
          return Effect.sync(() => wakers.delete(woken));
        }),
        settled: (intents) => whenFree(settledAmong(read, intents)),
        older: whenFree(leftRows(read, node)),
      }),
    );
  }));

/**
 * Writes a batch inside the caller's transaction. In the good case that is one
 * statement for all events and one for each user whose usage moved.
 */
const takeUp = (
  trx: Db,
  entries: ReadonlyArray<JournalEntry>,
): Effect.Effect<void, CatalogError> =>
  entries.some(({ intent }) => intent !== undefined && isRow(intent))
    ? Effect.flatMap(
      Effect.filter(entries, (entry) => stillRow(trx, entry)),
      (rest) => write(trx, rest),
    )
    : write(trx, entries);

const stillRow = (trx: Db, { intent }: JournalEntry) =>
  intent !== undefined && isRow(intent) ? deleteRow(trx, intent) : Effect.succeed(true);

const write = (
  trx: Db,
  entries: ReadonlyArray<JournalEntry>,
): Effect.Effect<void, CatalogError> =>
  Effect.catchIf(
    insertEvents(trx, entries.flatMap(written)),
    (error) => error.reason === "Duplicate",
    // Some came before: from a recovery, or from a worker that did not hear the answer.
    () =>
      Effect.flatMap(fresh(trx, entries), (rest) =>
        Effect.as(insertEvents(trx, rest.flatMap(written)), rest)),
  ).pipe(
    Effect.flatMap((rest) => {
      const counted = rest ?? entries;
      const sums = sumUsage(counted.flatMap(({ quota }) =>
        quota ?? []
      ));
      const at = counted.at(-1)?.at ?? 0;
      return Effect.forEach(sums, ([username, sum]) => applyUsage(trx, username, sum, at), {
        discard: true,
      });
    }),
  );

const written = ({ event, at, intent }: JournalEntry): ReadonlyArray<Written> =>
  event ? [{ event, at, ...(intent !== undefined && !isRow(intent) && { intent }) }] : [];

/** Those whose intent nobody has settled, each intent once. */
const fresh = (trx: Db, entries: ReadonlyArray<JournalEntry>) =>
  Effect.map(
    settledAmong(trx, entries.flatMap(({ intent }) => intent ?? [])),
    (settled) => {
      const seen = new Set(settled);
      return entries.filter(({ intent }) => {
        if (intent === undefined || isRow(intent)) return true;
        return !seen.has(intent) && seen.add(intent) !== undefined;
      });
    },
  );
