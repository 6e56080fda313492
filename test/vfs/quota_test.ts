import assert from "node:assert/strict";
import { Deferred, Effect, Fiber, Layer, TestClock } from "effect";
import { Users } from "../../src/catalog/catalog.ts";
import { Journal } from "../../src/events/journal.ts";
import { Account } from "../../src/vfs/account.ts";
import { AccountBook, Accounts, bookedAccounts } from "../../src/vfs/account_book.ts";
import { admit, dismiss, Participant } from "../../src/participant.ts";
import { Quota } from "../../src/vfs/quota.ts";
import { reread } from "../../src/vfs/recount.ts";
import { quotaAccounts, sharedQuota } from "../../src/vfs/quota_accounts.ts";
import { it, live, onlyWith } from "../harness.ts";
import { makeUser } from "./bench.ts";
import { memoryFor, startThread } from "./threads.ts";

/** The catalog's part: what a scan stores. */
const storing = (stored: Map<string, number> = new Map()) =>
  Layer.succeed(
    Users,
    onlyWith<typeof Users.Service>({
      setUsage: (name: string, { bytes }: { bytes: number }) =>
        Effect.sync(() => void stored.set(name, bytes)),
    }),
  );

/** The hub's quota, over memory for so many workers. */
const hubFor = (workers: number) =>
  Effect.suspend(() =>
    Layer.build(
      sharedQuota.pipe(
        Layer.provideMerge(bookedAccounts),
        Layer.provideMerge(AccountBook.layer),
        Layer.provideMerge(Layer.merge(
          storing(),
          Layer.succeed(Participant, admit(memoryFor(workers), 0)),
        )),
      ),
    )
  );

it("reserve() gives a user who was made anew an account of his own", () =>
  Effect.gen(function* () {
    const quota = yield* Quota;
    const first = makeUser({ quota_size: 100, used_quota_size: 60 });
    const second = makeUser({ id: 2, quota_size: 100 });
    assert.deepEqual(yield* quota.adjust(first, { bytes: -90, files: -1 }), {
      bytes: -60,
      files: 0,
    });
    assert.deepEqual(yield* quota.adjust(first, { bytes: 70, files: 1 }), { bytes: 70, files: 1 });
    assert.deepEqual(yield* quota.usage(second), { bytes: 0, files: 0 });
    assert.deepEqual(yield* quota.usage(first), { bytes: 70, files: 1 });
  }).pipe(Effect.provide(quotaAccounts), Effect.provide(storing())));

it("settle() and release() count once", () =>
  Effect.gen(function* () {
    const quota = yield* Quota;
    const user = makeUser({ quota_size: 100, quota_files: 1 });
    const lease = yield* quota.reserve(user, "/a", undefined);
    assert.equal(lease.grow(100), true);
    assert.equal(lease.grow(101), false);
    assert.deepEqual(yield* quota.held(user), { bytes: 100, files: 1 });
    assert.equal((yield* Effect.flip(quota.reserve(user, "/b", 5))).detail, "disk quota exceeded");
    lease.release();
    lease.release();
    lease.settle({ bytes: 100, files: 1 });
    assert.equal(lease.grow(101), false);
    assert.deepEqual(yield* quota.held(user), { bytes: 0, files: 0 });
    assert.deepEqual(yield* quota.usage(user), { bytes: 0, files: 0 });
    const taken = yield* quota.reserve(user, "/a", undefined);
    assert.equal(
      (yield* Effect.flip(quota.reserve(user, "/b", undefined))).detail,
      "file count quota exceeded",
    );
    taken.settle({ bytes: 7, files: 1 });
    assert.deepEqual(yield* quota.usage(user), { bytes: 7, files: 1 });
  }).pipe(Effect.provide(quotaAccounts), Effect.provide(storing())));

it("recount() counts again when a change began while it counted and is not over", () =>
  Effect.gen(function* () {
    const quota = yield* Quota;
    const user = makeUser({ used_quota_size: 10 });
    const gate = yield* Deferred.make<void>();
    let counts = 0;
    const scan = yield* Effect.fork(quota.recount(
      user,
      Effect.gen(function* () {
        if (counts++ === 0) {
          // The file goes, and the count misses it before the change is told to the quota.
          yield* Effect.fork(quota.during(
            user,
            Effect.zipRight(Deferred.await(gate), quota.adjust(user, { bytes: -10, files: 0 })),
          ));
          yield* Effect.yieldNow();
        }
        return { bytes: 0, files: 0 };
      }),
    ));
    yield* TestClock.adjust("50 millis");
    yield* Deferred.succeed(gate, undefined);
    yield* TestClock.adjust("1 second");
    assert.deepEqual(yield* Fiber.join(scan), { bytes: 0, files: 0 });
    assert.equal(counts, 2);
    assert.deepEqual(yield* quota.usage(user), { bytes: 0, files: 0 });
  }).pipe(Effect.provide(quotaAccounts), Effect.provide(storing())));

/** Four threads upload for `user` at the same time; answers the numbers that they left. */
const fourThreads = (user: ReturnType<typeof makeUser>, what: string, rounds: number) =>
  Effect.gen(function* () {
    const { memory } = yield* Participant;
    const { memory: accounts } = yield* (yield* Accounts).open(user);
    const numbers = new SharedArrayBuffer(8 * 16);
    const threads = yield* Effect.forEach(
      [1, 2, 3, 4],
      (index) =>
        startThread("./quota_worker.ts", memory, index, { numbers, accounts, user, rounds, what }),
    );
    for (const { said } of threads) assert.equal(yield* said(), "done");
    return new Float64Array(numbers);
  });

