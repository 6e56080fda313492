import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Effect, Exit, Scope, Stream } from "effect";
import { arm } from "../../src/failpoint.ts";
import { live } from "../harness.ts";
import {
  bytes,
  get,
  makeUser,
  onDisk,
  path,
  put,
  putting,
  reading,
  reasonOf,
  writing,
} from "./bench.ts";

const user = makeUser();
const names = (root: string) => [...Deno.readDirSync(root)].map((e) => e.name).sort();

live(
  "open() stores an upload, counts it and journals it with its checksum",
  () =>
    Effect.gen(function* () {
      const { login, root, journal, quota } = yield* onDisk();
      const vfs = yield* login();
      yield* put(vfs, "/a.txt", "hello");
      assert.equal(Deno.readTextFileSync(root + "/a.txt"), "hello");
      assert.equal(yield* get(vfs, "/a.txt"), "hello");
      const [up, down] = journal.events;
      assert.equal(up?.action, "upload");
      assert.equal(up?.file_size, 5);
      assert.equal(up?.checksum, createHash("sha256").update("hello").digest("hex"));
      assert.equal(down?.action, "download");
      assert.deepEqual(journal.usage.get("alice"), { bytes: 5, files: 1 });
      assert.deepEqual(yield* quota.usage(user), { bytes: 5, files: 1 });
      assert.equal(journal.open.size, 0);
      assert.deepEqual(names(root), ["a.txt"]);
    }),
);

live("open() leaves the old file when an overwrite is cut", () =>
  Effect.gen(function* () {
    const { login, root, journal } = yield* onDisk();
    const vfs = yield* login();
    yield* put(vfs, "/a", "old content");
    yield* Effect.scoped(Effect.gen(function* () {
      const handle = yield* vfs.open(path("/a"), putting);
      yield* Effect.promise(() => handle.write(0, bytes("new")));
      assert.equal((yield* vfs.stat(path("/a"))).size, 3, "SFTP-09");
    }));
    assert.equal(Deno.readTextFileSync(root + "/a"), "old content");
    assert.deepEqual(names(root), ["a"]);
    assert.equal(journal.events.at(-1)?.status, 2);
    assert.deepEqual(journal.usage.get("alice"), { bytes: 11, files: 1 });
  }));

live(
  "Handle.stat() answers for the file that was opened, whatever its name stands for by then",
  () =>
    Effect.gen(function* () {
      const { login } = yield* onDisk();
      const vfs = yield* login();
      yield* put(vfs, "/a", "old content");
      const reader = yield* vfs.open(path("/a"), reading);
      yield* put(vfs, "/a", "new");
      assert.equal((yield* vfs.stat(path("/a"))).size, 3);
      assert.equal((yield* reader.stat()).size, 11);
    }),
);

live("open() leaves the old file when the quota ends an overwrite", () =>
  Effect.gen(function* () {
    const { login, root, journal, quota } = yield* onDisk();
    const vfs = yield* login({ quota_size: 20 });
    yield* put(vfs, "/a", "0123456789");
    assert.equal(yield* reasonOf(put(vfs, "/a", "x".repeat(21))), "QuotaExceeded");
    assert.equal(Deno.readTextFileSync(root + "/a"), "0123456789");
    assert.equal(journal.events.at(-1)?.status, 3);
    assert.deepEqual(yield* quota.usage(user), { bytes: 10, files: 1 });
    assert.deepEqual(yield* quota.held(user), { bytes: 0, files: 0 });
    yield* put(vfs, "/a", "y".repeat(20));
    assert.deepEqual(yield* quota.usage(user), { bytes: 20, files: 1 });
    assert.equal(yield* reasonOf(put(vfs, "/b", "")), "QuotaExceeded");
  }));

live(
  "open() leaves the old file when the flush fails, and never calls it good",
  () =>
    Effect.gen(function* () {
      const { login, root, journal } = yield* onDisk();
      const vfs = yield* login();
      yield* put(vfs, "/f", "old");
      arm("local.fsync@/f=fail");
      assert.equal(yield* reasonOf(put(vfs, "/f", "new")), "Unavailable");
      assert.equal(Deno.readTextFileSync(root + "/f"), "old");
      assert.deepEqual(names(root), ["f"]);
      assert.equal(journal.open.size, 0);
      assert.equal(journal.events.at(-1)?.status, 2);
    }),
);

live(
  "open() resumes in place, keeps what a cut resume received, and counts it",
  () =>
    Effect.gen(function* () {
      const { login, root, journal, quota } = yield* onDisk();
      const vfs = yield* login();
      yield* put(vfs, "/r", "12345");
      yield* Effect.scoped(Effect.gen(function* () {
        const handle = yield* vfs.open(path("/r"), { ...writing, create: false });
        yield* Effect.promise(() => handle.write(5, bytes("678")));
      }));
      assert.equal(Deno.readTextFileSync(root + "/r"), "12345678");
      assert.deepEqual(yield* quota.usage(user), { bytes: 8, files: 1 });
      assert.deepEqual(journal.usage.get("alice"), { bytes: 8, files: 1 });
    }),
);

