import assert from "node:assert/strict";
import { Effect, Stream } from "effect";
import { memory } from "../../adapters/storage/memory/memory.ts";
import type { FsError } from "../../src/errors.ts";
import { arm } from "../../src/failpoint.ts";
import type { Part } from "../../src/vfs/resumable.ts";
import { openRecords } from "../catalog/upload_records.ts";
import { live, tempDir } from "../harness.ts";
import { bench, bytes, makeUser, onDisk, path, put, reasonOf } from "./bench.ts";

const alice = makeUser();
const wanted = (name: string, length: number) => ({
  path: path(name),
  length,
  metadata: "",
  options: { overwrite: true },
  parents: false,
});
const write = (part: Part, text: string) =>
  Effect.tryPromise({ try: () => part.write(bytes(text)), catch: (e) => e as FsError });

const world = (common: Record<string, unknown> = {}) =>
  Effect.gen(function* () {
    const disk = yield* onDisk(common);
    const { records } = yield* openRecords(yield* tempDir);
    const vfs = yield* disk.login();
    const uploads = vfs.resumables(records);
    const send = (id: string, offset: number, text: string, checked = false) =>
      Effect.scoped(Effect.gen(function* () {
        const part = yield* uploads.append(id, offset, { checked });
        yield* write(part, text);
        return yield* part.end();
      }));
    return { ...disk, vfs, records, uploads, send };
  });

for (const mode of [0, 1, 2]) {
  live(
    `a resumable upload is nothing but kept bytes before its end, in upload mode ${mode}`,
    () =>
      Effect.gen(function* () {
        const { root, uploads, send, journal, quota, vfs } = yield* world({ upload_mode: mode });
        const { id } = yield* uploads.create(wanted("/f", 6));
        assert.equal((yield* send(id, 0, "one")).offset, 3);
        assert.equal(yield* reasonOf(vfs.stat(path("/f"))), "NotFound");
        assert.equal(yield* Stream.runCount(vfs.list(path("/"))), 0);
        assert.equal(journal.events.length, 0);
        const done = yield* send(id, 3, "two");
        assert.deepEqual([done.offset, done.expires], [6, undefined]);
        assert.equal(Deno.readTextFileSync(`${root}/f`), "onetwo");
        assert.deepEqual(yield* quota.usage(alice), { bytes: 6, files: 1 });
        assert.equal((yield* quota.held(alice)).bytes, 0);
      }),
  );
}

live(
  "a part that is not ended keeps what it wrote; a checked one does not",
  () =>
    Effect.gen(function* () {
      const { uploads, send } = yield* world();
      const { id } = yield* uploads.create(wanted("/f", 9));
      const leave = (offset: number, text: string, checked: boolean) =>
        Effect.scoped(
          Effect.flatMap(uploads.append(id, offset, { checked }), (part) => write(part, text)),
        );
      yield* leave(0, "one", false);
      assert.equal((yield* uploads.look(id)).offset, 3);
      yield* leave(3, "bad", true);
      assert.equal((yield* uploads.look(id)).offset, 3);
      assert.equal((yield* send(id, 3, "two", true)).offset, 6);
      assert.equal((yield* uploads.look(id)).offset, 6);
    }),
);

live("bytes whose flush failed are taken back", () =>
  Effect.gen(function* () {
    const { uploads, send } = yield* world();
    const { id } = yield* uploads.create(wanted("/f", 9));
    yield* send(id, 0, "one");
    arm("local.fsync@/f=fail");
    assert.equal(yield* reasonOf(send(id, 3, "two")), "Unavailable");
    assert.equal((yield* uploads.look(id)).offset, 3);
    assert.equal((yield* send(id, 3, "twosix")).offset, 9);
  }));

live(
  "a whole upload whose last step failed is finished by a look, or says why not",
  () =>
    Effect.gen(function* () {
      const { uploads, send, root } = yield* world();
      const { id } = yield* uploads.create(wanted("/g", 3));
      arm(`local.rename@${root}/g=fail`);
      assert.equal(yield* reasonOf(send(id, 0, "one")), "Unavailable");
      Deno.mkdirSync(`${root}/g`);
      assert.equal(yield* reasonOf(uploads.look(id)), "IsDirectory");
      Deno.removeSync(`${root}/g`);
      assert.equal((yield* uploads.look(id)).expires, undefined);
      assert.equal(Deno.readTextFileSync(`${root}/g`), "one");
    }),
);

live(
  "an old file stays until the end, and then the usage is the new one's",
  () =>
    Effect.gen(function* () {
      const { uploads, send, vfs, quota, root } = yield* world();
      yield* put(vfs, "/f", "old content");
      const { id } = yield* uploads.create(wanted("/f", 4));
      yield* send(id, 0, "ab");
      assert.equal(Deno.readTextFileSync(`${root}/f`), "old content");
      yield* send(id, 2, "cd");
      assert.deepEqual(yield* quota.usage(alice), { bytes: 4, files: 1 });
    }),
);

live("a storage that cannot keep uploads says so", () =>
  Effect.gen(function* () {
    const { login } = yield* bench(memory());
    const { records } = yield* openRecords(yield* tempDir);
    const uploads = (yield* login()).resumables(records);
    assert.equal(yield* reasonOf(uploads.create(wanted("/f", 1))), "Unsupported");
  }));
