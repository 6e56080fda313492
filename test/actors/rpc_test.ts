import assert from "node:assert/strict";
import { Cause, Deferred, Effect, Exit, Fiber, Option, Scope } from "effect";
import { type Handlers, openPeer, type Peer, PeerGone } from "../../actors/rpc.ts";
import { Refused } from "../../actors/registry.ts";
import { CatalogError, ConfigError, FsError } from "../../src/errors.ts";
import { live } from "../harness.ts";

/** Two ends of one channel, as two threads would have them. */
const pair = (there: Handlers, here: Handlers = {}) =>
  Effect.gen(function* () {
    const { port1, port2 } = yield* Effect.acquireRelease(
      Effect.sync(() => new MessageChannel()),
      ({ port1, port2 }) => Effect.sync(() => (port1.close(), port2.close())),
    );
    port1.start();
    port2.start();
    const far = yield* Scope.make();
    const peer: Peer = yield* openPeer(port1, here);
    const back = yield* Scope.extend(openPeer(port2, there), far);
    return { peer, back, leave: Scope.close(far, Exit.void) };
  });

live("openPeer() answers calls both ways with structured clones", () =>
  Effect.gen(function* () {
    const { peer, back } = yield* pair(
      { "sum.add": (a: number, b: number) => Effect.succeed(a + b) },
      { "map.size": (map: Map<string, number>) => Effect.sync(() => map.size) },
    );
    assert.equal(yield* peer.call("sum.add", 2, 3), 5);
    assert.equal(yield* back.call("map.size", new Map([["a", 1], ["b", 2]])), 2);
  }));

live("openPeer() shares memory instead of copying it", () =>
  Effect.gen(function* () {
    const { peer } = yield* pair({
      "cell.set": (cell: Int32Array) => Effect.sync(() => void Atomics.store(cell, 0, 7)),
    });
    const cell = new Int32Array(new SharedArrayBuffer(4));
    yield* peer.call("cell.set", cell);
    assert.equal(cell[0], 7);
  }));

live("openPeer() revives typed failures as their classes", () =>
  Effect.gen(function* () {
    const failures = [
      new FsError({ reason: "Denied", op: "open", path: "/a", cause: new Error("EACCES") }),
      new CatalogError({ reason: "Busy", op: "find", detail: "held" }),
      new ConfigError({ problems: [{ where: "x", what: "y" }] }),
      new Refused({ refusal: "total" }),
    ];
    const { peer } = yield* pair({ "fail.with": (i: number) => Effect.fail(failures[i]) });
    for (const [i, expected] of failures.entries()) {
      const error = yield* Effect.flip(peer.call<never, Error>("fail.with", i));
      assert.ok(error instanceof expected.constructor, expected._tag);
      assert.equal(error.message, expected.message);
    }
    const denied = yield* Effect.flip(peer.call<never, FsError>("fail.with", 0));
    assert.equal(denied.reason, "Denied");
    assert.match(String(denied.cause), /EACCES/);
    assert.equal(denied.retryable, false);
  }));

live("openPeer() keeps a failure that is no error as it is", () =>
  Effect.gen(function* () {
    const { peer } = yield* pair({ "fail.plain": () => Effect.fail({ _tag: "NoSuch", what: 1 }) });
    assert.deepEqual(yield* Effect.flip(peer.call<never, unknown>("fail.plain")), {
      _tag: "NoSuch",
      what: 1,
    });
  }));

live(
  "openPeer() hands on a defect as text, whether thrown, died of or unknown",
  () =>
    Effect.gen(function* () {
      const { peer } = yield* pair({
        "bad.die": () => Effect.die(new Error("broken inside")),
        "bad.throw": () => {
          throw new Error("broken outside");
        },
      });
      const text = (method: string) =>
        Effect.map(Effect.exit(peer.call(method)), (exit) => {
          assert.ok(Exit.isFailure(exit) && Option.isNone(Cause.failureOption(exit.cause)));
          return Cause.pretty(exit.cause);
        });
      assert.match(yield* text("bad.die"), /broken inside/);
      assert.match(yield* text("bad.throw"), /broken outside/);
      assert.match(yield* text("no.such"), /nothing answers no\.such/);
      assert.match(yield* text("toString"), /nothing answers toString/);
    }),
);

