import assert from "node:assert/strict";
import { Context, Effect, Layer } from "effect";
import { remoteElsewhere } from "../../actors/remote_uploads.ts";
import { accountHandlers, remoteAccounts } from "../../actors/remote_accounts.ts";
import { Hub, openPeer } from "../../actors/rpc.ts";
import { Users } from "../../src/catalog/catalog.ts";
import { FsError } from "../../src/errors.ts";
import { enrolTotp } from "../../src/identity/enrolment.ts";
import { SecondFactor } from "../../src/identity/second_factor.ts";
import { admit, Participant } from "../../src/participant.ts";
import { AccountBook, bookedAccounts } from "../../src/vfs/account_book.ts";
import { Quota } from "../../src/vfs/quota.ts";
import { sharedQuota } from "../../src/vfs/quota_accounts.ts";
import { Elsewhere } from "../../src/vfs/uploads.ts";
import { live } from "../harness.ts";
import { World } from "../identity/fixtures.ts";
import { makeUser } from "../vfs/bench.ts";
import { memoryFor } from "../vfs/threads.ts";

/** A worker's services over a channel to whoever answers `handlers`. */
const worker = (handlers: Parameters<typeof openPeer>[1]) =>
  Effect.gen(function* () {
    const { port1, port2 } = yield* Effect.acquireRelease(
      Effect.sync(() => new MessageChannel()),
      ({ port1, port2 }) => Effect.sync(() => (port1.close(), port2.close())),
    );
    port1.start();
    port2.start();
    yield* openPeer(port2, handlers);
    const hub = yield* openPeer(port1, {});
    return Layer.succeed(Hub, hub);
  });

live("wrong codes given to different workers are counted together", () =>
  Effect.gen(function* () {
    const world = new World();
    world.add({ username: "alice" });
    const memory = memoryFor(2);
    const hub = yield* Layer.build(
      Layer.merge(SecondFactor.layer, bookedAccounts).pipe(
        Layer.provideMerge(AccountBook.layer),
        Layer.provideMerge(Layer.succeed(Participant, admit(memory, 0))),
        Layer.provideMerge(world.layer()),
      ),
    );
    yield* Effect.provide(enrolTotp("alice"), hub);
    const handlers = yield* Effect.provide(accountHandlers, hub);
    const remotes = yield* Effect.forEach([1, 2], () =>
      Effect.flatMap(worker(handlers), (port) =>
        Layer.build(Layer.provide(remoteAccounts, port))));
    const tell = (i: number, code: string) =>
      Effect.gen(function* () {
        const context = remotes[i % 2] as Context.Context<SecondFactor | Users>;
        const user = yield* Context.get(context, Users).find("alice");
        assert.ok(user);
        return yield* Context.get(context, SecondFactor).refusal(user, code);
      });
    for (let i = 0; i < 10; i++) {
      assert.match((yield* tell(i, "12345x")) ?? "", /wrong/);
    }
    assert.match((yield* tell(0, "12345x")) ?? "", /locked/);
    assert.match((yield* tell(1, "12345x")) ?? "", /locked/);
  }));

live(
  "a quota is one account for all workers, opened by whoever comes first",
  () =>
    Effect.gen(function* () {
      const world = new World();
      const memory = memoryFor(2);
      const hub = yield* Layer.build(
        Layer.merge(SecondFactor.layer, bookedAccounts).pipe(
          Layer.provideMerge(AccountBook.layer),
          Layer.provideMerge(Layer.succeed(Participant, admit(memory, 0))),
          Layer.provideMerge(world.layer()),
        ),
      );
      const handlers = yield* Effect.provide(accountHandlers, hub);
      const quotas = yield* Effect.forEach([1, 2], (index) =>
        Effect.flatMap(worker(handlers), (port) =>
          Effect.provide(
            Quota,
            sharedQuota.pipe(
              Layer.provide(Layer.provide(remoteAccounts, port)),
              Layer.provide(Layer.succeed(Participant, admit(memory, index))),
            ),
          )));
      const [one, two] = quotas as [typeof Quota.Service, typeof Quota.Service];
      const user = makeUser({ quota_size: 1000, used_quota_size: 100 });
      const lease = yield* one.reserve(user, "/a", undefined);
      const other = yield* two.reserve(user, "/b", undefined);
      assert.equal(lease.grow(600), true);
      assert.equal(other.grow(301), false);
      assert.equal(other.grow(300), true);
      lease.settle({ bytes: 500, files: 1 });
      other.release();
      // What the row said at a later login does not matter any more.
      const later = makeUser({ quota_size: 1000, used_quota_size: 7 });
      assert.deepEqual(yield* two.usage(later), { bytes: 600, files: 1 });
      assert.deepEqual(yield* one.held(user), { bytes: 0, files: 0 });
    }),
);

live(
  "what another worker's upload answers comes back, its failures as FsError",
  () =>
    Effect.gen(function* () {
      const refused = new FsError({ reason: "QuotaExceeded", op: "setattr", path: "/f" });
      const port = yield* worker({
        "elsewhere.latest": () => Effect.succeed({ started: 5, size: 7 }),
        "elsewhere.below": () => Effect.succeed(true),
        "elsewhere.setAttributes": () => Effect.fail(refused),
      });
      const elsewhere = yield* Effect.provide(Elsewhere, Layer.provide(remoteElsewhere, port));
      assert.deepEqual(yield* elsewhere.latest("s", "/f"), { started: 5, size: 7 });
      assert.equal(yield* elsewhere.below("s", "/"), true);
      const error = yield* Effect.flip(elsewhere.setAttributes("s", "/f", { size: 1 }));
      assert.ok(error instanceof FsError);
      assert.equal(error.reason, "QuotaExceeded");
    }),
);
