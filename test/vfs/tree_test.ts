import assert from "node:assert/strict";
import * as fs from "node:fs";
import { Effect, Exit, Scope } from "effect";
import { live } from "../harness.ts";
import { bytes, get, makeUser, onDisk, path, put, putting, reasonOf } from "./bench.ts";

const user = makeUser();

live(
  "SECURITY 6.7, FS-06: rename() replaces only when told and only files; the old content survives a refusal",
  () =>
    Effect.gen(function* () {
      const { login, quota, journal } = yield* onDisk();
      const vfs = yield* login();
      yield* put(vfs, "/a", "aaaa");
      yield* put(vfs, "/b", "bb");
      yield* vfs.mkdir(path("/d"));
      const move = (from: string, to: string, replace: boolean) =>
        reasonOf(vfs.rename(path(from), path(to), { replace }));
      assert.equal(yield* move("/a", "/b", false), "AlreadyExists");
      assert.equal(yield* get(vfs, "/b"), "bb");
      assert.equal(yield* move("/a", "/d", true), "Unsupported");
      assert.equal(yield* move("/a", "/b", true), "ok");
      assert.equal(yield* get(vfs, "/b"), "aaaa");
      assert.deepEqual(yield* quota.usage(user), { bytes: 4, files: 1 });
      assert.deepEqual(journal.usage.get("alice"), { bytes: 4, files: 1 });
      assert.equal(journal.events.filter((e) => e.action === "rename" && e.status === 1).length, 1);
    }),
);

live(
  "SECURITY 6.8, FS-04: nothing is moved or copied into itself, the root stays",
  () =>
    Effect.gen(function* () {
      const { login, root } = yield* onDisk();
      const vfs = yield* login();
      yield* vfs.mkdir(path("/d"));
      yield* put(vfs, "/d/f", "1");
      const refused = [
        vfs.rename(path("/d"), path("/d/e"), { replace: false }),
        vfs.rename(path("/d/f"), path("/d"), { replace: true }),
        vfs.rename(path("/d/f"), path("/d/f"), { replace: true }),
        vfs.rename(path("/"), path("/x"), { replace: true }),
        vfs.copy(path("/d"), path("/d/copy")),
        vfs.copy(path("/d/f"), path("/d/f")),
        vfs.rmdir(path("/")),
        vfs.removeTree(path("/")),
        vfs.remove(path("/")),
      ];
      for (const [i, one] of refused.entries()) assert.notEqual(yield* reasonOf(one), "ok", `${i}`);
      assert.deepEqual(fs.readdirSync(root, { recursive: true }).sort(), ["d", "d/f"]);
    }),
);

live(
  "FS-09: copy() merges directories on both sides, and goes into an existing one",
  () =>
    Effect.gen(function* () {
      const { login, root, quota, journal } = yield* onDisk();
      const vfs = yield* login();
      for (const dir of ["/s", "/s/sub", "/t", "/t/s", "/t/s/sub"]) yield* vfs.mkdir(path(dir));
      yield* put(vfs, "/s/sub/new", "new!");
      yield* put(vfs, "/s/top", "top");
      yield* put(vfs, "/t/s/sub/kept", "kept");
      yield* vfs.copy(path("/s"), path("/t"));
      assert.deepEqual(fs.readdirSync(root + "/t", { recursive: true }).sort(), [
        "s",
        "s/sub",
        "s/sub/kept",
        "s/sub/new",
        "s/top",
      ]);
      yield* vfs.copy(path("/s/top"), path("/made/for/it"));
      assert.equal(yield* get(vfs, "/made/for/it"), "top");
      assert.deepEqual(yield* quota.usage(user), { bytes: 7 + 4 + 7 + 3, files: 6 });
      assert.equal(journal.events.filter((e) => e.action === "copy").length, 3);
      const poor = yield* login({ quota_size: 22 });
      assert.equal(yield* reasonOf(poor.copy(path("/s/top"), path("/more"))), "QuotaExceeded");
      assert.ok(!fs.existsSync(root + "/more"));
      assert.deepEqual(yield* quota.held(user), { bytes: 0, files: 0 });
    }),
);