live(
  "openPeer() interrupts the handler when the caller is interrupted",
  () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>();
      const stopped = yield* Deferred.make<void>();
      const { peer } = yield* pair({
        "wait.long": () =>
          Deferred.succeed(started, undefined).pipe(
            Effect.andThen(Effect.never),
            Effect.onInterrupt(() => Deferred.succeed(stopped, undefined)),
          ),
      });
      const fiber = yield* Effect.fork(peer.call("wait.long"));
      yield* Deferred.await(started);
      yield* Fiber.interrupt(fiber);
      yield* Deferred.await(stopped);
    }),
);

live(
  "openPeer() tells who waits that the other side has gone, and who comes later",
  () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>();
      const { port1, port2 } = new MessageChannel();
      port1.start();
      port2.start();
      yield* Effect.addFinalizer(() => Effect.sync(() => (port1.close(), port2.close())));
      const scope = yield* Scope.make();
      const near = yield* Scope.extend(openPeer(port1, {}), scope);
      yield* openPeer(port2, {
        "wait.long": () => Effect.andThen(Deferred.succeed(started, undefined), Effect.never),
      });
      const asked = yield* Effect.fork(Effect.flip(near.ask("wait.long")));
      const called = yield* Effect.fork(near.call("wait.long"));
      yield* Deferred.await(started);
      yield* Scope.close(scope, Exit.void);
      assert.ok((yield* Fiber.join(asked)) instanceof PeerGone);
      const exit = yield* Fiber.await(called);
      assert.ok(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause));
      assert.ok((yield* Effect.flip(near.ask("late.call"))) instanceof PeerGone);
    }),
);

live(
  "openPeer() interrupts the handlers under way when its scope closes",
  () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>();
      const stopped = yield* Deferred.make<void>();
      const { peer, leave } = yield* pair({
        "wait.long": () =>
          Deferred.succeed(started, undefined).pipe(
            Effect.andThen(Effect.never),
            Effect.onInterrupt(() => Deferred.succeed(stopped, undefined)),
          ),
      });
      yield* Effect.fork(peer.ask("wait.long"));
      yield* Deferred.await(started);
      yield* leave;
      yield* Deferred.await(stopped);
    }),
);

live("openPeer() keeps the order of sends and calls", () =>
  Effect.gen(function* () {
    const seen: number[] = [];
    const { peer } = yield* pair({
      "list.push": (n: number) => Effect.sync(() => void seen.push(n)),
      "list.read": () => Effect.sync(() => [...seen]),
    });
    for (let i = 0; i < 100; i++) peer.send("list.push", i);
    assert.deepEqual(yield* peer.call("list.read"), Array.from({ length: 100 }, (_, i) => i));
  }));

live("openPeer() fails only the call whose argument cannot travel", () =>
  Effect.gen(function* () {
    const { peer } = yield* pair({
      "echo.it": (value: unknown) => Effect.succeed(value),
      "echo.bad": () => Effect.succeed(() => {}),
    });
    const [good, bad, answer, after] = yield* Effect.all([
      peer.call("echo.it", 1),
      Effect.exit(peer.call("echo.it", () => {})),
      Effect.exit(peer.call("echo.bad")),
      peer.call("echo.it", 2),
    ], { concurrency: "unbounded" });
    assert.deepEqual([good, after], [1, 2]);
    assert.ok(Exit.isFailure(bad) && Exit.isFailure(answer));
  }));

live(
  "openPeer() bounds the calls under way; those beyond wait and are all answered",
  () =>
    Effect.gen(function* () {
      let now = 0;
      let most = 0;
      const gate = yield* Deferred.make<void>();
      const { peer } = yield* pair({
        "count.in": () =>
          Effect.suspend(() => {
            most = Math.max(most, ++now);
            return Effect.map(Deferred.await(gate), () => now--);
          }),
        "count.open": () => Deferred.succeed(gate, undefined),
      });
      const calls = Array.from({ length: 5000 }, () => peer.call<number>("count.in"));
      const all = yield* Effect.fork(Effect.all(calls, { concurrency: "unbounded" }));
      while (now < 4096) yield* Effect.yieldNow();
      yield* Deferred.succeed(gate, undefined);
      assert.equal((yield* Fiber.join(all)).length, 5000);
      assert.equal(most, 4096);
    }),
);
