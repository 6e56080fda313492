import * as fs from "node:fs";
import { fault } from "../../../src/failpoint.ts";
import { isStagedElsewhere, stagedName } from "../../../src/storage/staged.ts";
import { dirOf, keyOf, nameOf, verifyOpen } from "./confine.ts";

/** How a home directory is kept on disk. */
export interface LocalOptions {
  /** Absolute path of the home; it must exist. */
  readonly root: string;
  /** Flush files and directories before an upload is acknowledged. */
  readonly fsync: boolean;
  /** Bits taken from new modes; undefined leaves the process's own umask to work. */
  readonly umask?: number;
  /** Owner of new entries; only acted on when the process is root (BEHAVIOUR ARCH-03). */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

const { O_RDWR, O_RDONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

/** Temporary files that a writer of this thread still owns, by absolute path. */
const live = new Set<string>();

/** Whether a writer of this server may still be working on the temporary file. */
export const isLive = (path: string): boolean => live.has(path) || isStagedElsewhere(nameOf(path));

export const disown = (path: string): void => {
  live.delete(path);
};

let root: boolean | undefined;

/** Whether this process may give files away. Without `--allow-sys=uid` it says no. */
export const isRoot = (): boolean => {
  if (root !== undefined) return root;
  try {
    return root = Deno.uid() === 0;
  } catch {
    return root = false;
  }
};

/** Gives a new entry the configured mode and owner. `fd` or path. */
export const dress = (
  options: LocalOptions,
  target: number | string,
  mode: number | undefined,
  standard: number,
): void => {
  if (mode !== undefined || options.umask !== undefined) {
    const bits = (mode ?? standard) & ~(options.umask ?? 0) & 0o7777;
    if (typeof target === "number") fs.fchmodSync(target, bits);
    else fs.chmodSync(target, bits);
  }
  if (options.owner && isRoot()) {
    const { uid, gid } = options.owner;
    if (typeof target === "number") fs.fchownSync(target, uid, gid);
    else fs.lchownSync(target, uid, gid);
  }
};

/** A temporary file beside its target. */
export interface Temp {
  readonly fd: number;
  readonly path: string;
}

/** Where the temporary file of `target` goes, an absolute path as that one. */
export const tempBeside = (target: string): string =>
  (dirOf(target) === "/" ? "" : dirOf(target)) + "/" + stagedName(nameOf(target));

/** Makes the temporary file `path`. */
export const openTemp = ({ root }: LocalOptions, path: string): Temp => {
  const fd = fs.openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o666);
  live.add(path);
  try {
    verifyOpen(root, keyOf(root, path), "open", fd, false);
    return { fd, path };
  } catch (cause) {
    dropTemp({ fd, path });
    throw cause;
  }
};

/** Opens an unfinished upload to go on with it. */
export const openKept = ({ root }: LocalOptions, path: string): Temp => {
  const fd = openToWrite(path);
  try {
    verifyOpen(root, keyOf(root, path), "open", fd, false);
    return { fd, path };
  } catch (cause) {
    closeQuietly(fd);
    throw cause;
  }
};

/** Closes and unlinks; a file that is gone already is fine. */
export const dropTemp = (temp: Temp): void => {
  closeQuietly(temp.fd);
  try {
    Deno.removeSync(temp.path);
  } catch {
    // Gone with its directory, or published.
  }
  disown(temp.path);
};

export const closeQuietly = (fd: number): void => {
  try {
    fs.closeSync(fd);
  } catch {
    // Nothing can be lost here: whoever needs the bytes has flushed them before.
  }
};

/** Opens an existing regular file for reading. The caller has found it to be one: a fifo would hang. */
export const openToRead = (path: string): number =>
  fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);

/** Opens an existing regular file for writing in place. */
export const openToWrite = (path: string): number =>
  fs.openSync(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);

/** Opens for upload mode 0: the target itself, new or existing. */
export const openDirect = (path: string, exclusive: boolean): number =>
  fs.openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | (exclusive ? O_EXCL : 0), 0o666);

/** Moves a finished temporary file to its name. With `exclusive` an existing target stays and EEXIST is thrown. */
export const publish = (temp: string, target: string, exclusive: boolean): void => {
  if (fault("local.rename", target)) throw Object.assign(new Error("injected"), { code: "EIO" });
  if (!exclusive) return Deno.renameSync(temp, target);
  try {
    Deno.linkSync(temp, target);
  } catch (cause) {
    const code = Reflect.get(cause as object, "code");
    if (code !== "EPERM" && code !== "EOPNOTSUPP" && code !== "ENOTSUP") throw cause;
    // A volume without hard links (FAT): no call there is atomic and exclusive at once.
    if (Deno.lstatSync(temp) && !existsSync(target)) return Deno.renameSync(temp, target);
    throw Object.assign(new Error("exists"), { code: "EEXIST" });
  }
  Deno.removeSync(temp);
};

const existsSync = (path: string): boolean => {
  try {
    return Deno.lstatSync(path) !== undefined;
  } catch {
    return false;
  }
};
