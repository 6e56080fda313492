import assert from "node:assert/strict";
import { Effect, Exit, type Scope, Stream } from "effect";
import fc from "fast-check";
import type { FsError } from "../../src/errors.ts";
import type { Storage } from "../../src/storage/storage.ts";
import type { Vfs } from "../../src/vfs/vfs.ts";
import { child, type VPath } from "../../src/vpath.ts";
import { live } from "../harness.ts";
import {
  bench,
  bytes,
  get,
  makeUser,
  path,
  put,
  putting,
  reasonOf,
  writing,
} from "../vfs/bench.ts";

const names = ["/a", "/b", "/d/a", "/d/b"] as const;
const name = fc.constantFrom(...names);
const size = fc.integer({ min: 0, max: 40 });
const offset = fc.integer({ min: 0, max: 50 });

/** One step of a client that does anything, in any order, and often gives up half-way. */
const step = fc.oneof(
  fc.record({ do: fc.constant("put" as const), name, size, finish: fc.boolean() }),
  fc.record({ do: fc.constant("update" as const), name, offset, size, finish: fc.boolean() }),
  fc.record({ do: fc.constant("append" as const), name, size, finish: fc.boolean() }),
  fc.record({ do: fc.constant("remove" as const), name }),
  fc.record({ do: fc.constant("rename" as const), name, to: name, replace: fc.boolean() }),
  fc.record({ do: fc.constant("copy" as const), name, to: name }),
  fc.record({ do: fc.constant("truncate" as const), name, size }),
  fc.record({ do: fc.constant("two" as const), name, size, other: size }),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

const upload = (
  vfs: Vfs,
  at: string,
  options: typeof putting,
  from: number,
  length: number,
  finish: boolean,
) =>
  Effect.scoped(Effect.gen(function* () {
    const handle = yield* vfs.open(path(at), options);
    const chunk = bytes("x".repeat(length));
    yield* Effect.tryPromise({
      try: () => handle.write(from, chunk),
      catch: (e) => e as FsError,
    });
    if (finish) yield* handle.close();
  }));

const perform = (vfs: Vfs, s: Step): Effect.Effect<unknown, FsError> => {
  switch (s.do) {
    case "put":
      return upload(vfs, s.name, putting, 0, s.size, s.finish);
    case "update":
      return upload(vfs, s.name, writing, s.offset, s.size, s.finish);
    case "append":
      return upload(vfs, s.name, { ...writing, append: true }, 0, s.size, s.finish);
    case "remove":
      return vfs.remove(path(s.name));
    case "rename":
      return vfs.rename(path(s.name), path(s.to), { replace: s.replace });
    case "copy":
      return vfs.copy(path(s.name), path(s.to));
    case "truncate":
      return vfs.setAttributes(path(s.name), { size: s.size });
    case "two":
      return Effect.all(
        [
          upload(vfs, s.name, putting, 0, s.size, true),
          upload(vfs, s.name, writing, s.other, s.size, true),
          vfs.remove(path(s.name)),
        ],
        { concurrency: "unbounded", mode: "either" },
      );
  }
};

/** What is really there. */
const held = (
  storage: Storage,
  dir: VPath,
): Effect.Effect<{ bytes: number; files: number }, FsError> =>
  Effect.gen(function* () {
    const total = { bytes: 0, files: 0 };
    for (const entry of yield* Stream.runCollect(storage.list(dir))) {
      const part = entry.kind === "dir"
        ? yield* held(storage, child(dir, entry.name))
        : { bytes: entry.size, files: 1 };
      total.bytes += part.bytes;
      total.files += part.files;
    }
    return total;
  });

/** What the VFS must do over every storage. */
export const vfsConformance = (
  label: string,
  make: Effect.Effect<Storage, never, Scope.Scope>,
): void => {
  const user = makeUser();

  for (const upload_mode of [0, 1, 2]) {
    live(
      `${label}: QUOTA: usage, journal and storage agree after anything (upload_mode ${upload_mode})`,
      () =>
        Effect.promise(() =>
          fc.assert(
            fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
              await Effect.runPromise(Effect.scoped(Effect.gen(function* () {
                const storage = yield* make;
                const { login, quota, journal } = yield* bench(storage, {
                  upload_mode,
                  fsync: false,
                });
                const vfs = yield* login({ quota_size: 150, quota_files: 3 });
                yield* vfs.mkdir(path("/d"));
                for (const one of steps) {
                  yield* Effect.either(perform(vfs, one));
                  const real = yield* held(storage, path("/"));
                  assert.deepEqual(yield* quota.usage(user), real, JSON.stringify(one));
                  const recorded = journal.usage.get("alice") ?? { bytes: 0, files: 0 };
                  assert.deepEqual(recorded, real, `journal after ${JSON.stringify(one)}`);
                  assert.deepEqual(yield* quota.held(user), { bytes: 0, files: 0 });
                  assert.ok(real.bytes <= 150, `over the quota after ${JSON.stringify(one)}`);
                  assert.equal(journal.open.size, 0);
                  assert.equal(yield* storage.sweep(), 0, "no orphan");
                }
              })));
            }),
            { numRuns: 60, seed: 7 },
          )
        ),
    );
  }

  live(
    `${label}: a cut overwrite leaves the old bytes, a finished one the new`,
    () =>
      Effect.gen(function* () {
        const { login } = yield* bench(yield* make);
        const vfs = yield* login();
        yield* put(vfs, "/f", "old content");
        yield* upload(vfs, "/f", putting, 0, 3, false);
        assert.equal(yield* get(vfs, "/f"), "old content");
        yield* upload(vfs, "/f", writing, 2, 3, false);
        assert.equal(yield* get(vfs, "/f"), "old content");
        yield* upload(vfs, "/f", writing, 2, 3, true);
        assert.equal(yield* get(vfs, "/f"), "olxxxontent");
      }),
  );

  live(
    `${label}: an upload in progress shows with its size, and goes with its session`,
    () =>
      Effect.gen(function* () {
        const { login } = yield* bench(yield* make);
        const mine = yield* login();
        const other = yield* login();
        yield* Effect.scoped(Effect.gen(function* () {
          const handle = yield* mine.open(path("/f"), putting);
          yield* Effect.promise(() => handle.write(0, bytes("12345")));
          assert.equal((yield* other.stat(path("/f"))).size, 5);
        }));
        assert.equal(yield* reasonOf(other.stat(path("/f"))), "NotFound");
      }),
  );

  live(`${label}: a closed handle takes nothing more`, () =>
    Effect.gen(function* () {
      const { login } = yield* bench(yield* make);
      const vfs = yield* login();
      const handle = yield* vfs.open(path("/f"), putting);
      yield* handle.close();
      assert.equal(yield* reasonOf(handle.close()), "Aborted");
      const late = Effect.tryPromise(() => handle.write(0, bytes("x")));
      assert.ok(Exit.isFailure(yield* Effect.exit(late)));
      assert.equal((yield* vfs.stat(path("/f"))).size, 0);
    }));
};