live(
  "FS-12: removeTree() counts and journals every file, and stops before it starts if one is not allowed",
  () =>
    Effect.gen(function* () {
      const { login, root, quota, journal } = yield* onDisk();
      const vfs = yield* login();
      for (const dir of ["/d", "/d/e", "/d/safe"]) yield* vfs.mkdir(path(dir));
      yield* put(vfs, "/d/a", "12");
      yield* put(vfs, "/d/e/b", "345");
      yield* put(vfs, "/d/safe/c", "6");
      const bound = yield* login({ permissions: { "/": ["*"], "/d/safe": ["list"] } });
      assert.equal(yield* reasonOf(bound.removeTree(path("/d"))), "Denied");
      assert.equal(
        yield* reasonOf(bound.rename(path("/d"), path("/x"), { replace: false })),
        "Denied",
      );
      assert.ok(fs.existsSync(root + "/d/a"));
      // The same refusals as those of rmdir and remove, with the same events.
      const blind = yield* login({ permissions: { "/": ["list"] } });
      for (const name of ["/d", "/d/a"]) {
        assert.equal(yield* reasonOf(blind.removeTree(path(name))), "Denied");
      }
      assert.equal(yield* reasonOf(vfs.copy(path("/none"), path("/x"))), "NotFound");
      assert.deepEqual(
        journal.events.filter(({ status }) => status === 2)
          .map(({ action, virtual_path }) => `${action} ${virtual_path}`),
        ["rmdir /d", "rename /d", "rmdir /d", "delete /d/a", "copy /none"],
      );
      const handle = yield* Effect.scoped(Effect.gen(function* () {
        yield* vfs.open(path("/d/e/uploading"), putting);
        assert.equal(yield* reasonOf(vfs.removeTree(path("/d"))), "Locked");
        assert.equal(
          yield* reasonOf(vfs.rename(path("/d"), path("/x"), { replace: false })),
          "Locked",
          "SECURITY 6.39",
        );
      }));
      assert.equal(handle, undefined);
      yield* vfs.removeTree(path("/d"));
      assert.deepEqual(fs.readdirSync(root), []);
      assert.deepEqual(yield* quota.usage(user), { bytes: 0, files: 0 });
      assert.equal(journal.events.filter((e) => e.action === "delete" && e.status === 1).length, 3);
      assert.equal(journal.open.size, 0);
    }),
);

live(
  "SECURITY 6.39: a file removed under a resumed upload gives a true answer and no quota drift",
  () =>
    Effect.gen(function* () {
      const { login, quota, root } = yield* onDisk();
      const vfs = yield* login();
      yield* put(vfs, "/r", "12345");
      yield* Effect.scoped(Effect.gen(function* () {
        const handle = yield* vfs.open(path("/r"), { ...putting, truncate: false });
        yield* Effect.promise(() => handle.write(5, bytes("678")));
        yield* vfs.remove(path("/r"));
        assert.equal(yield* reasonOf(handle.close()), "Conflict");
      }));
      assert.deepEqual(fs.readdirSync(root), []);
      assert.deepEqual(yield* quota.usage(user), { bytes: 0, files: 0 });
      assert.deepEqual(yield* quota.held(user), { bytes: 0, files: 0 });
    }),
);

live("two uploads that extend one file are counted once", () =>
  Effect.gen(function* () {
    const { login, quota } = yield* onDisk();
    const vfs = yield* login();
    yield* put(vfs, "/r", "12345");
    yield* Effect.scoped(Effect.gen(function* () {
      const a = yield* vfs.open(path("/r"), { ...putting, truncate: false });
      yield* Effect.promise(() => a.write(5, bytes("67")));
      const b = yield* vfs.open(path("/r"), { ...putting, truncate: false });
      yield* Effect.promise(() => b.write(7, bytes("89")));
      yield* a.close();
      yield* b.close();
    }));
    assert.deepEqual(yield* quota.usage(user), { bytes: 9, files: 1 });
  }));

live(
  "FS-01, FS-02: attributes of an upload in progress are kept for its commit",
  () =>
    Effect.gen(function* () {
      const { login, root } = yield* onDisk();
      const vfs = yield* login();
      const scope = yield* Scope.make();
      const handle = yield* Scope.extend(vfs.open(path("/p"), putting), scope);
      yield* Effect.promise(() => handle.write(0, bytes("123456")));
      yield* vfs.setAttributes(path("/p"), { mtime: 1_500_000_000_000, mode: 0o600 });
      yield* handle.setAttributes({ size: 4 });
      yield* handle.close();
      yield* Scope.close(scope, Exit.void);
      const info = fs.statSync(root + "/p");
      assert.deepEqual([info.size, info.mtimeMs, info.mode & 0o777], [4, 1_500_000_000_000, 0o600]);
    }),
);

