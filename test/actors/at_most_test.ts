import assert from "node:assert/strict";
import { Effect, Fiber, TestClock } from "effect";
import { atMost } from "../../src/at_most.ts";
import { it } from "../harness.ts";

it("atMost() gives up in a finalizer too, where nothing can be interrupted", () =>
  Effect.gen(function* () {
    let after = false;
    const closing = yield* Effect.fork(Effect.scoped(
      Effect.addFinalizer(() =>
        Effect.andThen(
          atMost("1 second")(Effect.never),
          Effect.sync(() => {
            after = true;
          }),
        )
      ),
    ));
    yield* TestClock.adjust("1 second");
    yield* Fiber.join(closing);
    assert.ok(after);
  }));

it("atMost() lets what is quick enough end, even when its fiber was interrupted", () =>
  Effect.gen(function* () {
    let done = false;
    const fiber = yield* Effect.fork(Effect.scoped(Effect.andThen(
      Effect.addFinalizer(() =>
        atMost("10 seconds")(Effect.andThen(
          Effect.sleep("5 seconds"),
          Effect.sync(() => {
            done = true;
          }),
        ))
      ),
      Effect.never,
    )));
    yield* Effect.yieldNow();
    yield* Effect.fork(Fiber.interrupt(fiber));
    yield* TestClock.adjust("5 seconds");
    yield* Fiber.await(fiber);
    assert.ok(done);
  }));
