import * as fs from "node:fs";
import { Effect } from "effect";
import { FsError } from "../../../src/errors.ts";
import type { Entry } from "../../../src/model/entry.ts";
import type { Capabilities } from "../../../src/storage/capabilities.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { Turns } from "../../../src/storage/turns.ts";
import { setAttributes } from "./attributes.ts";
import { dirOf, keyOf, locate, nameOf } from "./confine.ts";
import { dress, type LocalOptions } from "./disk.ts";
import { entryOf } from "./entry.ts";
import { codeOf, toFsError } from "./errors.ts";
import type { Info } from "./info.ts";
import { flushing } from "./io.ts";
import { keeping } from "./kept.ts";
import { list, sweepDirectory, sweepTree } from "./list.ts";
import { atOnce, openReader, openWriter } from "./open.ts";
import { redoing } from "./redo.ts";

const can: Capabilities = {
  write: "random",
  append: true,
  atomicRename: true,
  serverCopy: true,
  emptyDirs: true,
  setMtime: true,
  symlinks: true,
  hardLinks: true,
  modes: true,
  space: true,
};

/**
 * A directory of this machine as a storage.
 *
 * Every key is walked by {@linkcode locate}; the kernel never gets to follow a
 * link. Metadata calls are synchronous (see there) and take {@linkcode Turns},
 * so that a check and the act after it cannot be interleaved with another
 * session's, in this thread or in another.
 */
export const local = (options: LocalOptions): Storage => {
  const { root } = options;
  const turns = new Turns(root);
  const attempt = <A>(op: string, key: string, step: () => A) =>
    Effect.try({ try: () => turns.together(step), catch: toFsError(op, key) });
  const settled = (op: string, key: string, step: () => Promise<void>) =>
    Effect.tryPromise({ try: () => turns.together(step), catch: toFsError(op, key) });
  const settledAlone = (op: string, key: string, step: () => Promise<void>) =>
    Effect.tryPromise({ try: () => turns.alone(step), catch: toFsError(op, key) });
  const existing = (
    op: string,
    key: string,
    follow: boolean,
  ): { readonly path: string; readonly info: Info } => {
    const { path, info } = locate(root, key, op, follow);
    if (!info) throw new FsError({ reason: "NotFound", op, path: key });
    return { path, info };
  };
  const named = (key: string, info: Info): Entry => entryOf(nameOf(key), info);
  /** Does `change` to names of `paths`, flushed before it counts as done. */
  const durably = async (paths: ReadonlyArray<string>, change: () => void): Promise<void> => {
    if (options.fsync) await flushing(paths.map(dirOf), change);
    else change();
  };

  return {
    scheme: "local",
    identity: `local:${root}`,
    can,
    stat: (key) => attempt("stat", key, () => named(key, existing("stat", key, true).info)),
    lstat: (key) => attempt("lstat", key, () => named(key, existing("lstat", key, false).info)),
    list: (key) => list(root, turns, key),
    reader: (key) => openReader(root, turns, key),
    writer: (key, how) => openWriter(options, turns, key, how),
    atOnce: atOnce(options, turns),
    mkdir: (key, mode) =>
      settled("mkdir", key, async () => {
        const { path, info } = locate(root, key, "mkdir", false);
        if (info) throw new FsError({ reason: "AlreadyExists", op: "mkdir", path: key });
        await durably([path], () => {
          Deno.mkdirSync(path, { mode: 0o777 });
          dress(options, path, mode, 0o777);
        });
      }),
    remove: (key) =>
      attempt("remove", key, () => {
        const { path, info } = existing("remove", key, false);
        if (info.isDirectory) {
          throw new FsError({ reason: "IsDirectory", op: "remove", path: key });
        }
        fs.unlinkSync(path);
      }),
    rmdir: (key) =>
      settled("rmdir", key, async () => {
        const { path, info } = existing("rmdir", key, false);
        if (!info.isDirectory) {
          throw new FsError({ reason: "NotDirectory", op: "rmdir", path: key });
        }
        if (path === root) throw new FsError({ reason: "Denied", op: "rmdir", path: key });
        try {
          fs.rmdirSync(path);
        } catch (cause) {
          // What a crash left, and no client can see, must not make a directory undeletable.
          if (codeOf(cause) !== "ENOTEMPTY" || await sweepDirectory(path) === 0) throw cause;
          turns.together(() => fs.rmdirSync(existing("rmdir", key, false).path));
        }
      }),
    rename: (from, to, { replace }) =>
      Effect.suspend(() => {
        const move = (all: boolean) => {
          const { paths, isFile } = ready(root, from, to, replace);
          return isFile || all ? durably(paths, () => Deno.renameSync(...paths)) : undefined;
        };
        let leads = false;
        // A directory or a link that moves changes where other keys lead.
        return Effect.andThen(
          settled("rename", from, async () => {
            const moved = move(false);
            leads = moved === undefined;
            await moved;
          }),
          Effect.suspend(() =>
            leads
              ? settledAlone("rename", from, async () => {
                await move(true);
              })
              : Effect.void
          ),
        );
      }).pipe(
        Effect.catchIf(
          (error) => codeOf(error.cause) === "EXDEV",
          (error) =>
            Effect.flatMap(moveAcross(options, turns, from, to, error), (source) =>
              settled("rename", from, () =>
                durably([source], () => fs.unlinkSync(source)))),
        ),
      ),
    copy: (from, to) => copyFile(options, turns, from, to),
    setAttributes: (key, attributes, { follow }) =>
      attempt("setattr", key, () => setAttributes(root, key, attributes, follow)),
    symlink: (target, key) =>
      settledAlone("symlink", key, async () => {
        const { path, info } = locate(root, key, "symlink", false);
        if (info) throw new FsError({ reason: "AlreadyExists", op: "symlink", path: key });
        if (target.startsWith("/")) {
          throw new FsError({ reason: "Denied", op: "symlink", path: key });
        }
        await durably([path], () => fs.symlinkSync(target, path));
      }),
    readlink: (key) =>
      attempt("readlink", key, () => {
        const { path, info } = existing("readlink", key, false);
        if (!info.isSymlink) {
          throw new FsError({
            reason: "Unsupported",
            op: "readlink",
            path: key,
            detail: "no link",
          });
        }
        const target = fs.readlinkSync(path);
        // An absolute target names a path of the server, which is not the client's to know.
        if (target.startsWith("/")) {
          throw new FsError({ reason: "Denied", op: "readlink", path: key });
        }
        return target;
      }),
    hardLink: (from, to) =>
      settled("link", from, async () => {
        const source = existing("link", from, false);
        if (!source.info.isFile) {
          throw new FsError({ reason: "Unsupported", op: "link", path: from });
        }
        const target = locate(root, to, "link", false);
        if (target.info) throw new FsError({ reason: "AlreadyExists", op: "link", path: to });
        await durably([target.path], () => Deno.linkSync(source.path, target.path));
      }),
    realpath: (key) =>
      attempt("realpath", key, () => keyOf(root, locate(root, key, "realpath", true).path)),
    redo: redoing(options, turns),
    keeping: keeping(options, turns),
    space: (key) =>
      attempt("space", key, () => {
        const volume = fs.statfsSync(existing("space", key, true).path);
        return {
          totalBytes: volume.blocks * volume.bsize,
          freeBytes: volume.bavail * volume.bsize,
          totalFiles: volume.files,
          freeFiles: volume.ffree,
        };
      }),
    sweep: (whose) => sweepTree(root, whose),
  };
};

