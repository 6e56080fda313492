import * as fs from "node:fs";
import { Effect } from "effect";
import { FsError } from "../../../src/errors.ts";
import { held } from "../../../src/held.ts";
import type { Keeping } from "../../../src/storage/kept.ts";
import { keptDirectory, keptKey } from "../../../src/storage/staged.ts";
import type { Turns } from "../../../src/storage/turns.ts";
import { dirOf, locate } from "./confine.ts";
import { closeQuietly, dress, type LocalOptions, openKept } from "./disk.ts";
import { codeOf, toFsError } from "./errors.ts";
import { peek } from "./info.ts";
import { flushing, syncFile } from "./io.ts";
import { read } from "./open.ts";

const { O_RDWR, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;

/**
 * Unfinished uploads in a hidden directory of the home, so that to finish one is
 * to rename it.
 *
 * The size of the file is the record of what was received: file systems that
 * write data before the size that covers it (ext4 ordered, XFS, Btrfs) show
 * after a power cut no byte that was not written, and `look` flushes before it
 * tells. Of a chunk with a checksum, which may turn out to be wrong, a mark
 * beside the file tells from where on it does not count yet.
 */
export const keeping = (options: LocalOptions, turns: Turns): Keeping => {
  const { root, fsync } = options;
  const step = <A>(op: string, id: string, body: () => Promise<A>) =>
    Effect.tryPromise({
      try: () => turns.together(() => idOf(id) ? body() : Promise.reject(malformed(id))),
      catch: toFsError(op, id),
    });
  const pathOf = (id: string) => locate(root, keptKey(id), "upload", false).path;
  const durably = async (path: string, change: () => void) => {
    if (fsync) await flushing([dirOf(path)], change);
    else change();
  };
  const unmark = (id: string): void => removeIfThere(markOf(pathOf(id)));

  return {
    begin: (id, key) =>
      Effect.retry(
        step("upload", id, async () => {
          const { info, above } = locate(root, key, "upload", true);
          if ((above ?? info)?.dev !== peek(root)?.dev) throw elsewhere(key);
          const home = locate(root, `/${keptDirectory}`, "upload", false);
          if (!home.info) await durably(home.path, () => makeDirectory(home.path));
          const path = pathOf(id);
          await durably(path, () => {
            const fd = fs.openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o666);
            try {
              dress(options, fd, undefined, 0o666);
            } finally {
              closeQuietly(fd);
            }
          });
        }),
        // Whoever removed the last of others takes the empty directory away.
        { times: 3, while: ({ reason }) => reason === "NotFound" },
      ),
    look: (id) =>
      step("upload", id, async () => {
        const path = pathOf(id);
        const { fd } = openKept(options, path);
        try {
          const mark = readMark(markOf(path));
          if (mark !== undefined && fs.fstatSync(fd).size > mark) fs.ftruncateSync(fd, mark);
          if (fsync) {
            await syncFile(fd, keptKey(id)).catch((cause) => {
              // Nobody knows what of it the disk has.
              if (mark === undefined) fs.writeFileSync(markOf(path), "0\n", { mode: 0o600 });
              throw cause;
            });
          }
          removeIfThere(markOf(path));
          const { size, mtimeMs } = fs.fstatSync(fd);
          return { size, touched: mtimeMs };
        } finally {
          closeQuietly(fd);
        }
      }).pipe(
        Effect.catchIf(({ reason }) => reason === "NotFound", () => Effect.succeed(undefined)),
      ),
    mark: (id, size) =>
      step("upload", id, async () => {
        const path = markOf(pathOf(id));
        removeIfThere(path);
        await durably(path, () => {
          const fd = fs.openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
          try {
            fs.writeSync(fd, `${size}\n`);
            if (fsync) fs.fsyncSync(fd);
          } finally {
            closeQuietly(fd);
          }
        });
      }),
    unmark: (id) => step("upload", id, () => durably(pathOf(id), () => unmark(id))),
    reader: (id) =>
      held(
        Effect.try({
          try: () => turns.together(() => read(root, keptKey(id))),
          catch: toFsError("upload", id),
        }),
        (reader) => Effect.sync(() => reader.release()),
      ),
    remove: (id) =>
      step("upload", id, () => {
        const path = pathOf(id);
        removeIfThere(path);
        removeIfThere(markOf(path));
        removeIfEmpty(dirOf(path));
        return Promise.resolve();
      }).pipe(Effect.catchIf(({ reason }) => reason === "NotFound", () => Effect.void)),
  };
};

const idOf = (id: string): boolean => /^[0-9a-f]{32}$/.test(id);
const malformed = (id: string) => new FsError({ reason: "NotFound", op: "upload", path: id });
const elsewhere = (key: string) =>
  new FsError({
    reason: "Unsupported",
    op: "upload",
    path: key,
    detail: "uploads to another volume inside the home cannot be resumed",
  });
const markOf = (path: string): string => `${path}.mark`;

const makeDirectory = (path: string): void => {
  try {
    Deno.mkdirSync(path, { mode: 0o700 });
  } catch (cause) {
    if (codeOf(cause) !== "EEXIST") throw cause;
  }
};

/** What the mark says. One that is not whole was cut before the chunk began that it is for. */
const readMark = (path: string): number | undefined => {
  try {
    const text = Deno.readTextFileSync(path);
    return /^\d+\n$/.test(text) ? Number(text) : undefined;
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined;
    throw cause;
  }
};

const removeIfThere = (path: string): void => {
  try {
    Deno.removeSync(path);
  } catch (cause) {
    if (codeOf(cause) !== "ENOENT") throw cause;
  }
};

const removeIfEmpty = (path: string): void => {
  try {
    fs.rmdirSync(path);
  } catch {
    // Others are kept there.
  }
};