live(
  "open() without TRUNC overwrites as one change: all or nothing",
  () =>
    Effect.gen(function* () {
      const { login, root, quota } = yield* onDisk();
      const vfs = yield* login();
      yield* put(vfs, "/u", "0123456789");
      const scope = yield* Scope.make();
      const handle = yield* Scope.extend(vfs.open(path("/u"), { ...writing, read: true }), scope);
      yield* Effect.promise(() => handle.write(10, bytes("ab")));
      yield* Effect.promise(() => handle.write(4, bytes("XX")));
      const into = new Uint8Array(32);
      const n = yield* Effect.promise(() => handle.read(0, into));
      assert.equal(new TextDecoder().decode(into.subarray(0, n)), "0123XX");
      yield* Scope.close(scope, Exit.void);
      assert.equal(Deno.readTextFileSync(root + "/u"), "0123456789");
      assert.deepEqual(names(root), ["u"]);
      assert.deepEqual(yield* quota.usage(user), { bytes: 10, files: 1 });

      yield* Effect.scoped(Effect.gen(function* () {
        const again = yield* vfs.open(path("/u"), writing);
        yield* Effect.promise(() => again.write(2, bytes("--")));
        yield* Effect.promise(() => again.write(7, bytes("++++")));
        yield* again.close();
      }));
      assert.equal(Deno.readTextFileSync(root + "/u"), "01--456++++");
      assert.deepEqual(yield* quota.usage(user), { bytes: 11, files: 1 });
    }),
);

live(
  "open() keeps a cut new upload in upload_mode 2, but never over an old file",
  () =>
    Effect.gen(function* () {
      const { login, root, quota } = yield* onDisk({ upload_mode: 2 });
      const vfs = yield* login();
      const cut = (name: string) =>
        Effect.scoped(Effect.gen(function* () {
          const handle = yield* vfs.open(path(name), putting);
          yield* Effect.promise(() => handle.write(0, bytes("part")));
          yield* Effect.promise(() => handle.write(9, bytes("behind a gap")));
        }));
      yield* cut("/n");
      assert.equal(Deno.readTextFileSync(root + "/n"), "part");
      assert.deepEqual(yield* quota.usage(user), { bytes: 4, files: 1 });
      yield* put(vfs, "/o", "whole");
      yield* cut("/o");
      assert.equal(Deno.readTextFileSync(root + "/o"), "whole");
      assert.deepEqual(yield* quota.usage(user), { bytes: 9, files: 2 });
    }),
);

live(
  "open() makes one winner of two uploads to one path, and the quota is exact",
  () =>
    Effect.gen(function* () {
      const { login, root, quota } = yield* onDisk();
      const vfs = yield* login();
      yield* Effect.scoped(Effect.gen(function* () {
        const a = yield* vfs.open(path("/w"), putting);
        const b = yield* vfs.open(path("/w"), putting);
        yield* Effect.promise(() => a.write(0, bytes("first")));
        yield* Effect.promise(() => b.write(0, bytes("second!")));
        yield* a.close();
        yield* b.close();
      }));
      assert.equal(Deno.readTextFileSync(root + "/w"), "second!");
      assert.deepEqual(yield* quota.usage(user), { bytes: 7, files: 1 });
    }),
);

live(
  "open() never lets 50 concurrent uploads past the quota by a byte",
  () =>
    Effect.gen(function* () {
      const { login, root, quota } = yield* onDisk({ fsync: false });
      const vfs = yield* login({ quota_size: 25_000, quota_files: 40 });
      const outcomes = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, i) => i),
        (i) => reasonOf(put(vfs, `/q${i}`, "z".repeat(1000))),
        { concurrency: "unbounded" },
      );
      assert.equal(outcomes.filter((o) => o === "ok").length, 25);
      assert.equal(outcomes.filter((o) => o === "QuotaExceeded").length, 25);
      assert.deepEqual(yield* quota.usage(user), { bytes: 25_000, files: 25 });
      assert.equal(names(root).length, 25);
    }),
);

live("open() refuses what SFTP-03 to SFTP-07 say", () =>
  Effect.gen(function* () {
    const { login, root } = yield* onDisk();
    Deno.mkdirSync(root + "/d");
    const vfs = yield* login();
    const open = (name: string, how = reading) =>
      reasonOf(Effect.scoped(vfs.open(path(name), how)));
    assert.equal(yield* open("/none"), "NotFound");
    assert.equal(yield* open("/d"), "IsDirectory");
    assert.equal(yield* open("/d", putting), "IsDirectory");
    assert.equal(yield* open("/none/x", putting), "NotFound");
    assert.equal(yield* open("/x", { ...writing, create: false }), "NotFound");
    yield* put(vfs, "/x", "1");
    assert.equal(yield* open("/x", { ...writing, exclusive: true }), "AlreadyExists");
    assert.equal(yield* open("/.sluice-upload.0123456789abcdef.x", putting), "Denied");
    const blind = yield* login({ permissions: { "/": ["upload", "overwrite"] } });
    yield* Effect.scoped(Effect.gen(function* () {
      const handle = yield* blind.open(path("/x"), { ...writing, read: true });
      const read = Effect.tryPromise(() => handle.read(0, new Uint8Array(1)));
      assert.ok(Exit.isFailure(yield* Effect.exit(read)));
    }));
  }));

live("list() shows neither uploads in progress nor hidden names", () =>
  Effect.gen(function* () {
    const { login } = yield* onDisk();
    const vfs = yield* login({
      filters: { file_patterns: [{ path: "/", denied_patterns: ["*.KEY"], deny_policy: 1 }] },
    });
    yield* put(vfs, "/a", "1");
    assert.equal(yield* reasonOf(put(vfs, "/b.key", "1")), "NotFound");
    yield* vfs.open(path("/c"), putting);
    const found = yield* Stream.runCollect(vfs.list(path("/")));
    assert.deepEqual([...found].map((e) => e.name), ["a"]);
  }));
