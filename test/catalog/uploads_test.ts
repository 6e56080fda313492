import assert from "node:assert/strict";
import { Effect } from "effect";
import type { UploadRecord } from "../../src/vfs/upload_records.ts";
import type { VPath } from "../../src/vpath.ts";
import { live, tempDir } from "../harness.ts";
import { openRecords } from "./upload_records.ts";
import { operator, user } from "./world.ts";

const idOf = (n: number) => n.toString(16).padStart(32, "0");
const record = (n: number, more: Partial<UploadRecord> = {}): UploadRecord => ({
  id: idOf(n),
  userId: 1,
  storage: "local:/x",
  path: "/f" as VPath,
  kind: "whole",
  parts: [],
  length: 10,
  reserved: 10,
  metadata: "filename YQ==",
  options: { overwrite: true, mtime: 5 },
  finishing: false,
  created: 1000,
  ...more,
});

live("UploadRecords gives back what was added, over a start", () =>
  Effect.gen(function* () {
    const dir = yield* tempDir;
    yield* Effect.scoped(
      Effect.flatMap(openRecords(dir), ({ records }) => records.add(record(1), undefined)),
    );
    const { records } = yield* openRecords(dir);
    assert.deepEqual(yield* records.find(idOf(1)), record(1));
    yield* records.setFinishing(idOf(1), true);
    assert.equal((yield* records.find(idOf(1)))?.finishing, true);
    yield* records.remove([idOf(1)]);
    assert.equal(yield* records.find(idOf(1)), undefined);
  }));

live(
  "UploadRecords.add() keeps a user's unfinished uploads within the room, but for parts",
  () =>
    Effect.gen(function* () {
      const { records } = yield* openRecords(yield* tempDir);
      assert.equal(yield* records.add(record(1), 25), undefined);
      assert.equal(yield* records.add(record(2), 25), undefined);
      assert.equal(yield* records.add(record(3), 25), "no_room");
      assert.equal(yield* records.add(record(4, { userId: 2 }), 25), undefined);
      const final = record(5, { kind: "final", parts: [idOf(1), idOf(2)], reserved: 20 });
      assert.equal(yield* records.add(final, 25), undefined);
      yield* records.remove([idOf(1), idOf(5)]);
      yield* records.setFinishing(idOf(2), true);
      assert.equal(yield* records.add(record(6, { reserved: 25 }), 25), undefined);
    }),
);

live(
  "UploadRecords.add() takes a thousand unfinished uploads of a user and no more",
  () =>
    Effect.gen(function* () {
      const { records } = yield* openRecords(yield* tempDir);
      const add = (n: number) => records.add(record(n), undefined);
      const all = yield* Effect.forEach(Array.from({ length: 1001 }, (_, n) => n), add, {
        concurrency: "unbounded",
      });
      assert.deepEqual(all.filter((refusal) => refusal !== undefined), ["too_many"]);
    }),
);

live(
  "UploadRecords.stale() finds old ones, those of nobody and what a crash cut, by pages",
  () =>
    Effect.gen(function* () {
      const { records, users } = yield* openRecords(yield* tempDir);
      const { id: userId } = yield* users.add(user("ann"), operator);
      const mine = (n: number, more: Partial<UploadRecord> = {}) =>
        records.add(record(n, { userId, ...more }), undefined);
      yield* mine(1);
      yield* mine(2, { created: 3000 });
      yield* mine(3, { created: 3000, kind: "final" });
      yield* mine(4, { created: 3000, kind: "final", finishing: true });
      yield* mine(6, { finishing: true });
      yield* records.add(record(5, { userId: userId + 1, created: 3000 }), undefined);
      const all = yield* records.stale({ open: 2000, finished: 2500 }, "");
      assert.deepEqual(
        all.map(({ record: { id }, orphan }) => [parseInt(id, 16), orphan]),
        [[1, false], [3, false], [5, true], [6, false]],
      );
      assert.equal((yield* records.stale({ open: 2000, finished: 2500 }, idOf(3))).length, 2);
    }),
);
