import assert from "node:assert/strict";
import * as fs from "node:fs";
import { Context, Effect, Exit, Layer, Scope } from "effect";
import { fileIntentLog, type FileLogOptions } from "../../adapters/intents/file_log.ts";
import { decode, encode } from "../../adapters/intents/record.ts";
import { IntentLog } from "../../src/events/intent_log.ts";
import { live, tempDir } from "../harness.ts";

const entry = (key: string) => ({
  event: { action: "upload", status: 1, username: "anna", virtual_path: key },
  intent: { kind: "publish", username: "anna", key },
  quota: { username: "anna", bytes: 1, files: 1 },
} as const);

/** The log of a process of its own, as far as files can tell. */
const open = (dir: string, more: Partial<FileLogOptions> = {}) =>
  Effect.map(
    Layer.build(fileIntentLog({ dir: `${dir}/intents`, part: "hub", flush: true, ...more })),
    (context) => Context.get(context, IntentLog),
  );
const keys = (dir: string, part?: string) =>
  Effect.scoped(Effect.flatMap(open(dir), (log) => log.leftBehind(part))).pipe(
    Effect.map((left) => left.map(({ intent }) => intent.key)),
  );
const logs = (dir: string) =>
  fs.readdirSync(`${dir}/intents`).map((name) => `${dir}/intents/${name}`);

live(
  "IntentLog.leftBehind() answers what was neither settled nor cancelled, oldest first",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      yield* Effect.scoped(Effect.gen(function* () {
        const log = yield* open(dir);
        const ids = yield* Effect.forEach(
          ["/a", "/b", "/c", "/d"],
          (key) => log.append(entry(key)),
        );
        assert.equal(new Set(ids).size, 4);
        log.cancel(ids[1]!);
        assert.deepEqual(yield* log.leftBehind(), [], "its own are not left behind");
      }));
      // `forget` is the catalog's to prove: a settled one is answered until then.
      yield* Effect.scoped(Effect.gen(function* () {
        const log = yield* open(dir);
        const left = yield* log.leftBehind();
        assert.deepEqual(
          left.map(({ intent }) => intent.key),
          ["/a", "/c", "/d"],
        );
        assert.deepEqual(left.map(({ id: _, ...rest }) => rest)[0], entry("/a"));
        log.cancel(left[0]!.id);
        log.forget(left[1]!.id);
      }));
      assert.deepEqual(yield* keys(dir), ["/c", "/d"]);
      yield* Effect.scoped(Effect.gen(function* () {
        const log = yield* open(dir);
        for (const { id } of yield* log.leftBehind()) log.forget(id);
      }));
      assert.deepEqual(logs(dir), []);
    }),
);

live("IntentLog leaves no file when everything has ended", () =>
  Effect.gen(function* () {
    const dir = yield* tempDir;
    yield* Effect.scoped(Effect.gen(function* () {
      const log = yield* open(dir);
      log.forget(yield* log.append(entry("/a")));
      log.cancel(yield* log.append(entry("/b")));
      assert.equal(logs(dir).length, 1);
    }));
    assert.deepEqual(logs(dir), []);
  }));

live(
  "IntentLog takes what is before a torn or foreign end, and nothing after it",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      yield* Effect.scoped(Effect.gen(function* () {
        const log = yield* open(dir);
        yield* Effect.forEach(["/a", "/b", "/c"], (key) => log.append(entry(key)));
      }));
      const path = logs(dir)[0]!;
      const whole = fs.readFileSync(path);
      const { lines, end } = decode(whole);
      assert.equal(lines.length, 3);
      const third = encode(lines[2]!).length;
      for (const cut of [1, 9, 20, third - 1]) {
        const torn = new Uint8Array(whole);
        torn.fill(0, end - cut, end);
        assert.equal(decode(torn).lines.length, 2, `${cut} bytes missing`);
      }
      const flipped = new Uint8Array(whole);
      flipped[end - third + 30]! ^= 1;
      assert.equal(decode(flipped).lines.length, 2);
      const older = new Uint8Array(whole);
      older.set(encode({ ...lines[2]!, run: 0 }), end - third);
      assert.equal(decode(older).lines.length, 2, "what an earlier use left is not taken");
      fs.writeFileSync(path, flipped);
      assert.deepEqual(yield* keys(dir), ["/a", "/b"]);
    }),
);

