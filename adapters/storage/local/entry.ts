import type { Entry } from "../../../src/model/entry.ts";
import type { Info } from "./info.ts";

/** The last millisecond that a Date can hold; some volumes hold later ones, which no listing could show. */
const latest = 8.64e15;

/** Makes an Entry of what the disk says. */
export const entryOf = (name: string, info: Info): Entry => ({
  name,
  kind: info.isDirectory ? "dir" : info.isFile ? "file" : info.isSymlink ? "symlink" : "other",
  size: info.isDirectory ? 0 : info.size,
  mtime: Math.max(-latest, Math.min(info.mtime, latest)),
  atime: info.atime,
  mode: info.mode & 0o7777,
  uid: info.uid,
  gid: info.gid,
  links: info.links,
});

// Such names cannot be written by any client (see parseClientPath), so they are not shown either.
// deno-lint-ignore no-control-regex
const unspeakable = /[\u0000-\u001f\u007f-\u009f\\/]|\p{Surrogate}|\ufffd/u;

/** Whether a name on disk can be told to a client and come back as the same file. */
export const isSpeakable = (name: string): boolean => !unspeakable.test(name);
