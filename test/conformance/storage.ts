import assert from "node:assert/strict";
import { Effect, Exit, type Scope, Stream } from "effect";
import type { FsError } from "../../src/errors.ts";
import { stagedName } from "../../src/storage/staged.ts";
import type { Storage, WriteMode } from "../../src/storage/storage.ts";
import { live } from "../harness.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const reason = <A, R>(effect: Effect.Effect<A, FsError, R>) =>
  Effect.match(effect, { onSuccess: () => "ok", onFailure: (e) => e.reason as string });
const late = <A>(step: () => Promise<A>) =>
  Effect.tryPromise({ try: step, catch: (e) => e as FsError });

const put = (storage: Storage, key: string, text: string, mode: WriteMode = "replace") =>
  Effect.scoped(Effect.gen(function* () {
    const writer = yield* storage.writer(key, { mode });
    yield* late(() => writer.writeAt(0, bytes(text)));
    return yield* late(() => writer.commit());
  }));
const get = (storage: Storage, key: string) =>
  Effect.scoped(Effect.gen(function* () {
    const reader = yield* storage.reader(key);
    const into = new Uint8Array(4096);
    const n = yield* late(() => reader.readAt(0, into));
    return new TextDecoder().decode(into.subarray(0, n));
  }));
const names = (storage: Storage, key: string) =>
  Effect.map(Stream.runCollect(storage.list(key)), (all) => [...all].map((e) => e.name).sort());