live(
  "IntentLog stays small under load, whatever stays open meanwhile",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      yield* Effect.scoped(Effect.gen(function* () {
        const log = yield* open(dir, { segment: 16_384, flush: false });
        yield* log.append(entry("/open"));
        for (let i = 0; i < 2000; i++) {
          const id = yield* log.append(entry(`/${i}`));
          if (i % 3 === 0) log.cancel(id);
          else log.forget(id);
        }
        yield* log.append(entry("/late"));
        assert.ok(logs(dir).length <= 3, `${logs(dir).length} files`);
      }));
      const left = yield* keys(dir);
      // Those that were forgotten are the catalog's to know; cancelled ones may not come back.
      assert.deepEqual([left[0], left.at(-1)], ["/open", "/late"]);
      assert.ok(left.every((key) => /[a-z]/.test(key) || Number(key.slice(1)) % 3 !== 0));
    }),
);

live("IntentLog shares a flush among many and answers each", () =>
  Effect.gen(function* () {
    const dir = yield* tempDir;
    yield* Effect.scoped(Effect.gen(function* () {
      const log = yield* open(dir);
      const ids = yield* Effect.forEach(
        Array.from({ length: 200 }, (_, i) => `/${i}`),
        (key) => log.append(entry(key)),
        { concurrency: "unbounded" },
      );
      assert.equal(new Set(ids).size, 200);
    }));
    assert.equal((yield* keys(dir)).length, 200);
  }));

live(
  "IntentLog.leftBehind() answers one part's entries when asked for it",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      yield* Effect.scoped(Effect.gen(function* () {
        const [one, two] = [yield* open(dir, { part: "w1" }), yield* open(dir, { part: "w2" })];
        yield* one.append(entry("/one"));
        yield* two.append(entry("/two"));
        assert.deepEqual(yield* keys(dir, "w1"), ["/one"]);
      }));
      assert.deepEqual(yield* keys(dir), ["/one", "/two"]);
    }),
);

live(
  "IntentLog.append() fails with Unavailable when the disk takes no file, and heals",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      fs.writeFileSync(`${dir}/intents`, "in the way");
      const scope = yield* Scope.make();
      const log = yield* Scope.extend(open(dir), scope);
      assert.equal((yield* Effect.flip(log.append(entry("/a")))).reason, "Unavailable");
      fs.rmSync(`${dir}/intents`);
      yield* log.append(entry("/b"));
      yield* Scope.close(scope, Exit.void);
      assert.deepEqual(yield* keys(dir), ["/b"]);
    }),
);

live(
  "IntentLog.done() tells of a worker's intent that it happened, even from a later file",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      yield* Effect.scoped(Effect.gen(function* () {
        const log = yield* open(dir, { part: "w1", segment: 16 * 1024 });
        const ids = yield* Effect.forEach(
          Array.from({ length: 100 }, (_, i) => `/f${i}`),
          (key) => log.append(entry(key)),
        );
        log.done(ids[0]!);
        log.done(ids[99]!);
      }));
      yield* Effect.scoped(Effect.gen(function* () {
        const left = yield* (yield* open(dir)).leftBehind("w1");
        assert.equal(left.length, 100);
        assert.deepEqual(
          left.filter(({ done }) => done).map(({ intent }) => intent.key),
          ["/f0", "/f99"],
        );
      }));
    }),
);

live(
  "IntentLog keeps content of any bytes beside an intent, whole or not at all",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const content = (n: number) => Uint8Array.from({ length: n }, (_, i) => i % 7 === 0 ? 10 : i);
      const sizes = [0, 1, 4096, 32_768];
      yield* Effect.scoped(Effect.gen(function* () {
        const log = yield* open(dir);
        assert.equal(log.keepsContent, true);
        for (const n of sizes) yield* log.append({ ...entry(`/${n}`), content: content(n) });
        yield* log.append(entry("/last"));
      }));
      yield* Effect.scoped(Effect.gen(function* () {
        const left = yield* (yield* open(dir)).leftBehind();
        assert.deepEqual(left.map((each) => each.content), [...sizes.map(content), undefined]);
        assert.deepEqual(left.map(({ intent }) => intent.key), [
          ...sizes.map((n) => `/${n}`),
          "/last",
        ]);
      }));
      const path = logs(dir)[0]!;
      const whole = fs.readFileSync(path);
      const line = whole.indexOf('"key":"/4096"');
      for (const at of [100, 2000, 4000]) {
        const torn = new Uint8Array(whole);
        const behind = whole.indexOf("\n", line) + at;
        torn[behind]! ^= 0xff;
        fs.writeFileSync(path, torn);
        assert.deepEqual(yield* keys(dir), ["/0", "/1"], "what is torn never happened");
      }
    }),
);

live(
  "IntentLog without a flush keeps no content: the writer has to flush",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      yield* Effect.scoped(Effect.gen(function* () {
        assert.equal((yield* open(dir, { flush: false })).keepsContent, false);
      }));
    }),
);
