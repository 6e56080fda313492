import assert from "node:assert/strict";
import { Deferred, Effect, Fiber } from "effect";
import { PathLocks } from "../../src/vfs/locks.ts";
import { admit, dismiss, stripeOf } from "../../src/participant.ts";
import { it, live } from "../harness.ts";
import { memoryFor, startThread } from "./threads.ts";

/** Locks whose stripes are the same in every run: by chance two names may share one. */
const fixed = () => {
  const participant = admit(memoryFor(1), 0);
  new Int32Array(participant.memory.head)[0] = 7;
  return new PathLocks(participant);
};

it("with() lets the callers of one path in one after the other, in the order they came", () =>
  Effect.gen(function* () {
    const locks = fixed();
    const order: number[] = [];
    let inside = 0;
    yield* Effect.forEach(
      [1, 2, 3, 4, 5],
      (n) =>
        locks.with(
          ["a"],
          Effect.gen(function* () {
            assert.equal(inside++, 0);
            yield* Effect.yieldNow();
            order.push(n);
            inside--;
          }),
        ),
      { concurrency: "unbounded" },
    );
    assert.deepEqual(order, [1, 2, 3, 4, 5]);
  }));

it("with() holds the callers of different paths apart from nothing", () =>
  Effect.gen(function* () {
    const locks = fixed();
    yield* locks.with(["a"], locks.with(["z"], Effect.void));
  }));

it("with() takes two paths of one stripe once", () =>
  Effect.gen(function* () {
    const seen = new Map<number, string>();
    const twins: string[] = [];
    for (let i = 0; twins.length === 0; i++) {
      const stripe = stripeOf(7, `name${i}`);
      const other = seen.get(stripe);
      if (other !== undefined) twins.push(other, `name${i}`);
      seen.set(stripe, `name${i}`);
    }
    const locks = fixed();
    assert.equal(yield* locks.with(twins, Effect.succeed("in")), "in");
    assert.equal(yield* locks.with(["name0", "name0"], Effect.succeed("in")), "in");
  }));

it("with() gives the path back when the body fails, dies or is interrupted", () =>
  Effect.gen(function* () {
    const locks = fixed();
    yield* Effect.exit(locks.with(["a", "b"], Effect.fail("no")));
    yield* Effect.exit(locks.with(["a", "b"], Effect.die("no")));
    const held = yield* Effect.fork(locks.with(["a", "b"], Effect.never));
    yield* Effect.yieldNow();
    yield* Fiber.interrupt(held);
    yield* locks.with(["b"], locks.with(["a"], Effect.void));
  }));

it("with() leaves the line when it is interrupted, and gives back what it had", () =>
  Effect.gen(function* () {
    const locks = fixed();
    const gate = yield* Deferred.make<void>();
    const holder = yield* Effect.fork(locks.with(["b"], Deferred.await(gate)));
    yield* Effect.yieldNow();
    const waiters = yield* Effect.forEach(
      ["a", "c", "d"],
      (other) => Effect.fork(locks.with([other, "b"], Effect.void)),
    );
    yield* Effect.yieldNow();
    yield* Fiber.interruptAll(waiters);
    yield* locks.with(["a"], locks.with(["c"], locks.with(["d"], Effect.void)));
    yield* Deferred.succeed(gate, undefined);
    yield* Fiber.join(holder);
    yield* locks.with(["b"], Effect.void);
  }));

live(
  "with() never lets two threads in at once, and no wake-up is lost",
  () =>
    Effect.gen(function* () {
      const memory = memoryFor(4);
      const numbers = new SharedArrayBuffer(8);
      const rounds = 2000;
      const threads = yield* Effect.forEach(
        [1, 2, 3, 4],
        (index) =>
          startThread("./locks_worker.ts", memory, index, { numbers, rounds, what: "add" }),
      );
      for (const { said } of threads) assert.equal(yield* said(), "done");
      assert.equal(new Int32Array(numbers)[0], 4 * rounds);
      assert.ok(new Int32Array(memory.locks).every((word) => word === 0));
    }),
);

live(
  "with() lets another thread in while the fibers of one never let go",
  () =>
    Effect.gen(function* () {
      const memory = memoryFor(1);
      const hub = new PathLocks(admit(memory, 0));
      const numbers = new SharedArrayBuffer(8);
      const rounds = 20_000;
      const busy = yield* startThread("./locks_worker.ts", memory, 1, {
        numbers,
        rounds,
        what: "add",
      });
      const shared = new Int32Array(numbers);
      while (shared[0] === 0) yield* Effect.promise(() => new Promise((r) => setTimeout(r, 1)));
      for (let i = 0; i < 5; i++) {
        yield* hub.with(["a"], Effect.sync(() => shared[0] = (shared[0] as number) + 1));
      }
      assert.ok((shared[0] as number) < rounds, "let in only when the other was done");
      assert.equal(yield* busy.said(), "done");
      assert.equal(shared[0], rounds + 5);
    }),
);

live(
  "releaseAll() frees what a thread held that died, and wakes who waits",
  () =>
    Effect.gen(function* () {
      const memory = memoryFor(2);
      const hub = new PathLocks(admit(memory, 0));
      const numbers = new SharedArrayBuffer(8);
      const holder = yield* startThread("./locks_worker.ts", memory, 1, {
        numbers,
        rounds: 0,
        what: "hold",
      });
      assert.equal(yield* holder.said(), "held");
      const other = yield* startThread("./locks_worker.ts", memory, 2, {
        numbers,
        rounds: 4,
        what: "add",
      });
      const here = yield* Effect.fork(hub.with(["a"], Effect.succeed("in")));
      yield* Effect.sleep("20 millis");
      assert.equal(yield* Fiber.poll(here).pipe(Effect.map((exit) => exit._tag)), "None");
      holder.kill();
      hub.releaseAll(dismiss(memory, 1));
      assert.equal(yield* Fiber.join(here), "in");
      assert.equal(yield* other.said(), "done");
      assert.equal(new Int32Array(numbers)[0], 4);
    }),
);
