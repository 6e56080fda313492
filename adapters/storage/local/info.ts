import * as fs from "node:fs";
import { codeOf } from "./errors.ts";
import {
  AT_EACCESS,
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  ENOENT,
  libc,
  W_OK,
  X_OK,
} from "./libc.ts";

/** What the disk says of a file. Times in Unix milliseconds, `size` in bytes, `mode` with its type. */
export interface Info {
  readonly isFile: boolean;
  readonly isDirectory: boolean;
  readonly isSymlink: boolean;
  readonly dev: number;
  readonly ino: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly size: number;
  readonly mtime: number;
  readonly atime: number;
  /** Undefined where the volume does not keep it. */
  readonly born: number | undefined;
}

/** STATX_BASIC_STATS: what stat answers; and STATX_BTIME. */
export const BASIC = 0x7ff;
const BTIME = 0x800;

const encoder = new TextEncoder();
/** PATH_MAX, at three bytes a character of the string. */
const path = new Uint8Array(4096 * 3 + 1);
const nothing = new Uint8Array(1);

/** Filled by every statx of this thread, which does not yield before it is read. */
export const statx = new Uint32Array(64);
const stat16 = new Uint16Array(statx.buffer);
const signed = new Int32Array(statx.buffer);

/** Milliseconds of the `struct statx_timestamp` at word `at`. */
export const time = (at: number): number =>
  (signed[at + 1]! * 0x1_0000_0000 + statx[at]!) * 1000 + Math.floor(statx[at + 2]! / 1e6);

/** Mode with its type of the last statx. */
export const modeOfStatx = (): number => stat16[14]!;

/** `struct statx` of linux/stat.h, the same on every machine; words in the order of ours, all little-endian. */
const infoOfStatx = (): Info => {
  const mode = modeOfStatx();
  const type = mode >> 12;
  return {
    isFile: type === 8,
    isDirectory: type === 4,
    isSymlink: type === 10,
    dev: device(statx[34]!, statx[35]!),
    ino: statx[9]! * 0x1_0000_0000 + statx[8]!,
    mode,
    uid: statx[5]!,
    gid: statx[6]!,
    links: statx[4]!,
    size: statx[11]! * 0x1_0000_0000 + statx[10]!,
    mtime: time(28),
    atime: time(16),
    born: statx[0]! & BTIME ? time(20) : undefined,
  };
};

/** `makedev` of the C library, which the runtime's calls answer. */
const device = (major: number, minor: number): number =>
  (major >>> 12) * 2 ** 44 + (minor >>> 8) * 2 ** 20 + (major & 0xfff) * 2 ** 8 + (minor & 0xff);

/** Makes an Info of what the runtime answers. */
export const infoOf = (info: Deno.FileInfo): Info => ({
  isFile: info.isFile,
  isDirectory: info.isDirectory,
  isSymlink: info.isSymlink,
  dev: info.dev,
  ino: info.ino ?? 0,
  mode: info.mode ?? 0,
  uid: info.uid ?? 0,
  gid: info.gid ?? 0,
  links: info.nlink ?? 1,
  size: info.size,
  mtime: info.mtime?.getTime() ?? 0,
  atime: info.atime?.getTime() ?? 0,
  born: info.birthtime?.getTime(),
});

/**
 * What is at an absolute path, links not followed; undefined when there is
 * nothing. Throws a system error.
 *
 * Measured on Deno 2.9.6: 1.5 µs there or not, against 4 and, for an error that
 * nobody reads, 60 by the runtime.
 */
export const peek = (at: string): Info | undefined => {
  const c = libc();
  if (c && at.length < 4096) {
    const { written } = encoder.encodeInto(at, path);
    path[written] = 0;
    if (c.statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, BASIC | BTIME, statx) === 0) {
      return infoOfStatx();
    }
    if (c.errno[0] === ENOENT) return undefined;
  }
  try {
    return infoOf(Deno.lstatSync(at));
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined;
    throw cause;
  }
};

/** Whether this process may make files in a directory; false where that cannot be found out at once. */
export const mayMakeIn = (dir: string): boolean => {
  const c = libc();
  if (!c || dir.length >= 4096) return false;
  const { written } = encoder.encodeInto(dir, path);
  path[written] = 0;
  return c.faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) === 0;
};

/** The same of an open file. */
export const peekOpen = (fd: number): Info => {
  const c = libc();
  if (c && c.statx(fd, nothing, AT_EMPTY_PATH, BASIC | BTIME, statx) === 0) return infoOfStatx();
  const stats = fs.fstatSync(fd);
  return {
    isFile: stats.isFile(),
    isDirectory: stats.isDirectory(),
    isSymlink: false,
    dev: stats.dev,
    ino: stats.ino,
    mode: stats.mode,
    uid: stats.uid,
    gid: stats.gid,
    links: stats.nlink,
    size: stats.size,
    mtime: Math.floor(stats.mtimeMs),
    atime: Math.floor(stats.atimeMs),
    born: Math.floor(stats.birthtimeMs),
  };
};
