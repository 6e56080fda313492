import assert from "node:assert/strict";
import * as fs from "node:fs";
import { Effect, Fiber, Layer } from "effect";
import { local } from "../../adapters/storage/local/local.ts";
import { Users } from "../../src/catalog/catalog.ts";
import { type Intent, Journal } from "../../src/events/journal.ts";
import { admit, dismiss, shareMemory } from "../../src/participant.ts";
import { LatePaths } from "../../src/vfs/late_paths.ts";
import { recover } from "../../src/vfs/recovery.ts";
import { live, onlyWith, tempDir } from "../harness.ts";
import { bytes, makeUser, storagesOf } from "./bench.ts";
import { MemoryJournal } from "./memory_journal.ts";

/** A home, and a journal of which nothing reached the catalog. */
const world = Effect.gen(function* () {
  const dir = Deno.realPathSync(yield* tempDir);
  const root = `${dir}/home`;
  fs.mkdirSync(root);
  const journal = new MemoryJournal(true);
  const storage = local({ root, fsync: true });
  const find = () => Effect.succeed(makeUser({ username: "alice" }));
  const layer = Layer.mergeAll(
    Layer.succeed(
      Users,
      onlyWith<typeof Users.Service>({
        effective: find,
        usage: find,
        setUsage: () => Effect.void,
      }),
    ),
    Layer.succeed(Journal, journal.service),
    storagesOf(storage),
  );
  const left = (
    intent: Omit<Intent, "username">,
    size: number,
    content?: Uint8Array,
    files = 1,
  ) =>
    Effect.asVoid(journal.service.prepare(
      { action: "upload", status: 1, username: "alice", virtual_path: intent.key, file_size: size },
      { ...intent, username: "alice" },
      { username: "alice", bytes: size, files },
      content,
    ));
  /** Uploads as a session does, up to the log or up to the client's answer; `boot`: the machine's start before this. */
  const upload = (
    key: string,
    text: string,
    { answered = true, boot = "before", files = 1 } = {},
  ) =>
    Effect.gen(function* () {
      const writer = yield* storage.writer(key, { mode: "replace", redo: true });
      yield* Effect.promise(() => writer.writeAt(0, bytes(text)));
      const logged = writer.redo?.({ mode: 0o640, mtime: 1_000_000_000_000 });
      assert.ok(logged && writer.staged);
      const redo = boot === "now" ? logged.redo : { ...logged.redo, boot };
      const intent = { kind: "publish", key, staged: writer.staged, redo } as const;
      yield* left(intent, text.length, logged.content, files);
      if (answered) logged.commit().unflushed.over();
      return root + writer.staged;
    });
  const read = (name: string) => fs.readFileSync(root + name, "utf8");
  return { dir, root, journal, left, upload, read, run: Effect.provide(recover, layer) };
});

live(
  "SECURITY 7.2: a power cut that took the content of a small upload: recover() brings it back",
  () =>
    Effect.gen(function* () {
      const { root, journal, upload, read, run } = yield* world;
      const long = "x".repeat(5000);
      yield* upload("/empty", "all of it");
      yield* upload("/holes", long);
      yield* upload("/whole", "untouched");
      fs.truncateSync(`${root}/empty`);
      const fd = fs.openSync(`${root}/holes`, "r+");
      fs.writeSync(fd, new Uint8Array(4096), 0, 4096, 0);
      fs.closeSync(fd);
      const { ino } = fs.statSync(`${root}/whole`);
      assert.deepEqual(yield* run, { settled: 3, cancelled: 0, open: 0 });
      assert.deepEqual([read("/empty"), read("/holes"), read("/whole")], [
        "all of it",
        long,
        "untouched",
      ]);
      const now = fs.statSync(`${root}/empty`);
      assert.equal(now.mode & 0o7777, 0o640);
      assert.equal(now.mtimeMs, 1_000_000_000_000);
      assert.equal(fs.statSync(`${root}/whole`).ino, ino);
      assert.deepEqual(fs.readdirSync(root).sort(), ["empty", "holes", "whole"]);
      assert.deepEqual(journal.usage.get("alice"), { bytes: 9 + 5000 + 9, files: 3 });
      assert.equal(journal.events.length, 3);
      assert.deepEqual(yield* run, { settled: 0, cancelled: 0, open: 0 });
    }),
);

live(
  "SECURITY 7.2: a power cut that undid a publication, or all of it: recover() does it again",
  () =>
    Effect.gen(function* () {
      const { root, journal, upload, read, run } = yield* world;
      fs.writeFileSync(`${root}/staged`, "old");
      yield* upload("/staged", "renamed again", { answered: false, files: 0 });
      fs.truncateSync(yield* upload("/hollow", "written again", { answered: false }));
      fs.unlinkSync(yield* upload("/gone", "made again", { answered: false }));
      // Twice: the order of the log is kept.
      fs.unlinkSync(yield* upload("/twice", "first", { answered: false }));
      fs.unlinkSync(yield* upload("/twice", "second", { answered: false, files: 0 }));
      assert.equal((yield* run).settled, 5);
      assert.equal(read("/staged"), "renamed again");
      assert.equal(read("/hollow"), "written again");
      assert.equal(read("/gone"), "made again");
      assert.equal(read("/twice"), "second");
      assert.deepEqual(fs.readdirSync(root).sort(), ["gone", "hollow", "staged", "twice"]);
      assert.equal(journal.usage.get("alice")?.files, 3);
    }),
);

