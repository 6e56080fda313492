import type { Redo } from "../../../src/storage/redo.ts";
import { boot } from "./boot.ts";
import type { Info } from "./info.ts";

/** What tells the open file again. */
export const redoOf = (info: Info): Redo => ({
  boot: boot(),
  ino: info.ino,
  born: info.born ?? 0,
  mtime: info.mtime,
  atime: info.atime,
  mode: info.mode & 0o7777,
  uid: info.uid,
  gid: info.gid,
});
