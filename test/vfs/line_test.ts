import assert from "node:assert/strict";
import { Effect } from "effect";
import { Flow } from "../../src/vfs/limits.ts";
import { Line, lineBytes } from "../../src/vfs/line.ts";

const now = 1_000_000;

Deno.test("reserve() gives slots one after another, each as long as its bytes take", () => {
  const line = new Line(new SharedArrayBuffer(lineBytes), 0);
  const take = (at = now) => line.reserve("download", 100_000, 1_000_000, at);
  // A tenth of a second is free after a rest.
  assert.deepEqual([take(), take(), take()], [0, 100, 200]);
  assert.equal(line.reserve("upload", 1, 1, now), 900, "the other way is free");
  assert.equal(take(now + 150), 150);
  assert.equal(take(now + 60_000), 0, "a rest does not add up");
  assert.equal(take(now + 60_000), 100);
});

Deno.test("reserve() recovers from a clock that was set back", () => {
  const line = new Line(new SharedArrayBuffer(lineBytes), 0);
  line.reserve("download", 1, 1000, now + 365 * 24 * 3600 * 1000);
  assert.equal(line.reserve("download", 1, 1000, now), 0);
});

Deno.test("DT-05: what a transfer moved before a reset is not stored after it", async () => {
  const line = new Line(new SharedArrayBuffer(lineBytes), 0);
  const stored: number[] = [];
  const flow = () =>
    new Flow(
      line,
      "upload",
      0,
      (bytes) => (line.count("upload", bytes), undefined),
      (bytes) => Effect.sync(() => void stored.push(bytes)),
    );
  const [cut, whole] = [flow(), flow()];
  await cut.pass(5);
  await whole.pass(7);
  await Effect.runPromise(whole.end);
  line.begin(0, 0);
  await cut.pass(2);
  await Effect.runPromise(cut.end);
  assert.deepEqual([stored, line.moved("upload")], [[7, 2], 2]);
  const idle = flow();
  await idle.pass(3);
  line.begin(0, 0);
  await Effect.runPromise(idle.end);
  assert.equal(stored.at(-1), 0);
});

Deno.test("reserve() and count() lose nothing over threads", async () => {
  const memory = new SharedArrayBuffer(lineBytes);
  const workers = [1, 2, 3].map(() =>
    new Worker(new URL("./line_worker.ts", import.meta.url).href, { type: "module" })
  );
  await Promise.all(workers.map((worker) =>
    new Promise((resolve) => {
      worker.onmessage = resolve;
      worker.postMessage(memory);
    })
  ));
  workers.forEach((worker) => worker.terminate());
  const line = new Line(memory, 0);
  assert.equal(line.moved("download"), 3 * 3 * 10_000);
  // 30,000 slots of a millisecond, less the burst.
  assert.equal(line.reserve("upload", 0, 1_000_000, 1_000_000), 30_000 - 100);
});
