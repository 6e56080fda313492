import { Effect } from "effect";
import type { FsError } from "../errors.ts";
import type { Entry } from "../model/entry.ts";
import { basename, child, parent, type VPath } from "../vpath.ts";
import type { Access } from "./access.ts";
import { mkdir } from "./change.ts";
import { entryAt, entryIfAny, nested } from "./look.ts";
import { promised } from "./promised.ts";
import type { CopyOptions } from "./vfs.ts";
import { walk } from "./walk.ts";

const piece = 256 * 1024;

/**
 * Copies a file or a tree (BEHAVIOUR FS-09): onto an existing directory, or a
 * target that ended with `/`, means into it. Directories on both sides are
 * merged, missing parents made, special files left out; one event a file.
 * Every file is published whole or not at all. {@linkcode CopyOptions} changes
 * what the target means.
 */
export const copy = (
  access: Access,
  from: VPath,
  wanted: VPath,
  options: CopyOptions = {},
): Effect.Effect<void, FsError> =>
  Effect.gen(function* () {
    const refused = access.recordFailure(
      access.event("copy", from, { virtual_target_path: wanted }),
    );
    yield* Effect.tapError(access.check("copy", from), refused);
    const { storage, key } = access.at(from);
    const source = yield* Effect.tapError(storage.lstat(key), refused);
    if (access.mounts.anyBelow(from)) {
      return yield* access.fail("Unsupported", "copy", from, "another folder is mounted inside");
    }
    const there = yield* entryIfAny(access, wanted, true);
    const into = !options.onto && (there?.kind === "dir" || options.intoSlash);
    const to = into ? child(wanted, basename(from)) : wanted;
    if (from === "/" || nested(from, to)) {
      return yield* access.fail("Unsupported", "copy", from, "source and target are nested");
    }
    if (source.kind !== "file" && source.kind !== "dir") {
      return yield* access.fail(
        "Unsupported",
        "copy",
        from,
        "only files and directories are copied",
      );
    }
    yield* Effect.tapError(access.check("copy", to, "target"), refused);
    if (options.onto) yield* Effect.tapError(onlyOnto(access, to, there, options.onto), refused);
    yield* makeParents(access, parent(to));
    if (source.kind === "file") return yield* copyFile(access, from, to);

    const moved = (path: VPath) => (to + path.slice(from.length)) as VPath;
    yield* merge(access, to);
    yield* walk(access, from, {
      leaf: (path, entry) =>
        entry.kind !== "file"
          ? Effect.void
          : Effect.andThen(access.check("copy", path), copyFile(access, path, moved(path))),
      enter: (path) => Effect.andThen(access.check("copy", path), merge(access, moved(path))),
      leave: () => Effect.void,
    });
  });

/** Refuses what {@linkcode CopyOptions.onto} leaves out. */
const onlyOnto = (
  access: Access,
  to: VPath,
  there: Entry | undefined,
  onto: "nothing" | "file",
): Effect.Effect<unknown, FsError> =>
  there && onto === "nothing"
    ? access.fail("AlreadyExists", "copy", to)
    : there?.kind === "dir"
    ? access.fail("IsDirectory", "copy", to)
    : Effect.catchIf(
      entryAt(access, parent(to), true),
      ({ reason }) => reason === "NotFound",
      () => access.fail("Conflict", "copy", to, "the directory above does not exist"),
    );

const makeParents = (access: Access, dir: VPath): Effect.Effect<void, FsError> =>
  Effect.gen(function* () {
    if (dir === "/" || (yield* entryIfAny(access, dir, true))) return;
    yield* makeParents(access, parent(dir));
    yield* mkdir(access, dir);
  });

/** Makes a directory of the copy, or takes the one that is there. */
const merge = (access: Access, dir: VPath): Effect.Effect<void, FsError> =>
  Effect.gen(function* () {
    yield* access.check("copy", dir, "target");
    const there = yield* entryIfAny(access, dir, true);
    if (there?.kind === "dir") return;
    if (there) return yield* access.fail("NotDirectory", "copy", dir);
    yield* access.check("copy_dir", dir, "target");
    yield* mkdir(access, dir);
  });

/** Copies one file, published whole or not at all. */
export const copyFile = (access: Access, from: VPath, to: VPath): Effect.Effect<void, FsError> => {
  const { quota, uploads } = access.services;
  const event = access.event("copy", from, { virtual_target_path: to });
  const target = access.at(to);
  return Effect.scoped(Effect.gen(function* () {
    yield* access.check("copy", to, "target");
    const existing = yield* entryIfAny(access, to, true);
    if (existing?.kind === "dir") return yield* access.fail("IsDirectory", "copy", to);
    if (existing) yield* access.check("replace", to, "target");
    const source = access.at(from);
    const reader = yield* source.storage.reader(source.key);
    const lease = yield* Effect.acquireRelease(
      quota.reserve(access.payer(target), to, existing?.size),
      (taken) => Effect.sync(() => taken.release()),
    );
    const writer = yield* target.storage.writer(target.key, { mode: "replace" });
    const buffer = new Uint8Array(piece);
    for (let at = 0;;) {
      const n = yield* promised(() => reader.readAt(at, buffer), "copy", from);
      if (n === 0) break;
      if (!lease.grow(at + n)) {
        return yield* access.fail("QuotaExceeded", "copy", to, "disk quota exceeded");
      }
      yield* promised(() => writer.writeAt(at, buffer.subarray(0, n)), "copy", to);
      at += n;
      yield* Effect.yieldNow();
    }
    yield* promised(() => writer.sync(), "copy", to);
    yield* access.locked(
      [target],
      Effect.gen(function* () {
        const now = yield* entryIfAny(access, to, true);
        const old = uploads.counted(target.storage.identity, target.key, now?.size);
        const { size, staged } = writer;
        const usage = { bytes: size - (old ?? 0), files: old === undefined ? 1 : 0 };
        yield* access.journalled(
          { ...event, file_size: size },
          staged === undefined
            ? { kind: "extend", key: target.key }
            : { kind: "publish", key: target.key, staged },
          usage,
          promised(() => writer.commit(), "copy", to),
          () => ({ usage }),
          (delta) =>
            Effect.sync(() => {
              const moved = lease.settle(delta);
              uploads.recount(target.storage.identity, target.key, size);
              return moved;
            }),
        );
      }),
    );
  })).pipe(Effect.tapError(access.recordFailure(event)));
};
