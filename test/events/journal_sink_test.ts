import assert from "node:assert/strict";
import { Effect, Stream } from "effect";
import { attempt } from "../../src/catalog/database.ts";
import type { JournalEntry } from "../../src/events/journal_sink.ts";
import { sumUsage } from "../../src/events/store.ts";
import { openIn, operator, user } from "../catalog/world.ts";
import { live, tempDir } from "../harness.ts";

const entry = (intent: string | undefined, bytes: number, files = 1): JournalEntry => ({
  ...(intent !== undefined && { intent }),
  event: { action: "upload", status: 1, username: "anna", virtual_path: `/${intent}` },
  quota: { username: "anna", bytes, files },
  at: 1000,
});

live(
  "JournalSink.apply() takes an intent up once, whoever brings it how often",
  () =>
    Effect.gen(function* () {
      const { sink, users, journal } = yield* openIn(yield* tempDir);
      yield* users.add(user("anna"), operator);
      yield* sink.apply([entry("a-1", 10), entry("a-2", 20)]);
      // A worker that did not hear the answer; with news, and with the same twice.
      yield* sink.apply([entry("a-1", 10), entry("a-2", 20)]);
      yield* sink.apply([
        entry("a-2", 20),
        entry("a-3", 30),
        entry("a-3", 30),
        entry(undefined, 1),
      ]);
      // Two recoveries at once.
      yield* Effect.all([sink.apply([entry("b-1", 100)]), sink.apply([entry("b-1", 100)])], {
        concurrency: 2,
      });
      const events = [...yield* Stream.runCollect(journal.query({ kinds: ["fs"] }))];
      assert.deepEqual(
        events.map((e) => e.virtual_path),
        ["/a-1", "/a-2", "/a-3", "/undefined", "/b-1"],
      );
      const anna = yield* users.find("anna");
      assert.deepEqual([anna?.used_quota_size, anna?.used_quota_files], [161, 5]);
    }),
);

live(
  "JournalSink.apply() keeps any text, and an end in the middle of a character",
  () =>
    Effect.gen(function* () {
      const { sink, journal } = yield* openIn(yield* tempDir);
      const names = ['it\'s "quoted" \\ ☃ 😀', "a\u0000b", "half \ud83d", "\\u0000 as text"];
      yield* sink.apply(names.map((name) => ({
        event: { action: "login.failed", status: 2, username: name, message: name },
        at: 1,
      })));
      const events = [...yield* Stream.runCollect(journal.query({}))];
      assert.deepEqual(
        events.map((e) => e.username),
        ['it\'s "quoted" \\ ☃ 😀', "a\ufffdb", "half \ufffd", "\\u0000 as text"],
      );
      assert.deepEqual(events.map((e) => e.message?.slice(0, 4)), [
        "it's",
        "a\u0000b",
        "half",
        "\\u00",
      ]);
    }),
);

Deno.test("sumUsage() adds up the moves of each user", () => {
  const moves = [["a", 5, 1], ["b", 1, 0], ["a", -20, -3], ["c", 0, 0], ["a", 7, 2]] as const;
  const sums = sumUsage(moves.map(([username, bytes, files]) => ({ username, bytes, files })));
  assert.deepEqual([...sums], [["a", { bytes: -8, files: 0 }], ["b", { bytes: 1, files: 0 }]]);
});

live(
  "intents that an earlier version left in the catalog are settled once",
  () =>
    Effect.gen(function* () {
      const { database, journal, users } = yield* openIn(yield* tempDir);
      yield* users.add(user("anna"), operator);
      const quota = { username: "anna", bytes: 9, files: 1 };
      const row = (path: string) => ({
        node: database.node,
        process: "before",
        event: JSON.stringify({
          action: "upload",
          status: 1,
          username: "anna",
          virtual_path: path,
        }),
        intent: JSON.stringify({ kind: "publish", username: "anna", key: path }),
        quota: JSON.stringify(quota),
      });
      yield* attempt("test", () =>
        database.write.insertInto("intents").values([row("/a"), row("/b")]).execute());
      const [first, second, ...rest] = yield* journal.unsettled;
      const [again] = yield* journal.unsettled;
      assert.equal(rest.length, 0);
      assert.deepEqual(first?.quota, quota);
      yield* first!.prepared.settle({}, quota);
      yield* again!.prepared.settle({}, quota);
      yield* second!.prepared.cancel();
      yield* journal.flush;
      assert.deepEqual(yield* journal.unsettled, []);
      assert.equal((yield* users.find("anna"))?.used_quota_size, 9);
      assert.equal((yield* Stream.runCollect(journal.query({ kinds: ["fs"] }))).length, 1);
    }),
);
