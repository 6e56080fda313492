import assert from "node:assert/strict";
import { Effect } from "effect";
import { arm } from "../../src/failpoint.ts";
import type { OwnedHandle, Vfs } from "../../src/vfs/vfs.ts";
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
const nothing = { bytes: 0, files: 0 };

/** A home whose journal keeps small uploads, and a user whose first upload is over. */
const home = (settings: Record<string, unknown> = {}) =>
  Effect.gen(function* () {
    const made = yield* onDisk({}, true);
    return { ...made, vfs: yield* made.login({ first_upload: 1, first_download: 1, ...settings }) };
  });

/** The same with the file `/a` in it: the quota's account is there, so nothing has to be waited for. */
const used = (settings: Record<string, unknown> = {}) =>
  Effect.tap(home(settings), ({ vfs }) => put(vfs, "/a", "one"));

const opened = (vfs: Vfs, name: string, options = putting): OwnedHandle => {
  const handle = vfs.openNow(name, options);
  assert.ok(handle, `openNow ${name}`);
  return handle;
};

const written = (vfs: Vfs, name: string, content: string) =>
  Effect.gen(function* () {
    const handle = opened(vfs, name);
    yield* Effect.promise(() => handle.write(0, bytes(content)));
    return handle;
  });

/** Closes what `closeNow()` has to leave to `close()`. */
const closedLater = (handle: OwnedHandle, why: string) =>
  Effect.suspend(() => {
    assert.equal(handle.closeNow(), false, why);
    return handle.close();
  });

live("openNow() and closeNow() do what open() and close() do", () =>
  Effect.gen(function* () {
    const { vfs, root, journal, quota } = yield* home();
    // The quota's account is fetched by the first that asks.
    assert.equal(vfs.openNow("/a", putting), undefined);
    yield* put(vfs, "/a", "one");
    const handle = yield* written(vfs, "/b", "three");
    assert.equal(vfs.statNow("/b", true)?.size, 5, "SFTP-09");
    assert.deepEqual(names(root).filter((name) => !name.startsWith(".")), ["a"]);
    assert.equal(handle.closeNow(), true);
    assert.equal(handle.closeNow(), false);
    yield* handle.leave();
    assert.equal(Deno.readTextFileSync(root + "/b"), "three");
    assert.deepEqual(names(root), ["a", "b"]);
    assert.equal(yield* get(vfs, "/b"), "three");
    const [slow, fast] = journal.events;
    const facts = ["id", "timestamp", "elapsed", "virtual_path", "file_size", "checksum"];
    const alike = (event: object = {}) =>
      Object.entries(event).filter(([name]) => !facts.includes(name));
    assert.deepEqual(alike(fast), alike(slow));
    assert.equal(fast?.file_size, 5);
    assert.deepEqual(yield* quota.usage(user), { bytes: 8, files: 2 });
    assert.deepEqual(journal.usage.get("alice"), { bytes: 8, files: 2 });
    assert.deepEqual(yield* quota.held(user), nothing);
    assert.equal(journal.late.length, 2);
    for (const each of journal.late) each.over();
  }));

live(
  "openNow() and closeNow() of a download record it as close() does",
  () =>
    Effect.gen(function* () {
      const { vfs, journal } = yield* home();
      yield* put(vfs, "/a", "hello");
      for (const each of journal.late) each.over();
      const handle = opened(vfs, "a", reading);
      const into = new Uint8Array(9);
      assert.equal(yield* Effect.promise(() => handle.read(0, into)), 5);
      assert.equal(handle.closeNow(), true);
      yield* handle.leave();
      const downloads = journal.events.filter(({ action }) => action === "download");
      assert.deepEqual(downloads.map(({ file_size }) => file_size), [5]);
      const unread = opened(vfs, "/a", reading);
      assert.equal(unread.closeNow(), true);
      assert.equal(journal.events.filter(({ action }) => action === "download").length, 1);
    }),
);