/** Checks a rename; answers both paths. Nothing can come between this and a rename in the same turn. */
const ready = (
  root: string,
  from: string,
  to: string,
  replace: boolean,
): { readonly paths: [string, string]; readonly isFile: boolean } => {
  const source = locate(root, from, "rename", false);
  if (!source.info) throw new FsError({ reason: "NotFound", op: "rename", path: from });
  const target = locate(root, to, "rename", false);
  if (target.info?.isDirectory || (target.info && !replace)) {
    throw new FsError({ reason: "AlreadyExists", op: "rename", path: to });
  }
  if (target.info && source.info.isDirectory) {
    throw new FsError({ reason: "NotDirectory", op: "rename", path: to });
  }
  return { paths: [source.path, target.path], isFile: source.info.isFile };
};

const copyFile = (
  options: LocalOptions,
  turns: Turns,
  from: string,
  to: string,
): Effect.Effect<Entry, FsError> =>
  Effect.scoped(Effect.gen(function* () {
    const source = yield* openReader(options.root, turns, from);
    const writer = yield* openWriter(options, turns, to, { mode: "replace" });
    return yield* Effect.tryPromise({
      try: async () => {
        const buffer = new Uint8Array(256 * 1024);
        for (let at = 0;;) {
          const n = await source.readAt(at, buffer);
          if (n === 0) return await writer.commit();
          await writer.writeAt(at, buffer.subarray(0, n));
          at += n;
        }
      },
      catch: toFsError("copy", to),
    });
  }));

/**
 * Another volume is mounted inside the home: a file is copied whole, then to be
 * removed (BEHAVIOUR LOC-04). Answers the path to remove.
 */
const moveAcross = (
  options: LocalOptions,
  turns: Turns,
  from: string,
  to: string,
  error: FsError,
): Effect.Effect<string, FsError> =>
  Effect.gen(function* () {
    const attempt = <A>(step: () => A) =>
      Effect.try({ try: step, catch: toFsError("rename", from) });
    const source = yield* attempt(() => locate(options.root, from, "rename", false));
    if (!source.info?.isFile) return yield* error;
    yield* copyFile(options, turns, from, to);
    return source.path;
  });
