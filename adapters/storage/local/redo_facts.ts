import type { Stats } from "node:fs";
import type { Redo } from "../../../src/storage/redo.ts";
import { boot } from "./boot.ts";

/** What tells the open file again. */
export const redoOf = (info: Stats): Redo => ({
  boot: boot(),
  ino: info.ino,
  born: Math.floor(info.birthtimeMs),
  mtime: Math.floor(info.mtimeMs),
  atime: Math.floor(info.atimeMs),
  mode: info.mode & 0o7777,
  uid: info.uid,
  gid: info.gid,
});
