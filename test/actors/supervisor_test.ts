import assert from "node:assert/strict";
import { Cause, Effect, Exit, Fiber, Scope, TestClock } from "effect";
import { spawn } from "../../actors/actor.ts";
import { ActorBusy } from "../../src/errors.ts";
import { supervise } from "../../actors/supervisor.ts";
import { it } from "../harness.ts";

it("supervise() starts a transient child anew after a defect", () =>
  Effect.gen(function* () {
    let starts = 0;
    const child = Effect.suspend(() => ++starts < 3 ? Effect.die("boom") : Effect.void);
    const fiber = yield* Effect.fork(
      supervise("c", { restart: "transient", max: 5, within: "1 minute" }, child),
    );
    yield* TestClock.adjust("5 seconds");
    yield* Fiber.join(fiber);
    assert.equal(starts, 3);
  }));
it("supervise() gives up after max restarts", () =>
  Effect.gen(function* () {
    let starts = 0;
    const child = Effect.suspend(() => (starts++, Effect.die("boom")));
    const fiber = yield* Effect.fork(
      supervise("c", { restart: "permanent", max: 2, within: "1 minute" }, child),
    );
    yield* TestClock.adjust("1 minute");
    assert.ok(Exit.isFailure(yield* Fiber.await(fiber)));
    assert.equal(starts, 3);
  }));
it("closing the scope answers what is still in the mailbox", () =>
  Effect.gen(function* () {
    const scope = yield* Scope.make();
    const actor = yield* Scope.extend(spawn("t", 4, (_: number) => Effect.never), scope);
    const asks = yield* Effect.forEach([1, 2], (n) => Effect.fork(Effect.exit(actor.ask(n))));
    yield* Effect.yieldNow();
    yield* Scope.close(scope, Exit.void);
    const [first, second] = yield* Effect.forEach(asks, Fiber.join);
    assert.ok(first && Exit.isFailure(first));
    assert.ok(second && Exit.isFailure(second));
    const after = yield* Effect.flip(actor.ask(3));
    assert.ok(after instanceof ActorBusy);
  }));
it("a defect runs onDefect once, and the end of the scope does not", () =>
  Effect.gen(function* () {
    const seen: string[] = [];
    const note = (cause: Cause.Cause<never>) =>
      Effect.sync(() => void seen.push(String(Cause.squash(cause))));
    const actor = yield* spawn("t", 4, (_: number) => Effect.die("bug"), note);
    yield* Effect.exit(actor.ask(1));
    yield* Effect.exit(actor.join);
    assert.deepEqual(seen, ["bug"]);
    yield* Effect.scoped(spawn("u", 4, (_: number) => Effect.void, note));
    assert.deepEqual(seen, ["bug"]);
  }));

it("a defect comes out of join", () =>
  Effect.gen(function* () {
    const actor = yield* spawn("t", 4, (_: number) => Effect.die("bug"));
    const ask = yield* Effect.exit(actor.ask(1));
    assert.ok(Exit.isFailure(ask));
    assert.ok(Exit.isFailure(yield* Effect.exit(actor.join)));
  }));
