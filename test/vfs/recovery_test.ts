import assert from "node:assert/strict";
import * as fs from "node:fs";
import { Effect, Fiber, Layer, Schema, TestClock, TestContext } from "effect";
import { reaper, sweepHomes } from "../../actors/reaper.ts";
import { localStorages } from "../../adapters/storage/local/layer.ts";
import { local } from "../../adapters/storage/local/local.ts";
import { Users } from "../../src/catalog/catalog.ts";
import { Config, ConfigSchema } from "../../src/config/config.ts";
import { type Intent, Journal } from "../../src/events/journal.ts";
import { stagedName } from "../../src/storage/staged.ts";
import { Quota } from "../../src/vfs/quota.ts";
import { recount } from "../../src/vfs/recount.ts";
import { recover } from "../../src/vfs/recovery.ts";
import { live, onlyWith, tempDir } from "../harness.ts";
import { makeUser, onDisk, path, put, storagesOf } from "./bench.ts";
import { MemoryJournal } from "./memory_journal.ts";

const usersOf = (...names: ReadonlyArray<string>) =>
  Layer.succeed(
    Users,
    onlyWith<typeof Users.Service>({
      usage: () => Effect.succeed(undefined),
      effective: (username: string) =>
        Effect.succeed(names.includes(username) ? makeUser({ username }) : undefined),
      setUsage: () => Effect.void,
      list: ({ offset }: { offset: number }) =>
        Effect.succeed(offset === 0 ? names.map((username, id) => makeUser({ username, id })) : []),
    }),
  );

/** A home and a journal that holds what a crash left in it. */
const crashed = Effect.gen(function* () {
  const root = Deno.realPathSync(yield* tempDir);
  const journal = new MemoryJournal();
  const layer = Layer.mergeAll(
    usersOf("alice"),
    Layer.succeed(Journal, journal.service),
    storagesOf(local({ root, fsync: false })),
  );
  const left = (intent: Omit<Intent, "username">, bytes = 0, files = 0, size = bytes) =>
    Effect.asVoid(journal.service.prepare(
      { action: "upload", status: 1, username: "alice", virtual_path: intent.key, file_size: size },
      { ...intent, username: "alice" },
      { username: "alice", bytes, files },
    ));
  return { root, journal, left, run: Effect.provide(recover, layer) };
});

live(
  "SECURITY 7.2: recover() settles what was published and cancels what was not",
  () =>
    Effect.gen(function* () {
      const { root, journal, left, run } = yield* crashed;
      const temp = stagedName("b");
      fs.writeFileSync(`${root}/a`, "done!");
      fs.writeFileSync(`${root}/b`, "old");
      fs.writeFileSync(`${root}/${temp}`, "newer");
      yield* left({ kind: "publish", key: "/a", staged: "/" + stagedName("a") }, 5, 1);
      yield* left({ kind: "publish", key: "/b", staged: "/" + temp }, 2, 0, 5);
      assert.deepEqual(yield* run, { settled: 1, cancelled: 1, open: 0 });
      assert.deepEqual(fs.readdirSync(root).sort(), ["a", "b"]);
      assert.equal(fs.readFileSync(`${root}/b`, "utf8"), "old");
      assert.deepEqual(journal.usage.get("alice"), { bytes: 5, files: 1 });
      assert.equal(journal.events.length, 1, "exactly one final event");
      assert.deepEqual(yield* run, { settled: 0, cancelled: 0, open: 0 });
    }),
);

live(
  "recover() finishes a new file whose second name was made when the crash came",
  () =>
    Effect.gen(function* () {
      const { root, journal, left, run } = yield* crashed;
      const temp = stagedName("n");
      fs.writeFileSync(`${root}/${temp}`, "data");
      fs.linkSync(`${root}/${temp}`, `${root}/n`);
      yield* left({ kind: "publish", key: "/n", staged: "/" + temp }, 4, 1);
      assert.equal((yield* run).settled, 1);
      assert.deepEqual(fs.readdirSync(root), ["n"]);
      assert.deepEqual(journal.usage.get("alice"), { bytes: 4, files: 1 });
    }),
);

