import * as fs from "node:fs";
import { FsError } from "../../../src/errors.ts";
import type { Attributes } from "../../../src/model/entry.ts";
import { locate, verifyOpen } from "./confine.ts";
import { closeQuietly, openToWrite } from "./disk.ts";
import type { Info } from "./info.ts";

/**
 * Changes size, owner, mode and times of what `key` leads to.
 *
 * @throws FsError or a system error.
 */
export const setAttributes = (
  root: string,
  key: string,
  attributes: Attributes,
  follow: boolean,
): void => {
  const op = "setattr";
  const { path, info } = locate(root, key, op, follow);
  if (!info) throw new FsError({ reason: "NotFound", op, path: key });
  const { size, mode, uid, gid, atime, mtime } = attributes;
  if (size !== undefined) truncate(root, key, path, info, size);
  if (uid !== undefined || gid !== undefined) {
    fs.lchownSync(path, uid ?? info.uid, gid ?? info.gid);
  }
  if (mode !== undefined) {
    // Linux has no modes on links; chmod would change the target.
    if (info.isSymlink) throw new FsError({ reason: "Unsupported", op, path: key });
    fs.chmodSync(path, mode & 0o7777);
  }
  if (atime !== undefined || mtime !== undefined) {
    fs.lutimesSync(path, (atime ?? info.atime) / 1000, (mtime ?? info.mtime) / 1000);
  }
};

/** Applies mode, owner and times to an open file; answers whether there was any. */
export const applyTo = (fd: number, attributes: Attributes): boolean => {
  const { mode, uid, gid, atime, mtime } = attributes;
  if (uid !== undefined || gid !== undefined) {
    const now = fs.fstatSync(fd);
    fs.fchownSync(fd, uid ?? now.uid, gid ?? now.gid);
  }
  if (mode !== undefined) fs.fchmodSync(fd, mode & 0o7777);
  if (atime !== undefined || mtime !== undefined) {
    const now = fs.fstatSync(fd);
    fs.futimesSync(fd, (atime ?? now.atimeMs) / 1000, (mtime ?? now.mtimeMs) / 1000);
  }
  return Object.keys(attributes).length > 0;
};

const truncate = (
  root: string,
  key: string,
  path: string,
  info: Info,
  size: number,
): void => {
  if (info.isDirectory) throw new FsError({ reason: "IsDirectory", op: "truncate", path: key });
  if (!info.isFile) throw new FsError({ reason: "Denied", op: "truncate", path: key });
  const fd = openToWrite(path);
  try {
    verifyOpen(root, key, "truncate", fd, true);
    fs.ftruncateSync(fd, size);
  } finally {
    closeQuietly(fd);
  }
};