live(
  "openNow() and statNow() leave every refusal to the calls that say why",
  () =>
    Effect.gen(function* () {
      const settings = { quota_files: 2, permissions: { "/": ["*"], "/locked": ["list"] } };
      const { vfs, quota, root } = yield* used(settings);
      Deno.mkdirSync(root + "/locked");
      const refused = [
        ["/", putting, "IsDirectory"],
        ["/locked", putting, "IsDirectory"],
        ["/locked/x", putting, "Denied"],
        ["/nowhere/x", putting, "NotFound"],
        ["/a", { ...writing, exclusive: true }, "AlreadyExists"],
        ["/a/x", putting, "NotDirectory"],
        ["/nothing", reading, "NotFound"],
        ["/locked", reading, "IsDirectory"],
      ] as const;
      for (const [name, options, reason] of refused) {
        assert.equal(vfs.openNow(name, options), undefined, name);
        assert.equal(yield* reasonOf(vfs.openFile(path(name), options)), reason, name);
      }
      assert.equal(vfs.openNow("/bad\u0000name", putting), undefined);
      assert.equal(vfs.statNow("/nothing", true), undefined);
      assert.equal(vfs.statNow("/bad\u0000name", true), undefined);
      assert.deepEqual(yield* quota.held(user), nothing);
      const second = opened(vfs, "/b");
      assert.equal(vfs.openNow("/c", putting), undefined, "QUOTA-04");
      assert.equal(yield* reasonOf(vfs.openFile(path("/c"), putting)), "QuotaExceeded");
      yield* second.leave();
      assert.deepEqual(yield* quota.held(user), nothing);
      assert.deepEqual(names(root), ["a", "locked"]);
    }),
);

live("closeNow() leaves to close() what has to be waited for", () =>
  Effect.gen(function* () {
    const { vfs, root, login } = yield* used();
    const busy = opened(vfs, "/b");
    const write = busy.write(0, bytes("two"));
    assert.equal(busy.closeNow(), false, "a write is under way");
    yield* Effect.promise(() => write);
    yield* busy.close();
    const large = opened(vfs, "/c");
    yield* Effect.promise(() => large.write(0, new Uint8Array(40_000)));
    yield* closedLater(large, "it flushes its own content");
    const newcomer = yield* login();
    const first = yield* written(newcomer, "/d", "first");
    yield* closedLater(first, "the catalog notes the first upload");
    assert.deepEqual(names(root), ["a", "b", "c", "d"]);
  }));

live(
  "an upload that is left before it is closed leaves nothing, its temporary file made or not",
  () =>
    Effect.gen(function* () {
      const { vfs, root, journal, quota } = yield* used();
      const early = opened(vfs, "/b");
      assert.deepEqual(names(root), ["a"], "made when the client has its answer");
      yield* early.leave();
      const late = opened(vfs, "/b");
      late.prepare?.();
      assert.equal(names(root).length, 2);
      yield* late.leave();
      late.prepare?.();
      assert.deepEqual(names(root), ["a"]);
      assert.deepEqual(journal.events.map(({ status }) => status), [1, 2, 2]);
      assert.deepEqual(yield* quota.held(user), nothing);
      const empty = opened(vfs, "/empty");
      if (!empty.closeNow()) yield* empty.close();
      assert.equal(Deno.readTextFileSync(root + "/empty"), "");
    }),
);

live(
  "a temporary file that cannot be made fails the first write, and the upload",
  () =>
    Effect.gen(function* () {
      const { vfs, root, quota } = yield* used();
      Deno.mkdirSync(root + "/dir");
      const handle = opened(vfs, "/dir/b");
      Deno.removeSync(root + "/dir");
      handle.prepare?.();
      const failure = yield* Effect.flip(Effect.tryPromise({
        try: () => handle.write(0, bytes("two")),
        catch: (cause) => cause as { reason: string },
      }));
      assert.equal(failure.reason, "NotFound");
      assert.equal(yield* reasonOf(closedLater(handle, "it has failed")), "NotFound");
      assert.deepEqual(yield* quota.held(user), nothing);
    }),
);

live(
  "closeNow() that fails publishes nothing, counts nothing, and close() says why",
  () =>
    Effect.gen(function* () {
      const { vfs, root, journal, quota } = yield* used();
      const handle = yield* written(vfs, "/a", "newer");
      arm(`local.rename@${root}/a=fail`);
      assert.equal(yield* reasonOf(closedLater(handle, "the disk fails")), "Unavailable");
      assert.equal(Deno.readTextFileSync(root + "/a"), "one");
      assert.deepEqual(names(root), ["a"]);
      assert.equal(journal.open.size, 0);
      assert.equal(journal.events.at(-1)?.status, 2);
      assert.deepEqual(yield* quota.usage(user), { bytes: 3, files: 1 });
      assert.deepEqual(yield* quota.held(user), nothing);
    }),
);
