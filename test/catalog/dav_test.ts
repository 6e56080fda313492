import { Effect, Layer } from "effect";
import assert from "node:assert/strict";
import { davLayer } from "../../src/catalog/dav.ts";
import { Database, Writer } from "../../src/catalog/database.ts";
import { DavState, type NewLock } from "../../src/dav/state.ts";
import type { EventAction } from "../../src/events/event.ts";
import { Journal } from "../../src/events/journal.ts";
import type { VPath } from "../../src/vpath.ts";
import { live, tempDir } from "../harness.ts";
import { openIn, operator, user } from "./world.ts";

const at = (path: string) => path as VPath;
const wanted = (path: string, more: Partial<NewLock> = {}): NewLock => ({
  path: at(path),
  deep: false,
  exclusive: true,
  owner: "",
  seconds: 600,
  ...more,
});

const open = Effect.gen(function* () {
  const catalog = yield* openIn(yield* tempDir);
  const base = Layer.mergeAll(
    Layer.succeed(Database, catalog.database),
    Layer.succeed(Writer, catalog.writer),
    Layer.succeed(Journal, catalog.journal),
  );
  const state = yield* Effect.provide(DavState, Layer.provide(davLayer, base));
  const happened = (action: EventAction, path: string, target?: string) =>
    Effect.andThen(
      catalog.journal.record({
        action,
        status: 1,
        username: "ann",
        virtual_path: path,
        ...(target && { virtual_target_path: target }),
      }),
      catalog.journal.flush,
    );
  const paths = (owner = "ann") =>
    Effect.map(
      Effect.forEach(["/d", "/d/a", "/d2/x", "/e", "/e/a"], (path) =>
        state.properties(owner, at(path), false)),
      (maps) =>
        maps.flatMap((found) => [...found.keys()]),
    );
  const paint = (path: string) =>
    state.change("ann", at(path), [{ ns: "urn:x", name: "c", value: "<c/>" }]);
  return { ...catalog, state, happened, paths, paint };
});

live(
  "DavState.lock() gives one exclusive lock, many shared ones, and none beside a deep one",
  () =>
    Effect.gen(function* () {
      const { state } = yield* open;
      const take = (path: string, more?: Partial<NewLock>) =>
        Effect.map(state.lock("ann", wanted(path, more)), (got) => "lock" in got);
      const shared = { exclusive: false };
      assert.equal(yield* take("/a"), true);
      assert.equal(yield* take("/a"), false);
      assert.equal(yield* take("/a", shared), false);
      assert.equal(yield* take("/s", shared), true);
      assert.equal(yield* take("/s", shared), true);
      assert.equal(yield* take("/s"), false);
      assert.equal(yield* take("/d/x"), true);
      assert.equal(yield* take("/d", { deep: true }), false);
      assert.equal(yield* take("/e", { deep: true }), true);
      assert.equal(yield* take("/e/x/y"), false);
      assert.equal(yield* take("/e2"), true);
      assert.equal("lock" in (yield* state.lock("bob", wanted("/a"))), true);
    }),
);

live(
  "DavState.lock() refuses more than a thousand, and expire() removes what is over",
  () =>
    Effect.gen(function* () {
      const { state } = yield* open;
      for (const path of ["/1", "/2"]) yield* state.lock("ann", wanted(path, { seconds: -1 }));
      assert.deepEqual(yield* state.locks("ann", at("/"), true), []);
      assert.equal(yield* state.expire, 1);
      yield* Effect.forEach(
        Array.from({ length: 1000 }, (_, i) => `/${i}`),
        (path) => state.lock("ann", wanted(path)),
        { concurrency: 100 },
      );
      const one = yield* state.lock("ann", wanted("/more"));
      assert.ok("refusal" in one && one.refusal === "too_many");
      assert.equal((yield* state.locks("ann", at("/"), true)).length, 1000);
      assert.equal(yield* state.expire, 0);
    }),
);

live(
  "locks and properties follow the events of whatever removes and renames",
  () =>
    Effect.gen(function* () {
      const { happened, paint, paths, state } = yield* open;
      for (const path of ["/d", "/d/a", "/d2/x", "/e"]) yield* paint(path);
      yield* state.lock("ann", wanted("/d/a"));
      yield* happened("rename", "/d", "/e");
      assert.deepEqual(yield* paths(), ["/d2/x", "/e", "/e/a"]);
      assert.deepEqual(yield* state.locks("ann", at("/"), true), []);
      yield* state.lock("ann", wanted("/e/a"));
      yield* happened("delete", "/e/a");
      assert.deepEqual(yield* paths(), ["/d2/x", "/e"]);
      assert.deepEqual(yield* state.locks("ann", at("/"), true), []);
      yield* happened("rmdir", "/e");
      assert.deepEqual(yield* paths(), ["/d2/x"]);
    }),
);

live(
  "DavState.properties() answers a path and its children, and no further",
  () =>
    Effect.gen(function* () {
      const { paint, state } = yield* open;
      for (const path of ["/", "/a", "/a/b", "/é", "/é/b/c", "/a.b", "/a0"]) yield* paint(path);
      const children = (path: string) =>
        Effect.map(state.properties("ann", at(path), true), (found) => [...found.keys()].sort());
      assert.deepEqual(yield* children("/"), ["/", "/a", "/a.b", "/a0", "/é"]);
      assert.deepEqual(yield* children("/a"), ["/a", "/a/b"]);
      assert.deepEqual(yield* children("/é"), ["/é"]);
      yield* state.copied("ann", at("/é"), at("/z"), true);
      assert.deepEqual(yield* children("/z/b"), ["/z/b/c"]);
    }),
);

live(
  "DavState.change() keeps 4 MiB a user and refuses the rest whole",
  () =>
    Effect.gen(function* () {
      const { state } = yield* open;
      const value = `<c>${"x".repeat(1024 * 1024)}</c>`;
      const change = (path: string, name = "c", more = value) =>
        state.change("ann", at(path), [{ ns: "", name: "d", value: "<d/>" }, {
          ns: "",
          name,
          value: more,
        }]);
      for (const path of ["/1", "/2", "/3"]) assert.equal(yield* change(path), true);
      assert.equal(yield* change("/4"), false);
      assert.equal((yield* state.properties("ann", at("/4"), false)).size, 0);
      assert.equal(yield* change("/3", "c", "<c/>"), true);
      assert.equal(yield* change("/4"), true);
    }),
);

live(
  "a user who is removed leaves nothing to a later one of that name",
  () =>
    Effect.gen(function* () {
      const { paint, paths, state, users } = yield* open;
      yield* users.add(user("ann"), operator);
      yield* paint("/d");
      yield* state.lock("ann", wanted("/d"));
      yield* users.remove("ann", operator);
      assert.deepEqual(yield* paths(), []);
      assert.deepEqual(yield* state.locks("ann", at("/d"), false), []);
    }),
);
