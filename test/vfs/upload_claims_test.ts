import assert from "node:assert/strict";
import { Effect, Fiber, TestClock } from "effect";
import { UploadClaims } from "../../src/vfs/upload_claims.ts";
import { it } from "../harness.ts";

it("UploadClaims asks the holder to stop, and gives the upload to who came", () =>
  Effect.gen(function* () {
    const claims = new UploadClaims();
    assert.equal(yield* claims.take("u", "old", "newest"), true);
    const told = yield* Effect.fork(claims.wanted("old"));
    const next = yield* Effect.fork(claims.take("u", "new", "newest"));
    yield* Fiber.join(told);
    yield* claims.release("old");
    assert.equal(yield* Fiber.join(next), true);
    assert.equal(yield* claims.take("u", "reaper", "idle"), false);
    yield* claims.release("new");
    yield* claims.release("new");
    assert.equal(yield* claims.take("u", "reaper", "idle"), true);
  }));

it("UploadClaims serves the newest of those who wait", () =>
  Effect.gen(function* () {
    const claims = new UploadClaims();
    yield* claims.take("u", "a", "newest");
    const second = yield* Effect.fork(claims.take("u", "b", "newest"));
    yield* Effect.yieldNow();
    const third = yield* Effect.fork(claims.take("u", "c", "newest"));
    assert.equal(yield* Fiber.join(second), false);
    yield* claims.release("b");
    yield* claims.release("a");
    assert.equal(yield* Fiber.join(third), true);
  }));

it("UploadClaims gives up on a holder that does not stop", () =>
  Effect.gen(function* () {
    const claims = new UploadClaims("1 second");
    yield* claims.take("u", "stuck", "newest");
    const late = yield* Effect.fork(claims.take("u", "late", "newest"));
    yield* TestClock.adjust("1 second");
    assert.equal(yield* Fiber.join(late), false);
    yield* claims.release("late");
    yield* claims.release("stuck");
    assert.equal(yield* claims.take("u", "again", "newest"), true);
  }));

it("UploadClaims hands nothing to who has left the line", () =>
  Effect.gen(function* () {
    const claims = new UploadClaims();
    yield* claims.take("u", "a", "newest");
    const waiting = yield* Effect.fork(claims.take("u", "b", "newest"));
    yield* Effect.yieldNow();
    yield* Fiber.interrupt(waiting);
    yield* claims.release("b");
    yield* claims.release("a");
    assert.equal(yield* claims.take("u", "c", "idle"), true);
  }));
