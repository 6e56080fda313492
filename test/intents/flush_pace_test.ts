import assert from "node:assert/strict";
import { FlushPace } from "../../src/flush_pace.ts";

/** A pace on a clock of its own; `flush` takes that many milliseconds of it. */
const paced = () => {
  let now = 0;
  const pace = new FlushPace(() => now);
  return {
    pace,
    pass: (ms: number) => void (now += ms),
    flush: (ms: number) => pace.block(() => void (now += ms)),
  };
};

Deno.test("FlushPace leaves the loop to others after a slow flush, longer each time", () => {
  const { pace, pass, flush } = paced();
  assert.ok(pace.mayBlock());
  flush(5);
  const pause = () => {
    for (let n = 0;; n++, pass(10)) if (pace.mayBlock()) return n;
  };
  const first = pause();
  assert.ok(first >= 64);
  flush(5);
  assert.equal(pause(), 2 * first);
  for (let i = 0; i < 500; i++) {
    pass(1);
    assert.ok(pace.mayBlock(), "a fast disk is used at once again");
    flush(0.1);
  }
  flush(5);
  assert.equal(pause(), first);
});

Deno.test("FlushPace sends a crowd through the thread pool, where it shares one flush", () => {
  const { pace, pass, flush } = paced();
  flush(0.1);
  pass(0.05);
  assert.ok(!pace.mayBlock());
  pass(1);
  assert.ok(pace.mayBlock());
});

Deno.test("FlushPace learns from a flush that fails, too", () => {
  const { pace, pass } = paced();
  assert.throws(() =>
    pace.block(() => {
      pass(50);
      throw new Error("EIO");
    }), /EIO/);
  pass(10);
  assert.ok(!pace.mayBlock());
});
