import assert from "node:assert/strict";
import { Chunk, Deferred, Effect, Exit, Fiber, Scope, Stream } from "effect";
import type { NewEvent } from "../../src/events/event.ts";
import type { EventFilter } from "../../src/events/journal.ts";
import { openIn, operator, user } from "../catalog/world.ts";
import { live, tempDir } from "../harness.ts";

const upload = (path: string, more: Partial<NewEvent> = {}): NewEvent => ({
  action: "upload",
  status: 1,
  username: "anna",
  virtual_path: path,
  session_id: "s1",
  protocol: "SFTP",
  ...more,
});
const intent = { kind: "publish", username: "anna", key: "a.txt", staged: ".a.tmp" } as const;

live(
  "Journal.record() keeps every member of an event when it is flushed",
  () =>
    Effect.gen(function* () {
      const { journal } = yield* openIn(yield* tempDir);
      const event = upload("/a.txt", {
        ip: "10.0.0.1",
        file_size: 2 ** 53 - 1,
        checksum: "ab",
        elapsed: 5,
        virtual_target_path: "/b.txt",
        message: "why",
      });
      yield* journal.record(event);
      yield* journal.flush;
      const [found, ...rest] = yield* Stream.runCollect(journal.query({}));
      assert.equal(rest.length, 0);
      const { id, timestamp, kind, ...same } = found!;
      assert.ok(id === 1 && timestamp > 0 && kind === "fs");
      assert.deepEqual(same, event);
    }),
);

live(
  "Journal.query() answers what each filter says, over several pages",
  () =>
    Effect.gen(function* () {
      const { journal } = yield* openIn(yield* tempDir);
      for (let i = 0; i < 1200; i++) yield* journal.record(upload(`/bulk/${i}`));
      yield* journal.record(
        upload("/share", { username: "bob", ip: "10.1.1.1", session_id: "s2" }),
      );
      yield* journal.record(upload("/share2/x", { status: 2 }));
      yield* journal.record(
        upload("/share/a_%/b", { action: "rename", virtual_target_path: "/moved/b" }),
      );
      yield* journal.record({ action: "login.failed", status: 2, username: "eve' or 1=1 --" });
      yield* journal.flush;
      const ids = (filter: EventFilter) =>
        Effect.map(Stream.runCollect(journal.query(filter)), (c) => [...c].map((e) => e.id));
      assert.equal((yield* ids({ path: "/bulk" })).length, 1200);
      assert.equal((yield* ids({ path: "/" })).length, 1204);
      assert.deepEqual(yield* ids({ path: "/share" }), [1201, 1203]);
      assert.deepEqual(yield* ids({ path: "/share/" }), [1201, 1203]);
      assert.deepEqual(yield* ids({ path: "/moved" }), [1203]);
      assert.deepEqual(yield* ids({ path: "/share/a__" }), []);
      assert.deepEqual(yield* ids({ username: "bob" }), [1201]);
      assert.deepEqual(yield* ids({ ip: "10.1.1.1" }), [1201]);
      assert.deepEqual(yield* ids({ session_id: "s2" }), [1201]);
      assert.deepEqual(yield* ids({ kinds: ["login"] }), [1204]);
      assert.deepEqual(yield* ids({ username: "eve' or 1=1 --" }), [1204]);
      assert.deepEqual(yield* ids({ actions: ["rename", "login.failed"] }), [1203, 1204]);
      assert.deepEqual(yield* ids({ status: 2 }), [1202, 1204]);
      assert.deepEqual(yield* ids({ after: 1202 }), [1203, 1204]);
      assert.deepEqual(yield* ids({ limit: 3, descending: true }), [1204, 1203, 1202]);
      assert.equal((yield* ids({ limit: 700 })).length, 700);
      const until = yield* Stream.runCollect(journal.query({ until: 0 }));
      assert.equal(until.length, 0);
    }),
);

live(
  "Journal.prepare() settles event and usage once, however often it is called",
  () =>
    Effect.gen(function* () {
      const { journal, users } = yield* openIn(yield* tempDir);
      yield* users.add(user("anna"), operator);
      const quota = { username: "anna", bytes: 100, files: 1 };
      const prepared = yield* journal.prepare(upload("/a.txt"), intent, quota);
      assert.equal((yield* Stream.runCollect(journal.query({ kinds: ["fs"] }))).length, 0);
      yield* prepared.settle({ file_size: 100 }, quota);
      yield* prepared.settle({ file_size: 100 }, quota);
      yield* prepared.cancel();
      yield* journal.flush;
      const events = [...yield* Stream.runCollect(journal.query({ kinds: ["fs"] }))];
      assert.deepEqual(events.map((e) => e.file_size), [100]);
      const anna = yield* users.find("anna");
      assert.deepEqual([anna?.used_quota_size, anna?.used_quota_files], [100, 1]);
      assert.ok(anna!.last_quota_update > 0);
    }),
);

live("Journal.prepare() leaves nothing when it is cancelled", () =>
  Effect.gen(function* () {
    const { journal, database } = yield* openIn(yield* tempDir);
    const prepared = yield* journal.prepare(upload("/a.txt"), intent);
    yield* prepared.cancel();
    yield* journal.flush;
    assert.equal((yield* Stream.runCollect(journal.query({}))).length, 0);
    const rows = yield* Effect.promise(() =>
      database.read.selectFrom("intents").selectAll().execute()
    );
    assert.equal(rows.length, 0);
  }));