live("recover() reads later intentions as proof of earlier ones", () =>
  Effect.gen(function* () {
    const { journal, left, root, run } = yield* crashed;
    // Uploaded, then deleted, then the directory made, moved and used: all of it had been answered.
    yield* left({ kind: "publish", key: "/a", staged: "/" + stagedName("a") }, 5, 1);
    yield* left({ kind: "remove", key: "/a" }, -5, -1);
    yield* left({ kind: "make", key: "/d" });
    yield* left({ kind: "move", key: "/e", from: "/d" });
    fs.mkdirSync(`${root}/e`);
    assert.deepEqual(yield* run, { settled: 4, cancelled: 0, open: 0 });
    assert.deepEqual(journal.usage.get("alice"), { bytes: 0, files: 0 });
  }));

live(
  "recover() cancels what never began, and forgets users that are gone",
  () =>
    Effect.gen(function* () {
      const { journal, left, root, run } = yield* crashed;
      fs.writeFileSync(`${root}/here`, "1");
      yield* left({ kind: "remove", key: "/here" }, -1, -1);
      yield* left({ kind: "move", key: "/there", from: "/here" });
      yield* left({ kind: "make", key: "/d" });
      yield* left({ kind: "extend", key: "/here" }, 9, 0, 10);
      yield* journal.service.prepare(
        { action: "upload", status: 1, username: "bob" },
        { kind: "make", key: "/x", username: "bob" },
      );
      assert.deepEqual(yield* run, { settled: 0, cancelled: 5, open: 0 });
      assert.equal(journal.usage.size, 0);
    }),
);

live(
  "recount() counts again when a file was committed meanwhile, and leaves uploads out",
  () =>
    Effect.gen(function* () {
      const { login, quota, stored, storage, journal, root } = yield* onDisk();
      const user = makeUser();
      const vfs = yield* login();
      yield* put(vfs, "/a", "12345");
      fs.writeFileSync(root + "/external", "xyz");
      fs.mkdirSync(root + "/d");
      fs.writeFileSync(`${root}/d/${stagedName("t")}`, "in progress");
      const layer = Layer.mergeAll(
        Layer.succeed(Quota, quota),
        Layer.succeed(Journal, journal.service),
        storagesOf(storage),
      );
      assert.deepEqual(yield* Effect.provide(recount(user), layer), { bytes: 8, files: 2 });
      assert.deepEqual(stored.get("alice"), { bytes: 8, files: 2 });
      let scans = 0;
      yield* quota.recount(
        user,
        Effect.gen(function* () {
          if (scans++ === 0) yield* put(vfs, "/b", "late");
          return { bytes: scans, files: 0 };
        }),
      );
      assert.equal(scans, 2);
      assert.equal((yield* vfs.stat(path("/b"))).size, 4);
    }),
);

live(
  "sweepHomes() removes orphans in all homes, makes none, and spares what is alive",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const home = `${dir}/users/alice`;
      fs.mkdirSync(`${home}/deep`, { recursive: true });
      fs.writeFileSync(`${home}/${stagedName("a")}`, "");
      fs.writeFileSync(`${home}/deep/${stagedName("b")}`, "");
      fs.writeFileSync(`${home}/deep/.sluice-upload.mine`, "kept");
      const config = Layer.succeed(
        Config,
        Schema.decodeUnknownSync(ConfigSchema)({ data_dir: dir }),
      );
      const layer = Layer.merge(
        usersOf("alice", "never-here"),
        Layer.provide(localStorages, config),
      );
      const alive = yield* local({ root: Deno.realPathSync(home), fsync: false })
        .writer("/live", { mode: "replace" });
      assert.equal(yield* Effect.provide(sweepHomes, layer), 2);
      assert.deepEqual(fs.readdirSync(`${dir}/users`), ["alice"]);
      assert.deepEqual(fs.readdirSync(`${home}/deep`), [".sluice-upload.mine"]);
      yield* Effect.promise(() => alive.commit());
      assert.ok(fs.existsSync(`${home}/live`));
    }),
);

live("reaper() sweeps at the start and again after its interval", () =>
  Effect.gen(function* () {
    let sweeps = 0;
    const storage = {
      ...local({ root: "/nowhere", fsync: false }),
      sweep: () => Effect.sync(() => ++sweeps),
    };
    const layer = Layer.merge(
      usersOf("alice"),
      storagesOf(storage),
    );
    const fiber = yield* Effect.fork(Effect.provide(reaper("1 hour"), layer));
    yield* TestClock.adjust("1 minute");
    assert.equal(sweeps, 1);
    yield* TestClock.adjust("2 hours");
    assert.equal(sweeps, 3);
    yield* Fiber.interrupt(fiber);
  }).pipe(Effect.provide(TestContext.TestContext)));
