import * as directories from "./directories.ts";
import { extended } from "./extensions.ts";
import * as files from "./files.ts";
import * as paths from "./paths.ts";
import { packet } from "./protocol.ts";
import type { Row } from "./table.ts";
import * as transfer from "./transfer.ts";

const row = (name: keyof typeof packet, handler: Row["handler"], writes: boolean): Row => ({
  type: packet[name],
  name,
  handler,
  writes,
});

/** Every request of SFTP version 3: the one place where a packet type finds its handler. */
export const requests: ReadonlyArray<Row> = [
  row("open", files.open, true),
  row("close", files.close, false),
  row("read", transfer.read, false),
  row("write", transfer.write, true),
  row("lstat", paths.lstat, false),
  row("fstat", files.fstat, false),
  row("setstat", paths.setstat, true),
  row("fsetstat", files.fsetstat, true),
  row("opendir", directories.opendir, false),
  row("readdir", directories.readdir, false),
  row("remove", paths.remove, true),
  row("mkdir", directories.mkdir, true),
  row("rmdir", directories.rmdir, true),
  row("realpath", paths.realpath, false),
  row("stat", paths.stat, false),
  row("rename", paths.rename, true),
  row("readlink", paths.readlink, false),
  row("symlink", paths.symlink, true),
  row("extended", extended, true),
];

/** The same by packet type, for the decoder. */
export const byType: ReadonlyArray<Row | undefined> = requests.reduce<Array<Row | undefined>>(
  (all, each) => {
    all[each.type] = each;
    return all;
  },
  new Array(256).fill(undefined),
);
