import type { Stats } from "node:fs";
import type { Entry } from "../../../src/model/entry.ts";

/** Makes an Entry of what lstat answered. */
export const entryOf = (name: string, info: Deno.FileInfo): Entry => ({
  name,
  kind: info.isDirectory ? "dir" : info.isFile ? "file" : info.isSymlink ? "symlink" : "other",
  size: info.isDirectory ? 0 : info.size,
  mtime: info.mtime?.getTime() ?? 0,
  ...(info.atime ? { atime: info.atime.getTime() } : {}),
  ...(info.mode === null ? {} : { mode: info.mode & 0o7777 }),
  ...(info.uid === null ? {} : { uid: info.uid }),
  ...(info.gid === null ? {} : { gid: info.gid }),
  ...(info.nlink === null ? {} : { links: info.nlink }),
});

/** Makes an Entry of what fstat answered for an open file. */
export const entryOfOpen = (name: string, info: Stats): Entry => ({
  name,
  kind: "file",
  size: info.size,
  mtime: info.mtimeMs,
  atime: info.atimeMs,
  mode: info.mode & 0o7777,
  uid: info.uid,
  gid: info.gid,
  links: info.nlink,
});

// Such names cannot be written by any client (see parseClientPath), so they are not shown either.
// deno-lint-ignore no-control-regex
const unspeakable = /[\u0000-\u001f\u007f-\u009f\\/]|\p{Surrogate}|\ufffd/u;

/** Whether a name on disk can be told to a client and come back as the same file. */
export const isSpeakable = (name: string): boolean => !unspeakable.test(name);
