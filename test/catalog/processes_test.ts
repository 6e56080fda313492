import assert from "node:assert/strict";
import { Effect, Fiber, Stream } from "effect";
import { live, tempDir } from "../harness.ts";
import { openIn, operator, user } from "./world.ts";

/** Starts child.ts; it is killed with the scope. `lines` may be read once. */
const child = (...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const process = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", new URL("child.ts", import.meta.url).pathname, ...args],
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      const lines = Stream.fromReadableStream(() => process.stdout, String).pipe(
        Stream.decodeText(),
        Stream.splitLines,
        Stream.orDie,
      );
      return { process, lines };
    }),
    ({ process }) =>
      Effect.promise(async () => {
        try {
          process.kill("SIGKILL");
        } catch {
          // It has ended.
        }
        await process.status;
      }),
  );

live(
  "S3.4.8: every acknowledged user is there after kill -9 in an insert loop",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const acked: string[] = [];
      for (const round of ["a", "b"]) {
        const { process, lines } = yield* child("users", dir, round, "100000");
        yield* lines.pipe(
          Stream.filter((line) => line !== "open"),
          Stream.tap((line) => Effect.sync(() => acked.push(line))),
          Stream.take(60),
          Stream.runDrain,
        );
        process.kill("SIGKILL");
        yield* Effect.promise(() => process.status);
      }
      const { catalog, users, journal } = yield* openIn(dir);
      assert.deepEqual(yield* catalog.check, []);
      const found = (yield* users.list({ limit: 100000, offset: 0 })).map((u) => u.username);
      assert.deepEqual(acked.filter((name) => !found.includes(name)), []);
      assert.ok(acked.length >= 120);
      // The change and its event are one transaction.
      const events = yield* Stream.runCollect(journal.query({ actions: ["provider.add"] }));
      assert.deepEqual([...events].map((e) => e.object_name).sort(), [...found].sort());
    }),
);

live(
  "S7.2: operations prepared before kill -9 are unsettled after it, once each",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const { process, lines } = yield* child("prepare", dir, "anna", "25");
      yield* Stream.runDrain(Stream.take(lines, 26));
      process.kill("SIGKILL");
      yield* Effect.promise(() => process.status);
      const { users, journal } = yield* openIn(dir);
      yield* users.add(user("anna"), operator);
      const left = yield* journal.unsettled;
      assert.deepEqual(left.map((u) => u.intent.key), Array.from({ length: 25 }, (_, i) => `${i}`));
      for (const { prepared, quota } of left) yield* prepared.settle({}, quota);
      yield* journal.flush;
      assert.deepEqual(yield* journal.unsettled, []);
      const anna = yield* users.find("anna");
      assert.deepEqual([anna?.used_quota_size, anna?.used_quota_files], [25, 25]);
      assert.equal((yield* Stream.runCollect(journal.query({ kinds: ["fs"] }))).length, 25);
    }),
);

live("two processes write at once and neither loses anything", () =>
  Effect.gen(function* () {
    const dir = yield* tempDir;
    const { users, catalog } = yield* openIn(dir);
    const other = yield* child("users", dir, "other", "150");
    const theirs = yield* Effect.fork(Stream.runCount(other.lines));
    const ours = Array.from({ length: 150 }, (_, i) => `ours-${i}`);
    yield* Effect.forEach(ours, (name) =>
      Effect.andThen(users.add(user(name), operator), Effect.sleep(2)), { concurrency: 4 });
    assert.equal(yield* Fiber.join(theirs), 151);
    assert.equal((yield* users.list({ limit: 1000, offset: 0 })).length, 300);
    assert.deepEqual(yield* catalog.check, []);
  }));

live(
  "Journal.follow() shows another process's events in order, without gap or duplicate",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const { journal } = yield* openIn(dir);
      const seen = yield* Effect.fork(
        Stream.runCollect(Stream.take(journal.follow({ after: 0 }), 300)),
      );
      const other = yield* child("events", dir, "other", "100");
      const theirs = yield* Effect.fork(Stream.runDrain(other.lines));
      for (let i = 0; i < 200; i++) {
        yield* journal.record({
          action: "mkdir",
          status: 1,
          username: "us",
          virtual_path: `/${i}`,
        });
        yield* Effect.sleep(1);
      }
      yield* Fiber.join(theirs);
      const events = [...yield* Fiber.join(seen)];
      assert.deepEqual(events.map((e) => e.id), Array.from({ length: 300 }, (_, i) => i + 1));
      assert.equal(events.filter((e) => e.username === "other").length, 100);
    }),
);

live(
  "S7.10: a write waits for another process's lock without holding up the event loop",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const { users } = yield* openIn(dir);
      yield* users.add(user("anna"), operator);
      const other = yield* child("hold", dir, "x", "1500");
      yield* Stream.runDrain(Stream.take(other.lines, 2));
      let worst = 0;
      let last = performance.now();
      const ticker = setInterval(() => {
        worst = Math.max(worst, performance.now() - last);
        last = performance.now();
      }, 5);
      yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(ticker)));
      const began = performance.now();
      const write = yield* Effect.fork(users.add(user("bob"), operator));
      // Reads, and so logins, go on.
      assert.equal((yield* users.find("anna"))?.username, "anna");
      yield* Fiber.join(write);
      assert.ok(performance.now() - began > 500, "the lock was not held");
      assert.ok(worst < 200, `the event loop stood still for ${worst} ms`);
      assert.equal((yield* users.find("bob"))?.username, "bob");
    }),
);