live(
  "QUOTA-05: uploads of four threads fill a quota to the byte and never beyond",
  () =>
    Effect.gen(function* () {
      const context = yield* hubFor(4);
      yield* Effect.provide(
        Effect.gen(function* () {
          const quota = yield* Quota;
          const user = makeUser({ quota_size: 100_000 });
          const seen = yield* fourThreads(user, "fill", 2000);
          assert.equal(seen[15], 0);
          const { bytes } = yield* quota.usage(user);
          assert.equal(bytes, seen.slice(1, 5).reduce((a, b) => a + b));
          assert.equal(bytes, 100_000);
          assert.deepEqual(yield* quota.held(user), { bytes: 0, files: 0 });
        }),
        context,
      );
    }),
);

live(
  "Quota is exact over four threads that commit and give up 80,000 uploads",
  () =>
    Effect.gen(function* () {
      const context = yield* hubFor(4);
      yield* Effect.provide(
        Effect.gen(function* () {
          const quota = yield* Quota;
          const user = makeUser();
          const seen = yield* fourThreads(user, "mix", 20_000);
          const { bytes, files } = yield* quota.usage(user);
          assert.equal(bytes, seen.slice(1, 5).reduce((a, b) => a + b));
          assert.equal(files, 4 * Math.ceil(20_000 / 3));
          assert.deepEqual(yield* quota.held(user), { bytes: 0, files: 0 });
        }),
        context,
      );
    }),
);

live(
  "dismiss() gives back what a dead thread held and names whose files it was changing",
  () =>
    Effect.gen(function* () {
      const context = yield* hubFor(1);
      yield* Effect.provide(
        Effect.gen(function* () {
          const { memory } = yield* Participant;
          const quota = yield* Quota;
          const book = yield* AccountBook;
          const user = makeUser({ quota_size: 1000 });
          const place = yield* (yield* Accounts).open(user);
          const mine = yield* quota.reserve(user, "/mine", undefined);
          yield* Effect.forEach([1, 2], (n) => quota.adjust(user, { bytes: -n, files: 0 }));
          const thread = yield* startThread("./quota_worker.ts", memory, 1, {
            numbers: new SharedArrayBuffer(128),
            accounts: place.memory,
            user,
            rounds: 0,
            what: "hold",
          });
          assert.equal(yield* thread.said(), "held");
          assert.deepEqual(yield* quota.held(user), { bytes: 1000, files: 2 });
          assert.equal(mine.grow(1001), false);
          thread.kill();
          assert.deepEqual(book.dismiss(1, dismiss(memory, 1)), ["alice"]);
          assert.deepEqual(yield* quota.held(user), { bytes: 0, files: 1 });
          assert.equal(mine.grow(1000), true);
          assert.equal(
            yield* quota.recount(user, Effect.succeed({ bytes: 0, files: 0 })).pipe(
              Effect.map(({ bytes }) => bytes),
            ),
            0,
          );
        }),
        context,
      );
    }),
);

it("open() finds room for ten thousand accounts", () =>
  Effect.gen(function* () {
    const context = yield* hubFor(4);
    yield* Effect.provide(
      Effect.gen(function* () {
        const accounts = yield* Accounts;
        const viewer = yield* Participant;
        for (let id = 1; id <= 10_000; id++) {
          const owner = {
            id,
            username: `u${id}`,
            used_quota_size: id,
            used_quota_files: 1,
            used_upload_data_transfer: 0,
            used_download_data_transfer: 0,
          };
          const { memory, offset } = yield* accounts.open(owner);
          assert.equal(new Account(memory, offset, viewer).usage().bytes, id);
        }
        const first = yield* accounts.open({
          id: 1,
          username: "u1",
          used_quota_size: 99,
          used_quota_files: 9,
          used_upload_data_transfer: 0,
          used_download_data_transfer: 0,
        });
        assert.equal(new Account(first.memory, first.offset, viewer).usage().bytes, 1);
      }),
      context,
    );
  }));

live(
  "reread() takes a usage from the catalog once the others' changes have reached it",
  () =>
    Effect.gen(function* () {
      // A worker settled 30 bytes in memory that its journal still holds; a dead one left memory wrong by 500.
      let stored = 100;
      let queued = 30;
      const user = makeUser({ used_quota_size: 100 });
      const users = Layer.succeed(
        Users,
        onlyWith<typeof Users.Service>({
          usage: () =>
            Effect.succeed({
              ...user,
              used_quota_size: stored,
              used_quota_files: 2,
              used_upload_data_transfer: 0,
              used_download_data_transfer: 0,
            }),
          setUsage: (_: string, { bytes }: { bytes: number }) =>
            Effect.sync(() => void (stored = bytes)),
        }),
      );
      const journal = Layer.succeed(
        Journal,
        onlyWith<typeof Journal.Service>({
          flush: Effect.sync(() => {
            stored += queued;
            queued = 0;
          }),
        }),
      );
      yield* Effect.gen(function* () {
        const quota = yield* Quota;
        yield* quota.adjust(user, { bytes: 530, files: 5 });
        yield* reread("alice");
        assert.deepEqual(yield* quota.usage(user), { bytes: 130, files: 2 });
        assert.equal(stored, 130);
      }).pipe(Effect.provide(Layer.provideMerge(quotaAccounts, Layer.merge(users, journal))));
    }),
);
