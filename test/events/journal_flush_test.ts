import assert from "node:assert/strict";
import { Context, Effect, Fiber, Layer, TestClock } from "effect";
import { journalLayer } from "../../actors/journal.ts";
import { IntentLog } from "../../src/events/intent_log.ts";
import { Journal } from "../../src/events/journal.ts";
import { EventStore, JournalSink } from "../../src/events/journal_sink.ts";
import { it } from "../harness.ts";

it("SECURITY 5: Journal tells the catalog of uploads, and forgets them, only when they are flushed", () =>
  Effect.gen(function* () {
    const did: string[] = [];
    let failures = 3;
    const layer = Layer.provide(
      journalLayer,
      Layer.mergeAll(
        Layer.succeed(IntentLog, {
          keepsContent: true,
          append: ({ intent }) => Effect.succeed(intent.key),
          appendNow: ({ intent }) => intent.key,
          cancel: () => {},
          done: () => {},
          forget: (id) => void did.push(`forget ${id}`),
          leftBehind: () => Effect.succeed([]),
        }),
        Layer.succeed(JournalSink, {
          apply: (entries) =>
            Effect.sync(() => {
              assert.ok(entries.every((entry) => !("unflushed" in entry)), "plain data");
              did.push(`apply ${entries.length}`);
            }),
          giveUp: (_, cause) => Effect.die(cause),
        }),
        Layer.succeed(EventStore, {} as typeof EventStore.Service),
      ),
    );
    const journal = Context.get(yield* Layer.build(layer), Journal);
    const file = (name: string) => ({
      content: () => {
        did.push(`content ${name}`);
        return name === "b" && failures-- > 0
          ? Promise.reject(new Error("EIO"))
          : Promise.resolve();
      },
      place: "/d",
      names: () => Promise.resolve(void did.push("names")),
      over: () => void did.push(`over ${name}`),
    });
    for (const name of ["a", "b"]) {
      const prepared = yield* journal.prepare(
        { action: "upload", status: 1, username: "u" },
        { kind: "publish", username: "u", key: name },
      );
      yield* prepared.settle({}, undefined, file(name));
    }
    const flush = yield* Effect.fork(journal.flush);
    // The clock moves only when the journal waits for it: a bounded number of its pauses.
    for (let i = 0; i < 50 && (yield* Fiber.poll(flush))._tag === "None"; i++) {
      assert.ok(failures < 0 || !did.some((what) => /apply|forget|over/.test(what)), did.join());
      yield* TestClock.adjust("2 seconds");
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 1)));
    }
    yield* Fiber.join(flush);
    assert.deepEqual(did.filter((what) => what.startsWith("content")), [
      "content a",
      ...["content b", "content b", "content b", "content b"],
    ]);
    assert.deepEqual(did.slice(-6), [
      "names",
      "apply 2",
      "forget a",
      "forget b",
      "over a",
      "over b",
    ]);
  }));
