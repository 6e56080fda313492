import { Effect, Stream } from "effect";
import { FsError } from "../errors.ts";
import type { Storage } from "../storage/storage.ts";

/**
 * What stands for a folder that cannot be opened: it shows, and everything in it
 * fails with what kept it from being opened. The rest of the user's tree is there.
 */
export const unavailable = (name: string, { reason, detail, cause }: FsError): Storage => {
  const failing = (op: string) => (key: string) =>
    Effect.fail(
      new FsError({
        reason: reason === "Unsupported" ? reason : "Unavailable",
        op,
        path: key,
        detail: detail ?? "the folder cannot be opened",
        cause,
      }),
    );
  return {
    scheme: "unavailable",
    identity: `unavailable:${name}`,
    can: {
      write: "none",
      append: false,
      atomicRename: false,
      serverCopy: false,
      emptyDirs: false,
      setMtime: false,
      symlinks: false,
      hardLinks: false,
      modes: false,
      space: false,
    },
    stat: failing("stat"),
    lstat: failing("lstat"),
    list: (key) => Stream.fromEffect(failing("list")(key)),
    reader: failing("open"),
    writer: failing("open"),
    mkdir: failing("mkdir"),
    remove: failing("remove"),
    rmdir: failing("rmdir"),
    rename: failing("rename"),
    copy: failing("copy"),
    setAttributes: failing("setattr"),
    symlink: (_, key) => failing("symlink")(key),
    readlink: failing("readlink"),
    hardLink: failing("link"),
    realpath: failing("realpath"),
    space: failing("available"),
    sweep: () => Effect.succeed(0),
  };
};