live(
  "Journal.settle() adds up in any order, and shows nothing below zero or out of the exact range",
  () =>
    Effect.gen(function* () {
      const { journal, users } = yield* openIn(yield* tempDir);
      yield* users.add(user("anna"), operator);
      const settle = (bytes: number, files: number) =>
        Effect.gen(function* () {
          const prepared = yield* journal.prepare(upload("/a"), intent);
          yield* prepared.settle({}, { username: "anna", bytes, files });
          yield* journal.flush;
          const anna = yield* users.find("anna");
          return [anna?.used_quota_size, anna?.used_quota_files];
        });
      // A removal may come from one thread before the upload that it removed comes from another.
      assert.deepEqual(yield* settle(-5, -1), [0, 0]);
      assert.deepEqual(yield* settle(5, 1), [0, 0]);
      const max = Number.MAX_SAFE_INTEGER;
      assert.deepEqual(yield* settle(max - 1, 1), [max - 1, 1]);
      assert.deepEqual(yield* settle(5000, 1), [max, 2]);
      assert.deepEqual(yield* settle(-max, -2), [0, 0]);
    }),
);

live(
  "Journal.unsettled answers what an earlier process prepared, and settling it counts once",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const quota = { username: "anna", bytes: 7, files: 1 };
      yield* Effect.scoped(Effect.gen(function* () {
        const { journal, users } = yield* openIn(dir);
        yield* users.add(user("anna"), operator);
        yield* journal.prepare(upload("/a.txt"), intent, quota);
        yield* journal.prepare(upload("/b.txt"), { ...intent, key: "b.txt" });
        assert.deepEqual(yield* journal.unsettled, []);
      }));
      const { journal, users } = yield* openIn(dir);
      const [first, second, ...rest] = yield* journal.unsettled;
      assert.equal(rest.length, 0);
      assert.deepEqual(first?.event, upload("/a.txt"));
      assert.deepEqual(first?.intent, intent);
      assert.deepEqual(first?.quota, quota);
      assert.ok(!("quota" in second!));
      // Twice the same row, as by two recoveries at once.
      const again = yield* journal.unsettled;
      yield* first!.prepared.settle({ file_size: 7 }, quota);
      yield* again[0]!.prepared.settle({ file_size: 7 }, quota);
      yield* second!.prepared.cancel();
      yield* journal.flush;
      assert.deepEqual(yield* journal.unsettled, []);
      assert.equal((yield* users.find("anna"))?.used_quota_size, 7);
      const events = [...yield* Stream.runCollect(journal.query({ kinds: ["fs"] }))];
      assert.deepEqual(events.map((e) => e.virtual_path), ["/a.txt"]);
    }),
);

live(
  "Journal.follow() has no gap and no duplicate while events arrive",
  () =>
    Effect.gen(function* () {
      const { journal } = yield* openIn(yield* tempDir);
      const total = 2000;
      for (let i = 1; i <= 700; i++) yield* journal.record(upload(`/${i}`));
      const seen = yield* Effect.fork(
        Stream.runCollect(Stream.take(journal.follow({ after: 0, kinds: ["fs"] }), total)),
      );
      for (let i = 701; i <= total; i++) {
        yield* journal.record(upload(`/${i}`));
        if (i % 100 === 0) yield* Effect.yieldNow();
      }
      const events = Chunk.toReadonlyArray(yield* Fiber.join(seen));
      assert.deepEqual(events.map((e) => e.id), Array.from({ length: total }, (_, i) => i + 1));
      assert.deepEqual(events.map((e) => e.virtual_path), events.map((e) => `/${e.id}`));
    }),
);

live(
  "Journal.follow() sees only newcomers that match when no start is given",
  () =>
    Effect.gen(function* () {
      const { journal } = yield* openIn(yield* tempDir);
      yield* journal.record(upload("/old"));
      yield* journal.flush;
      const started = yield* Deferred.make<void>();
      const seen = yield* journal.follow({ username: "bob" }).pipe(
        Stream.tap(() => Deferred.succeed(started, undefined)),
        Stream.take(2),
        Stream.runCollect,
        Effect.fork,
      );
      const feed = Effect.gen(function* () {
        yield* journal.record(upload("/x"));
        yield* journal.record(upload("/new", { username: "bob" }));
        yield* Effect.sleep(20);
      });
      yield* Effect.raceFirst(Effect.forever(feed), Fiber.join(seen));
      const events = [...yield* Fiber.join(seen)];
      assert.deepEqual(events.map((e) => e.virtual_path), ["/new", "/new"]);
    }),
);

live("Journal writes what is queued when its scope closes", () =>
  Effect.gen(function* () {
    const dir = yield* tempDir;
    const scope = yield* Scope.make();
    const { journal } = yield* Scope.extend(openIn(dir), scope);
    for (let i = 0; i < 1000; i++) yield* journal.record(upload(`/${i}`));
    yield* Scope.close(scope, Exit.void);
    const again = yield* openIn(dir);
    assert.equal((yield* Stream.runCollect(again.journal.query({}))).length, 1000);
  }));
