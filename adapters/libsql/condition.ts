import { Buffer } from "node:buffer";
import * as fs from "node:fs";
import { dirname } from "node:path";
import { Effect } from "effect";
import { CatalogError } from "../../src/errors.ts";

/** Written once a database exists: from then on its absence is a loss, not a first start. */
export const markerOf = (file: string): string => `${file}.initialised`;

/** What SQLite keeps beside the file. */
export const companionsOf = (file: string): ReadonlyArray<string> => [`${file}-wal`, `${file}-shm`];

/**
 * Looks at the file before SQLite does, which would make an empty database of a
 * missing or empty one (SECURITY section 7, 11).
 *
 * Answers `new` only where no database ever was. Fails with Corrupt.
 */
export const condition = (file: string): Effect.Effect<"new" | "present", CatalogError> =>
  Effect.suspend(() => {
    const size = sizeOf(file);
    if (size === undefined) {
      const traces = [markerOf(file), ...companionsOf(file)].filter((f) => fs.existsSync(f));
      return traces.length === 0
        ? Effect.succeed("new" as const)
        : damaged(file, `is missing, but ${traces[0]} shows that there was one`);
    }
    if (size === 0) return damaged(file, "is empty");
    const header = headerOf(file);
    if (header.subarray(0, 16).toString("latin1") !== "SQLite format 3\0") {
      return damaged(file, "is not a database");
    }
    const stored = header.readUInt16BE(16);
    const pageSize = stored === 1 ? 65536 : stored;
    // The page count in the header counts only when these two agree (SQLite file format 1.3.8). An
    // unfinished checkpoint may leave the file short while the log still has the pages.
    const counted = header.readUInt32BE(24) === header.readUInt32BE(92);
    const logged = sizeOf(`${file}-wal`) ?? 0;
    if (counted && logged === 0 && size < header.readUInt32BE(28) * pageSize) {
      return damaged(file, `is cut off after ${size} bytes`);
    }
    return Effect.succeed("present" as const);
  });

/** One sentence: which file, what is wrong, what to do. */
export const damaged = (file: string, what: string, cause?: unknown) =>
  Effect.fail(
    new CatalogError({
      reason: "Corrupt",
      op: "open",
      detail: `the database ${file} ${what}; restore a backup with \`sluice restore\``,
      ...(cause === undefined ? {} : { cause }),
    }),
  );

/** Remembers that the database exists, durably. */
export const mark = (file: string): void => {
  if (fs.existsSync(markerOf(file))) return;
  fs.writeFileSync(
    markerOf(file),
    "A database exists beside this file. Without it the server does not start.\n",
    { mode: 0o600 },
  );
  syncPath(dirname(file));
};

/** Makes a file's content, or a folder's names, durable. */
export const syncPath = (path: string): void => {
  const fd = fs.openSync(path, "r");
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
};

const sizeOf = (file: string): number | undefined =>
  fs.statSync(file, { throwIfNoEntry: false })?.size;

const headerOf = (file: string): Buffer => {
  const header = Buffer.alloc(100);
  const fd = fs.openSync(file, "r");
  try {
    fs.readSync(fd, header, 0, header.length, 0);
    return header;
  } finally {
    fs.closeSync(fd);
  }
};
