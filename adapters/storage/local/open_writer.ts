import * as fs from "node:fs";
import { Effect, type Scope } from "effect";
import { FsError } from "../../../src/errors.ts";
import { held } from "../../../src/held.ts";
import type { Turns } from "../../../src/storage/turns.ts";
import type { WriteOptions, Writer } from "../../../src/storage/storage.ts";
import { dirOf, keyOf, locate, verifyOpen } from "./confine.ts";
import { closeQuietly, dress, type LocalOptions, openDirect, openToWrite } from "./disk.ts";
import { toFsError } from "./errors.ts";
import { InPlaceWriter, UpdateWriter } from "./writer_in_place.ts";
import { StagedWriter, type Target } from "./writer_staged.ts";

type Held = Writer & { release(): void };

/** Opens a file for writing; see {@linkcode WriteOptions} for the modes. */
export const openWriter = (
  options: LocalOptions,
  turns: Turns,
  key: string,
  how: WriteOptions,
): Effect.Effect<Writer, FsError, Scope.Scope> =>
  held(
    Effect.try({
      try: () => turns.together(() => open(options, turns, key, how)),
      catch: toFsError("open", key),
    }),
    (writer) => Effect.sync(() => writer.release()),
  );

const open = (options: LocalOptions, turns: Turns, key: string, how: WriteOptions): Held => {
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
  };
  if (how.direct) return inPlace(options, target, openDirect(path, exclusive), how);
  if (how.mode !== "update" || !info) return new StagedWriter(options, target, false);
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
    return new StagedWriter(options, target, true);
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
