import assert from "node:assert/strict";
import { Effect, Exit, Fiber, Layer, Schema, Scope } from "effect";
import { remoteUploadRecords, uploadRecordHandlers } from "../../actors/remote_upload_records.ts";
import { Hub, openPeer } from "../../actors/rpc.ts";
import { Config, ConfigSchema } from "../../src/config/config.ts";
import { UploadRecords } from "../../src/vfs/upload_records.ts";
import { openRecords } from "../catalog/upload_records.ts";
import { live, tempDir } from "../harness.ts";

const settings = Schema.decodeUnknownSync(ConfigSchema)({});

/** The records of a main thread, and the same as two workers see them; `end` ends the first. */
const threads = Effect.gen(function* () {
  const { records } = yield* openRecords(yield* tempDir);
  const worker = Effect.gen(function* () {
    const life = yield* Scope.make();
    const { port1, port2 } = new MessageChannel();
    yield* Effect.addFinalizer(() => Effect.sync(() => (port1.close(), port2.close())));
    const handlers = yield* uploadRecordHandlers.pipe(
      Effect.provideService(UploadRecords, records),
      Scope.extend(life),
    );
    yield* openPeer(port1, handlers);
    const hub = yield* openPeer(port2, {});
    port1.start();
    port2.start();
    const base = Layer.merge(Layer.succeed(Hub, hub), Layer.succeed(Config, settings));
    const context = yield* Layer.build(Layer.provide(remoteUploadRecords, base));
    return { remote: yield* Effect.provide(UploadRecords, context), life };
  });
  const one = yield* worker;
  const two = yield* worker;
  return { here: one.remote, there: two.remote, end: Scope.close(one.life, Exit.void) };
});

live(
  "an upload that one worker is at work on is asked for by another",
  () =>
    Effect.gen(function* () {
      const { here, there } = yield* threads;
      assert.equal(yield* here.take("u", "a", "newest"), true);
      const told = yield* Effect.fork(here.wanted("a"));
      const taking = yield* Effect.fork(there.take("u", "b", "newest"));
      yield* Fiber.join(told);
      yield* here.release("a");
      assert.equal(yield* Fiber.join(taking), true);
      assert.equal(yield* here.take("u", "c", "idle"), false);
    }),
);

live(
  "a worker that ends gives up the uploads that it was at work on",
  () =>
    Effect.gen(function* () {
      const { here, there, end } = yield* threads;
      assert.equal(yield* here.take("u", "a", "newest"), true);
      assert.equal(yield* there.take("u", "b", "idle"), false);
      yield* end;
      assert.equal(yield* there.take("u", "c", "idle"), true);
    }),
);
