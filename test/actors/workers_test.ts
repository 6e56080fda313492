import assert from "node:assert/strict";
import { Effect, Exit, Queue, Scope } from "effect";
import type { Peer } from "../../actors/rpc.ts";
import { runWorkers } from "../../actors/workers.ts";
import { live } from "../harness.ts";

const spawn = () =>
  new Worker(new URL("./worker_fixture.ts", import.meta.url).href, { type: "module" });

/** Workers that begin, die and are given back as the queues tell. */
const crew = (greetingOf: (life: number) => string, count = 1) =>
  Effect.gen(function* () {
    const begun = yield* Queue.unbounded<Peer>();
    const givenBack = yield* Queue.unbounded<number>();
    const stopped = yield* Queue.unbounded<number>();
    let lives = 0;
    const workers = yield* runWorkers<unknown>({
      count,
      spawn,
      patience: "1 second",
      prepare: (index) =>
        Effect.acquireRelease(
          Effect.sync(() => ({
            handlers: { "test.stopped": () => Queue.offer(stopped, index) },
            greeting: greetingOf(lives++),
          })),
          () => Queue.offer(givenBack, index),
        ),
      begin: (_, peer) =>
        Effect.andThen(peer.ask("worker.begin"), Effect.asVoid(Queue.offer(begun, peer))),
    });
    return { workers, begun, givenBack, stopped };
  });

live(
  "runWorkers() answers when one serves, and lets all stop in order",
  () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make();
      const { workers, begun, stopped, givenBack } = yield* Scope.extend(
        crew(() => "serve", 2),
        scope,
      );
      yield* workers.begun;
      assert.ok(workers.serving() >= 1);
      yield* Queue.takeN(begun, 2);
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => workers.serving() === 2 });
      yield* Scope.close(scope, Exit.void);
      assert.equal(workers.serving(), 0);
      assert.deepEqual([...(yield* Queue.takeAll(stopped))].sort(), [0, 1]);
      assert.deepEqual([...(yield* Queue.takeAll(givenBack))].sort(), [0, 1]);
    }),
);

live(
  "runWorkers() starts a worker again that died, after giving back what it held",
  () =>
    Effect.gen(function* () {
      const { workers, begun, givenBack } = yield* crew(() => "serve");
      yield* workers.begun;
      const peer = yield* Queue.take(begun);
      peer.send("test.crash");
      assert.equal(yield* Queue.take(givenBack), 0);
      yield* Queue.take(begun);
      assert.equal(yield* Queue.size(givenBack), 0);
    }),
);

live("runWorkers() goes on when a worker dies at every start", () =>
  Effect.gen(function* () {
    const { workers, givenBack } = yield* crew((life) => life < 2 ? "crash at start" : "serve");
    yield* workers.begun;
    assert.equal(workers.serving(), 1);
    assert.equal(yield* Queue.size(givenBack), 2);
  }));

live(
  "runWorkers() fails with what a worker refuses its first start for",
  () =>
    Effect.gen(function* () {
      const { workers } = yield* crew(() => "refuse");
      assert.deepEqual(yield* Effect.flip(workers.begun), { _tag: "Refusal", why: "no" });
    }),
);

live("runWorkers() ends and replaces a worker that does not answer", () =>
  Effect.gen(function* () {
    const { workers, begun, givenBack } = yield* crew(() => "serve");
    yield* workers.begun;
    const peer = yield* Queue.take(begun);
    peer.send("test.hang");
    assert.equal(yield* Queue.take(givenBack), 0);
    yield* Queue.take(begun);
  }));

live("runWorkers() ends while it waits for the first", () =>
  Effect.gen(function* () {
    const scope = yield* Scope.make();
    const { workers, givenBack } = yield* Scope.extend(crew(() => "crash at start", 2), scope);
    yield* Queue.take(givenBack);
    yield* Scope.close(scope, Exit.void);
    assert.equal(workers.serving(), 0);
  }));