live("recover() leaves alone what came after a small upload", () =>
  Effect.gen(function* () {
    const { root, left, upload, read, run } = yield* world;
    yield* upload("/longer", "base");
    fs.appendFileSync(`${root}/longer`, " and more");
    yield* upload("/other", "before");
    fs.writeFileSync(`${root}/other`, "after!");
    yield* upload("/cut", "cut down");
    fs.truncateSync(`${root}/cut`, 3);
    yield* left({ kind: "extend", key: "/cut" }, 3);
    yield* upload("/removed", "rest");
    fs.unlinkSync(`${root}/removed`);
    yield* left({ kind: "remove", key: "/removed" }, -4, undefined, -1);
    fs.unlinkSync(yield* upload("/large", "small", { answered: false }));
    fs.writeFileSync(`${root}/large`, "larger by far");
    yield* left({ kind: "publish", key: "/large", staged: "/.sluice-upload.gone" }, 13);
    assert.deepEqual(yield* run, { settled: 8, cancelled: 0, open: 0 });
    assert.equal(read("/longer"), "base and more");
    assert.equal(read("/other"), "after!");
    assert.equal(read("/cut"), "cut");
    assert.equal(read("/large"), "larger by far");
    assert.ok(!fs.existsSync(`${root}/removed`));
  }));

live(
  "recover() finds a small upload below a directory that was moved",
  () =>
    Effect.gen(function* () {
      const { root, left, upload, read, run } = yield* world;
      fs.mkdirSync(`${root}/a/b`, { recursive: true });
      yield* upload("/a/b/f", "content");
      fs.renameSync(`${root}/a`, `${root}/c`);
      yield* left({ kind: "move", key: "/c", from: "/a" }, 0, undefined, 0);
      fs.truncateSync(`${root}/c/b/f`);
      assert.deepEqual(yield* run, { settled: 2, cancelled: 0, open: 0 });
      assert.equal(read("/c/b/f"), "content");
      assert.deepEqual(fs.readdirSync(root), ["c"]);
    }),
);

live(
  "recover() writes nothing while the machine goes on: the kernel has it all",
  () =>
    Effect.gen(function* () {
      const { root, journal, upload, read, run } = yield* world;
      const boot = "now";
      yield* upload("/unanswered", "never", { answered: false, boot });
      yield* upload("/there", "there", { boot });
      yield* upload("/taken", "taken", { boot });
      fs.unlinkSync(`${root}/taken`);
      assert.deepEqual(yield* run, { settled: 2, cancelled: 1, open: 0 });
      assert.deepEqual(fs.readdirSync(root), ["there"]);
      assert.equal(read("/there"), "there");
      assert.equal(journal.events.length, 2);
    }),
);

live("SECURITY 6.12: recover() follows no link out of the home", () =>
  Effect.gen(function* () {
    const { dir, root, upload, run } = yield* world;
    fs.mkdirSync(`${root}/d`);
    fs.mkdirSync(`${dir}/outside`);
    fs.unlinkSync(yield* upload("/d/f", "secret", { answered: false }));
    fs.rmdirSync(`${root}/d`);
    fs.symlinkSync(`${dir}/outside`, `${root}/d`);
    assert.deepEqual(yield* run, { settled: 0, cancelled: 1, open: 0 });
    assert.deepEqual(fs.readdirSync(`${dir}/outside`), []);
  }));

live(
  "redo() leaves large files, and volumes that are not flushed, to the writer",
  () =>
    Effect.gen(function* () {
      const { root } = yield* world;
      const options = { mode: "replace", redo: true } as const;
      const large = yield* local({ root, fsync: true }).writer("/large", options);
      yield* Effect.promise(() => large.writeAt(0, new Uint8Array(32 * 1024 + 1)));
      assert.equal(large.redo?.(), undefined);
      const loose = yield* local({ root, fsync: false }).writer("/loose", options);
      assert.equal(loose.redo?.(), undefined);
    }),
);

live(
  "LatePaths: another thread waits for what is not flushed, whoever has it may go on",
  () =>
    Effect.gen(function* () {
      // A wait for a word of shared memory keeps no process running.
      const running = setInterval(() => {}, 50);
      yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(running)));
      const memory = shareMemory(2);
      const [hub, worker] = [admit(memory, 0), admit(memory, 1)];
      const [here, there] = [new LatePaths(hub), new LatePaths(worker)];
      const file = {
        content: () => Promise.resolve(),
        place: "/",
        names: () => Promise.resolve(),
        over: () => {},
      };
      const [one, two] = [there.enter("a", file), there.enter("a", file)];
      assert.equal(there.others(["a"]), undefined);
      assert.equal(here.others(["b"]), undefined);
      const waits = here.others(["a"]);
      assert.ok(waits);
      const paths = yield* Effect.fork(waits);
      const all = yield* Effect.fork(here.everywhere);
      one.over();
      yield* Effect.yieldNow();
      assert.ok(here.others(["a"]), "the second is not flushed yet");
      two.over();
      yield* Fiber.join(paths);
      yield* Fiber.join(all);
      there.enter("c", file);
      here.dismiss(worker.index, worker.life);
      dismiss(memory, worker.index);
      assert.equal(here.others(["c"]), undefined);
      yield* here.everywhere;
    }),
);
