import * as fs from "node:fs";
import { Effect } from "effect";
import { FsError } from "../../../src/errors.ts";
import type { Found, Redo, Redoing } from "../../../src/storage/redo.ts";
import type { Turns } from "../../../src/storage/turns.ts";
import { boot } from "./boot.ts";
import { dirOf, locate, type Place, verifyOpen } from "./confine.ts";
import { closeQuietly, isRoot, type LocalOptions, openToRead } from "./disk.ts";
import { toFsError } from "./errors.ts";
import type { Info } from "./info.ts";
import { readWhole, syncDirectory, syncFile } from "./io.ts";
import { openWriter } from "./open.ts";

/** Numbers of files are used again, so the time of making has to agree as well. */
const isIt = (redo: Redo, info: Info): boolean =>
  info.isFile && info.ino === redo.ino && (info.born ?? redo.born) === redo.born;

/** Recovery of small uploads, by the steps that clients' operations take: confined, and in turns. */
export const redoing = (options: LocalOptions, turns: Turns): Redoing => ({
  interrupted: (redo) => redo.boot === "" || redo.boot !== boot(),
  find: (redo, keys, content) =>
    Effect.tryPromise({
      try: async (): Promise<Found> => {
        for (const key of keys) {
          const open = turns.together(() => openIt(options.root, redo, key));
          if (!open) continue;
          try {
            const { size } = fs.fstatSync(open.fd);
            if (lacks(open.fd, size, content)) return { is: "damaged", key, size };
            await syncFile(open.fd, key);
            await syncDirectory(dirOf(open.path));
            return { is: "there", key };
          } finally {
            closeQuietly(open.fd);
          }
        }
        return { is: "absent" };
      },
      catch: toFsError("redo", keys[0] ?? "/"),
    }),
  publish: (redo, key, content) =>
    Effect.scoped(Effect.flatMap(
      openWriter(options, turns, key, { mode: "replace" }),
      (writer) =>
        Effect.tryPromise({
          try: async () => {
            await writer.writeAt(0, content);
            const { mode, uid, gid, atime, mtime } = redo;
            await writer.commit({ mode, atime, mtime, ...(isRoot() ? { uid, gid } : {}) });
            return true;
          },
          catch: toFsError("redo", key),
        }),
    )).pipe(Effect.catchIf(({ reason }) => noPlace.has(reason), () => Effect.succeed(false))),
});

/** Its directory went, or leads out of the home by now, or something else bears its name. */
const noPlace: ReadonlySet<FsError["reason"]> = new Set([
  "NotFound",
  "NotDirectory",
  "IsDirectory",
  "Denied",
]);

const openIt = (
  root: string,
  redo: Redo,
  key: string,
): { readonly fd: number; readonly path: string } | undefined => {
  let place: Place;
  try {
    place = locate(root, key, "redo", true);
  } catch (cause) {
    if (cause instanceof FsError) return undefined;
    throw cause;
  }
  if (!place.info || !isIt(redo, place.info)) return undefined;
  const fd = openToRead(place.path);
  try {
    verifyOpen(root, key, "redo", fd, true);
    return { fd, path: place.path };
  } catch (cause) {
    closeQuietly(fd);
    throw cause;
  }
};

/**
 * Whether the file is `content` without parts that were never flushed, which
 * file systems show as zeros or as a shorter file. Anything else is
 * newer and not to be touched.
 */
const lacks = (fd: number, size: number, content: Uint8Array): boolean => {
  if (size > content.length) return false;
  const now = readWhole(fd, size);
  if (now.length < size) return false;
  let whole = size === content.length;
  for (let at = 0; at < size; at += block) {
    const part = now.subarray(at, at + block);
    if (part.every((byte, i) => byte === content[at + i])) continue;
    if (part.some((byte) => byte !== 0)) return false;
    whole = false;
  }
  return !whole;
};

/** Bytes of the smallest unit that a disk writes as one. */
const block = 512;