live(
  "FS-14: setstat_mode 1 ignores what it must, but never a refusal",
  () =>
    Effect.gen(function* () {
      const { login, root } = yield* onDisk({ setstat_mode: 1 });
      const vfs = yield* login();
      yield* put(vfs, "/p", "1");
      const before = fs.statSync(root + "/p").mode;
      yield* vfs.setAttributes(path("/p"), { mode: 0o777, mtime: 1 });
      assert.equal(fs.statSync(root + "/p").mode, before);
      const bound = yield* login({ permissions: { "/": ["list"] } });
      assert.equal(yield* reasonOf(bound.setAttributes(path("/p"), { mode: 0o777 })), "Denied");
    }),
);

live(
  "FS-11: links are off by default; on, they are stored relative and stay inside",
  () =>
    Effect.gen(function* () {
      const off = yield* onDisk();
      const closed = yield* off.login();
      yield* put(closed, "/f", "1");
      assert.equal(yield* reasonOf(closed.symlink("f", path("/l"))), "Unsupported");
      assert.equal(yield* reasonOf(closed.hardLink(path("/f"), path("/h"))), "Unsupported");

      const { login, root, quota } = yield* onDisk({ symlink_mode: 1 });
      const vfs = yield* login();
      yield* vfs.mkdir(path("/d"));
      yield* put(vfs, "/f", "123");
      yield* vfs.symlink("/f", path("/d/l"));
      assert.equal(fs.readlinkSync(root + "/d/l"), "../f");
      assert.equal(yield* vfs.readlink(path("/d/l")), "/f");
      assert.equal(yield* vfs.realpath(path("/d/l")), "/f");
      yield* vfs.symlink("../../../../../etc/passwd", path("/d/e"));
      assert.equal(fs.readlinkSync(root + "/d/e"), "../etc/passwd");
      assert.equal(yield* reasonOf(vfs.stat(path("/d/e"))), "NotFound");
      fs.symlinkSync("/etc/passwd", root + "/planted");
      fs.symlinkSync("../../x", root + "/climbing");
      assert.equal(yield* reasonOf(vfs.readlink(path("/planted"))), "Denied");
      assert.equal(yield* reasonOf(vfs.readlink(path("/climbing"))), "Denied");
      yield* vfs.remove(path("/planted"));
      yield* vfs.hardLink(path("/f"), path("/h"));
      assert.deepEqual(yield* quota.usage(user), { bytes: 6, files: 2 });
    }),
);

live("checksum() answers whole files, ranges and blocks", () =>
  Effect.gen(function* () {
    const { login } = yield* onDisk();
    const vfs = yield* login();
    yield* put(vfs, "/f", "abcabc");
    const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const sum = (range?: { offset?: number; length?: number; block?: number }) =>
      vfs.checksum(path("/f"), "sha256", range);
    assert.deepEqual(yield* sum({ length: 3 }), [abc]);
    assert.deepEqual(yield* sum({ offset: 3 }), [abc]);
    assert.deepEqual(yield* sum({ block: 3 }), [abc, abc]);
    assert.equal((yield* sum()).length, 1);
    assert.equal((yield* sum({ block: 4 })).length, 2);
  }));

live(
  "QUOTA-13: available() answers from the quota, what is held included",
  () =>
    Effect.gen(function* () {
      const { login } = yield* onDisk();
      const vfs = yield* login({ quota_size: 1000, quota_files: 10 });
      yield* put(vfs, "/f", "x".repeat(100));
      const handle = yield* vfs.open(path("/g"), putting);
      yield* Effect.promise(() => handle.write(0, bytes("y".repeat(50))));
      assert.deepEqual(yield* vfs.available(path("/")), {
        totalBytes: 1000,
        freeBytes: 850,
        totalFiles: 10,
        freeFiles: 8,
      });
    }),
);

live(
  "USER max_upload_file_size ends an upload, in every way to grow",
  () =>
    Effect.gen(function* () {
      const { login, root } = yield* onDisk();
      const vfs = yield* login({ filters: { max_upload_file_size: 5 } });
      assert.equal(yield* reasonOf(put(vfs, "/f", "123456")), "TooLarge");
      yield* put(vfs, "/f", "12345");
      assert.equal(
        yield* reasonOf(put(vfs, "/f", "6", { ...putting, truncate: false, append: true })),
        "TooLarge",
      );
      assert.equal(fs.readFileSync(root + "/f", "utf8"), "12345");
    }),
);