/** What every storage must do; cases are chosen by capability. */
export const storageConformance = (
  name: string,
  make: Effect.Effect<Storage, never, Scope.Scope>,
): void => {
  const test = (
    what: string,
    body: (storage: Storage) => Effect.Effect<unknown, FsError, Scope.Scope>,
  ) => live(`${name}: ${what}`, () => Effect.flatMap(make, body));

  test("writer() publishes at commit and not before", (s) =>
    Effect.gen(function* () {
      yield* Effect.scoped(Effect.gen(function* () {
        const writer = yield* s.writer("/a", { mode: "create" });
        yield* late(() => writer.writeAt(0, bytes("abc")));
        assert.equal(yield* reason(s.stat("/a")), "NotFound");
        assert.deepEqual(yield* names(s, "/"), []);
        const entry = yield* late(() => writer.commit({ mtime: 1_600_000_000_000 }));
        assert.equal(entry.size, 3);
      }));
      assert.equal(yield* get(s, "/a"), "abc");
      if (s.can.setMtime) assert.equal((yield* s.stat("/a")).mtime, 1_600_000_000_000);
      assert.equal(yield* s.sweep(), 0);
    }));

  test("writer() leaves no trace without commit", (s) =>
    Effect.gen(function* () {
      yield* put(s, "/a", "old");
      yield* Effect.scoped(Effect.gen(function* () {
        const fresh = yield* s.writer("/n", { mode: "create" });
        const over = yield* s.writer("/a", { mode: "replace" });
        yield* late(() => fresh.writeAt(0, bytes("x")));
        yield* late(() => over.writeAt(0, bytes("newer")));
        assert.ok(over.staged);
        assert.equal((yield* s.lstat(over.staged)).kind, "file");
      }));
      assert.equal(yield* get(s, "/a"), "old");
      assert.deepEqual(yield* names(s, "/"), ["a"]);
      assert.equal(yield* s.sweep(), 0);
    }));

  test("writer() create never replaces, even what came meanwhile", (s) =>
    Effect.gen(function* () {
      const lost = Effect.scoped(Effect.gen(function* () {
        const writer = yield* s.writer("/a", { mode: "create" });
        yield* put(s, "/a", "first");
        return yield* late(() => writer.commit());
      }));
      assert.equal(yield* reason(lost), "AlreadyExists");
      assert.equal(yield* get(s, "/a"), "first");
      assert.equal(yield* reason(put(s, "/a", "x", "create")), "AlreadyExists");
    }));

  test("writer() fails below what is missing or no directory", (s) =>
    Effect.gen(function* () {
      yield* put(s, "/f", "1");
      yield* s.mkdir("/d");
      assert.equal(yield* reason(put(s, "/none/x", "1")), "NotFound");
      assert.equal(yield* reason(put(s, "/f/x", "1")), "NotDirectory");
      assert.equal(yield* reason(put(s, "/d", "1")), "IsDirectory");
      assert.equal(yield* reason(get(s, "/d")), "IsDirectory");
    }));

  test("keepPartial() keeps the part without a gap, and never replaces", (s) =>
    Effect.gen(function* () {
      const part = (key: string) =>
        Effect.scoped(Effect.gen(function* () {
          const writer = yield* s.writer(key, { mode: "replace" });
          yield* late(() => writer.writeAt(0, bytes("ab")));
          yield* late(() => writer.writeAt(5, bytes("z")));
          return yield* late(() => writer.keepPartial());
        }));
      yield* part("/n");
      assert.equal(yield* get(s, "/n"), "ab");
      yield* put(s, "/o", "old");
      assert.equal(yield* reason(part("/o")), "Conflict");
      assert.equal(yield* get(s, "/o"), "old");
    }));

  test("mkdir(), rmdir() and list() agree", (s) =>
    Effect.gen(function* () {
      yield* s.mkdir("/d");
      yield* s.mkdir("/d/e");
      assert.equal(yield* reason(s.mkdir("/d")), "AlreadyExists");
      assert.equal(yield* reason(s.mkdir("/x/y")), "NotFound");
      assert.equal(yield* reason(s.rmdir("/d")), "NotEmpty");
      assert.deepEqual(yield* names(s, "/d"), ["e"]);
      yield* s.rmdir("/d/e");
      yield* put(s, "/d/f", "1");
      assert.equal(yield* reason(s.rmdir("/d/f")), "NotDirectory");
      assert.equal(yield* reason(s.remove("/d")), "IsDirectory");
      assert.equal(yield* reason(names(s, "/d/f")), "NotDirectory");
      assert.equal(yield* reason(names(s, "/none")), "NotFound");
      yield* s.remove("/d/f");
      yield* s.rmdir("/d");
      assert.equal(yield* reason(s.remove("/d")), "NotFound");
      assert.equal(yield* reason(s.rmdir("/")), "Denied");
    }));

  test("rename() replaces only when told, and moves trees", (s) =>
    Effect.gen(function* () {
      yield* put(s, "/a", "A");
      yield* put(s, "/b", "B");
      assert.equal(yield* reason(s.rename("/a", "/b", { replace: false })), "AlreadyExists");
      assert.equal(yield* get(s, "/b"), "B");
      yield* s.rename("/a", "/b", { replace: true });
      assert.equal(yield* get(s, "/b"), "A");
      yield* s.mkdir("/d");
      yield* put(s, "/d/x", "X");
      yield* s.rename("/d", "/e", { replace: false });
      assert.equal(yield* get(s, "/e/x"), "X");
      assert.equal(yield* reason(s.rename("/b", "/e", { replace: true })), "AlreadyExists");
      assert.equal(yield* reason(s.rename("/none", "/z", { replace: true })), "NotFound");
    }));

  test("list() pages through 3,000 entries and hides its own temporary files", (s) =>
    Effect.gen(function* () {
      yield* s.mkdir("/big");
      yield* Effect.forEach(Array.from({ length: 3000 }), (_, i) => s.mkdir(`/big/${i}`), {
        discard: true,
      });
      yield* put(s, `/big/${stagedName("x")}`, "orphan");
      assert.equal((yield* names(s, "/big")).length, 3000);
      assert.equal(yield* s.sweep(), 1);
      const first = yield* Stream.runCollect(Stream.take(s.list("/big"), 1));
      assert.equal(first.length, 1);
    }));

  test("setAttributes() cuts, extends and stamps", (s) =>
    Effect.gen(function* () {
      yield* put(s, "/a", "abcdef");
      yield* s.setAttributes("/a", { size: 3 }, { follow: true });
      assert.equal(yield* get(s, "/a"), "abc");
      yield* s.setAttributes("/a", { size: 5 }, { follow: true });
      assert.equal(yield* get(s, "/a"), "abc\0\0");
      if (s.can.modes) {
        yield* s.setAttributes("/a", { mode: 0o640, mtime: 5000, atime: 6000 }, { follow: true });
        const entry = yield* s.stat("/a");
        assert.deepEqual([entry.mode, entry.mtime, entry.atime], [0o640, 5000, 6000]);
      }
      assert.equal(yield* reason(s.setAttributes("/x", { size: 1 }, { follow: true })), "NotFound");
    }));

  test("copy() copies content", (s) =>
    Effect.gen(function* () {
      yield* put(s, "/a", "content");
      assert.equal((yield* s.copy("/a", "/b")).size, 7);
      assert.equal(yield* get(s, "/b"), "content");
    }));

  test("update writers extend in place and overwrite atomically", (s) =>
    Effect.gen(function* () {
      if (!s.can.append) return;
      yield* put(s, "/u", "0123456789");
      const update = (finish: boolean, ...parts: ReadonlyArray<readonly [number, string]>) =>
        Effect.scoped(Effect.gen(function* () {
          const writer = yield* s.writer("/u", { mode: "update" });
          for (const [at, text] of parts) yield* late(() => writer.writeAt(at, bytes(text)));
          if (finish) yield* late(() => writer.commit());
        }));
      yield* update(false, [10, "ab"], [12, "c"]);
      assert.equal(yield* get(s, "/u"), "0123456789abc");
      yield* update(false, [13, "d"], [3, "X"]);
      assert.equal(yield* get(s, "/u"), "0123456789abc");
      yield* update(true, [8, "YZ"], [2, "."]);
      assert.equal(yield* get(s, "/u"), "01.34567YZabc");
      yield* Effect.scoped(Effect.gen(function* () {
        const writer = yield* s.writer("/u", { mode: "update" });
        yield* late(() => writer.truncate(2));
        yield* late(() => writer.writeAt(4, bytes("!")));
        yield* late(() => writer.commit());
      }));
      assert.equal(yield* get(s, "/u"), "01\0\0!");
    }));

  test("direct writers write to the key itself", (s) =>
    Effect.gen(function* () {
      yield* Effect.scoped(Effect.gen(function* () {
        const writer = yield* s.writer("/m", { mode: "replace", direct: true });
        yield* late(() => writer.writeAt(0, bytes("now")));
        assert.equal((yield* s.stat("/m")).size, 3);
        assert.equal(writer.staged, undefined);
        yield* late(() => writer.commit());
      }));
      assert.equal(yield* get(s, "/m"), "now");
    }));

  test("operations that are not there say Unsupported", (s) =>
    Effect.gen(function* () {
      yield* put(s, "/a", "1");
      if (!s.can.symlinks) assert.equal(yield* reason(s.symlink("a", "/l")), "Unsupported");
      if (!s.can.hardLinks) assert.equal(yield* reason(s.hardLink("/a", "/h")), "Unsupported");
      if (!s.can.space) assert.equal(yield* reason(s.space("/")), "Unsupported");
      else assert.ok((yield* s.space("/")).totalBytes > 0);
      if (s.can.hardLinks) {
        yield* s.hardLink("/a", "/h");
        assert.equal(yield* get(s, "/h"), "1");
      }
      if (s.can.symlinks) {
        yield* s.symlink("a", "/l");
        assert.equal((yield* s.lstat("/l")).kind, "symlink");
        assert.equal((yield* s.stat("/l")).kind, "file");
        assert.equal(yield* s.readlink("/l"), "a");
        assert.equal(yield* s.realpath("/l"), "/a");
        assert.equal(yield* get(s, "/l"), "1");
      }
      assert.ok(Exit.isSuccess(yield* Effect.exit(s.realpath("/a"))));
    }));

  test("keeping holds unfinished uploads out of sight until a writer publishes one", (s) =>
    Effect.gen(function* () {
      const { keeping } = s;
      const id = "0123456789abcdef0123456789abcdef";
      if (!keeping) return;
      assert.equal(yield* keeping.look(id), undefined);
      yield* put(s, "/k", "old");
      yield* keeping.begin(id, "/k");
      assert.equal(yield* reason(keeping.begin(id, "/k")), "AlreadyExists");
      const write = (offset: number, text: string, commit = false) =>
        Effect.scoped(Effect.gen(function* () {
          const writer = yield* s.writer("/k", { mode: "replace", kept: id });
          assert.equal(writer.size, offset);
          yield* late(() => writer.writeAt(offset, bytes(text)));
          if (commit) yield* late(() => writer.commit());
        }));
      yield* write(0, "one");
      yield* keeping.mark(id, 3);
      yield* write(3, "bad");
      assert.equal((yield* keeping.look(id))?.size, 3);
      yield* keeping.mark(id, 3);
      yield* write(3, "two");
      yield* keeping.unmark(id);
      assert.equal((yield* keeping.look(id))?.size, 6);
      assert.deepEqual(yield* names(s, "/"), ["k"]);
      assert.equal(yield* s.sweep(), 0);
      assert.equal(yield* get(s, "/k"), "old");
      yield* Effect.scoped(Effect.gen(function* () {
        const reader = yield* keeping.reader(id);
        assert.equal(yield* late(() => reader.readAt(0, new Uint8Array(10))), 6);
      }));
      yield* write(6, "six", true);
      assert.equal(yield* get(s, "/k"), "onetwosix");
      assert.equal(yield* keeping.look(id), undefined);
      yield* keeping.begin(id, "/other");
      yield* keeping.remove(id);
      yield* keeping.remove(id);
      assert.equal(yield* keeping.look(id), undefined);
      assert.equal(yield* reason(keeping.begin("../k", "/k")), "NotFound");
    }));
};
