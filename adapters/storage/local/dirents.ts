import { Buffer } from "node:buffer";
import * as fs from "node:fs";
import type { Entry, EntryKind } from "../../../src/model/entry.ts";
import { BASIC, modeOfStatx, statx, time } from "./info.ts";
import { AT_SYMLINK_NOFOLLOW, libc } from "./libc.ts";

/** One open directory, read by the kernel's own calls. */
export interface Dirents {
  /**
   * Up to `most` further entries; fewer only at the end. Names that `wanted`
   * refuses are left out; `peek` is asked for what cannot be looked at this way,
   * above all names that vanished. Throws with a `code` when the directory
   * cannot be read on.
   */
  next(
    most: number,
    wanted: (name: string) => boolean,
    peek: (name: string) => Entry | undefined,
  ): Entry[];
  close(): void;
}

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;
const O_CLOEXEC = 0o2000000;
/** Bytes of names asked for at a time: some 400 of usual length. */
const pieceBytes = 16 * 1024;
/** In front of the name in `struct linux_dirent64`. */
const nameAt = 19;

const kinds: Readonly<Record<number, EntryKind>> = { 4: "dir", 8: "file", 10: "symlink" };

/** The Entry of what statx answered last. */
const entryOfStat = (name: string): Entry => {
  const mode = modeOfStatx();
  const kind = kinds[mode >> 12] ?? "other";
  return {
    name,
    kind,
    size: kind === "dir" ? 0 : statx[11]! * 0x1_0000_0000 + statx[10]!,
    mtime: time(28),
    atime: time(16),
    mode: mode & 0o7777,
    uid: statx[5]!,
    gid: statx[6]!,
    links: statx[4]!,
  };
};

/**
 * Opens the directory at `path`, or answers undefined where this way of reading
 * is not to be had; the caller then reads it by the runtime's.
 *
 * Measured on Deno 2.9.6: 1.8 µs an entry against 5 for `Deno.readDir` and
 * `Deno.lstatSync`, and an eighth of the garbage. What is looked at is what lies
 * in the open directory, whatever its path leads to by then.
 */
export const openDirents = (path: string): Dirents | undefined => {
  const c = libc();
  if (!c) return undefined;
  const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  const fd = c.open(Buffer.from(`${path}\0`), flags);
  if (fd < 0) return undefined;
  const piece = Buffer.alloc(pieceBytes);
  let at = 0;
  let end = 0;
  let done = false;
  const next: Dirents["next"] = (most, wanted, peek) => {
    const page: Entry[] = [];
    while (page.length < most) {
      if (at >= end) {
        end = done ? 0 : Number(c.getdents64(fd, piece, BigInt(pieceBytes)));
        at = 0;
        if (end < 0) throw Object.assign(new Error("getdents64 failed"), { code: "EIO" });
        if (end === 0) {
          done = true;
          break;
        }
      }
      const from = at + nameAt;
      const to = piece.indexOf(0, from);
      at += piece.readUInt16LE(at + 16);
      const name = piece.toString("utf8", from, to);
      if (name === "." || name === ".." || !wanted(name)) continue;
      const seen = c.statx(fd, piece.subarray(from), AT_SYMLINK_NOFOLLOW, BASIC, statx) === 0;
      const entry = seen ? entryOfStat(name) : peek(name);
      if (entry) page.push(entry);
    }
    return page;
  };
  return { next, close: () => void c.close(fd) };
};
