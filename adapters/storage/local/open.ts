import * as fs from "node:fs";
import { Effect, type Scope } from "effect";
import { FsError } from "../../../src/errors.ts";
import { held } from "../../../src/held.ts";
import type {
  AtOnce,
  Reader,
  Releasable,
  WriteOptions,
  Writer,
} from "../../../src/storage/storage.ts";
import { keptKey } from "../../../src/storage/staged.ts";
import type { Turns } from "../../../src/storage/turns.ts";
import { dirOf, keyOf, locate, nameOf, verifyOpen } from "./confine.ts";
import {
  closeQuietly,
  dress,
  type LocalOptions,
  openDirect,
  openToRead,
  openToWrite,
} from "./disk.ts";
import { entryOf } from "./entry.ts";
import { toFsError } from "./errors.ts";
import { mayMakeIn, peekOpen } from "./info.ts";
import { readAt } from "./io.ts";
import { InPlaceWriter, UpdateWriter } from "./writer_in_place.ts";
import type { Target } from "./staged_content.ts";
import { StagedWriter } from "./writer_staged.ts";

/** The calls that need not wait: a look, an open. */
export const atOnce = (options: LocalOptions, turns: Turns): AtOnce => {
  const now = <A>(op: string, key: string, step: () => A): A => {
    try {
      return turns.together(step);
    } catch (cause) {
      throw toFsError(op, key)(cause);
    }
  };
  return {
    find: (key, follow) => {
      const op = follow ? "stat" : "lstat";
      return now(op, key, () => {
        const { info } = locate(options.root, key, op, follow);
        return info && entryOf(nameOf(key), info);
      });
    },
    reader: (key) => now("open", key, () => read(options.root, key)),
    writer: (key, how) => now("open", key, () => write(options, turns, key, how)),
  };
};

/** Opens a file for reading. */
export const openReader = (
  root: string,
  turns: Turns,
  key: string,
): Effect.Effect<Reader, FsError, Scope.Scope> =>
  scoped(key, () => turns.together(() => read(root, key)));

/** Opens a file for writing; see {@linkcode WriteOptions} for the modes. */
export const openWriter = (
  options: LocalOptions,
  turns: Turns,
  key: string,
  how: WriteOptions,
): Effect.Effect<Writer, FsError, Scope.Scope> =>
  scoped(key, () => turns.together(() => write(options, turns, key, how)));

const scoped = <A extends Releasable>(key: string, open: () => A) =>
  held(
    Effect.try({ try: open, catch: toFsError("open", key) }),
    (opened) => Effect.sync(() => opened.release()),
  );

/** Opens a file for reading, in the caller's turn. */
export const read = (root: string, key: string): Reader & Releasable => {
  const { path, info } = locate(root, key, "open", true);
  const refuse = (reason: FsError["reason"], detail?: string) =>
    new FsError({ reason, op: "open", path: key, ...(detail ? { detail } : {}) });
  if (!info) throw refuse("NotFound");
  if (info.isDirectory) throw refuse("IsDirectory");
  if (!info.isFile) throw refuse("Denied", "not a regular file");
  const fd = openToRead(path);
  try {
    verifyOpen(root, key, "open", fd, true);
  } catch (cause) {
    closeQuietly(fd);
    throw cause;
  }
  const failed = toFsError("read", key);
  const name = nameOf(key);
  return {
    entry: entryOf(name, info),
    // 2 µs on the loop, 60 through the thread pool.
    stat: () =>
      new Promise((resolve, reject) => {
        try {
          resolve(entryOf(name, peekOpen(fd)));
        } catch (cause) {
          reject(failed(cause));
        }
      }),
    readAt: (offset, into) =>
      readAt(fd, offset, into).catch((cause) => {
        throw failed(cause);
      }),
    release: () => closeQuietly(fd),
  };
};

const write = (
  options: LocalOptions,
  turns: Turns,
  key: string,
  how: WriteOptions,
): Writer & Releasable => {
  const refuse = (reason: FsError["reason"], detail?: string) =>
    new FsError({ reason, op: "open", path: key, ...(detail ? { detail } : {}) });
  const exclusive = how.mode === "create";
  const { path, info, above } = locate(options.root, key, "open", !exclusive);
  if (info?.isDirectory) throw refuse("IsDirectory");
  if (info && exclusive) throw refuse("AlreadyExists");
  if (info && !info.isFile) throw refuse("Denied", "not a regular file");
  const parent = above ??
    locate(options.root, keyOf(options.root, dirOf(path)), "open", false).info;
  if (!parent) throw refuse("NotFound");
  if (!parent.isDirectory) throw refuse("NotDirectory");
  const target: Target = {
    key,
    path,
    info,
    exclusive,
    redo: how.redo === true,
    ...(how.permissions === undefined ? {} : { permissions: how.permissions }),
    ...(how.kept === undefined
      ? {}
      : { kept: locate(options.root, keptKey(how.kept), "open", false).path }),
  };
  if (how.kept !== undefined) {
    const staged = new StagedWriter(options, target, turns);
    staged.prepare();
    return staged;
  }
  if (how.direct) return inPlace(options, target, openDirect(path, exclusive), how);
  if (how.mode !== "update" || !info) {
    const staged = new StagedWriter(options, target, turns);
    if (!how.lazy || !mayMakeIn(dirOf(path))) staged.prepare();
    return staged;
  }
  const place = inPlace(options, target, openToWrite(path), how);
  const apart = () => {
    const now = locate(options.root, key, "write", true);
    if (now.path !== path || now.info?.ino !== info.ino || now.info.dev !== info.dev) {
      throw new FsError({
        reason: "Conflict",
        op: "write",
        path: key,
        detail: "the file was replaced while it was open",
      });
    }
    const staged = new StagedWriter(options, target, turns);
    staged.build();
    return staged;
  };
  return new UpdateWriter(place, () => turns.together(apart));
};

const inPlace = (
  options: LocalOptions,
  target: Target,
  fd: number,
  how: WriteOptions,
): InPlaceWriter => {
  try {
    verifyOpen(options.root, keyOf(options.root, target.path), "open", fd, false);
    if (!target.info) dress(options, fd, target.permissions, 0o666);
    if (how.mode === "replace") fs.ftruncateSync(fd, 0);
    return new InPlaceWriter(options, target, fd);
  } catch (cause) {
    closeQuietly(fd);
    throw cause;
  }
};
