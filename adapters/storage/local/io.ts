import * as fs from "node:fs";
import { fault } from "../../../src/failpoint.ts";
import { FlushPace } from "../../../src/flush_pace.ts";

/** Largest piece that is read or written without giving other sessions a turn. */
const piece = 256 * 1024;
/** Bytes read synchronously, by anyone, since a read last went through the thread pool. */
let burst = 0;
const maxBurst = 2 * 1024 * 1024;

/**
 * Reads at `offset`; 0 at the end.
 *
 * Measured on Deno 2.9.6: 32 KiB from the page cache take 4 µs synchronously,
 * 51 µs through the thread pool, and the kernel reads ahead of sequential
 * readers. So small reads are synchronous, and every 2 MiB one goes through
 * the pool, which gives the event loop back.
 */
export const readAt = (fd: number, offset: number, into: Uint8Array): Promise<number> => {
  const flush = flushes.size > 0 ? flushes.get(fd) : undefined;
  if (flush) return flush.then(() => readAt(fd, offset, into));
  if (into.length <= piece && (burst += into.length) <= maxBurst) {
    try {
      return Promise.resolve(fs.readSync(fd, into, 0, into.length, offset));
    } catch (cause) {
      return Promise.reject(cause);
    }
  }
  burst = 0;
  return new Promise((resolve, reject) =>
    fs.read(fd, into, 0, into.length, offset, (cause, n) => cause ? reject(cause) : resolve(n))
  );
};

/**
 * Writes all of `chunk` at `offset`.
 *
 * Synchronous: 10 µs per 32 KiB into the page cache. `fs.write` with a
 * callback is no alternative, in Deno 2.9.6 it blocks as well [measured].
 */
export const writeAt = async (fd: number, offset: number, chunk: Uint8Array): Promise<void> => {
  const flush = flushes.size > 0 ? flushes.get(fd) : undefined;
  if (flush) await flush;
  for (let done = 0; done < chunk.length;) {
    const part = Math.min(piece, chunk.length - done);
    done += fs.writeSync(fd, chunk, done, part, offset + done);
    if (done < chunk.length) await yieldTurn();
  }
};

/**
 * Flushes under way. Deno works on a second descriptor of the file meanwhile; when
 * there is none left, what else is done with the file fails as busy.
 */
const flushes = new Map<number, Promise<void>>();

/** Flushes a file to the disk, off the event loop. `subject` is the key, for the failpoint. */
export const syncFile = (fd: number, subject: string): Promise<void> => {
  if (fault("local.fsync", subject)) {
    return Promise.reject(Object.assign(new Error("injected"), { code: "EIO" }));
  }
  const flush = new Promise<void>((resolve, reject) =>
    fs.fsync(fd, (cause) => cause ? reject(cause) : resolve())
  );
  const over: Promise<void> = flush.catch(() => {}).then(() => {
    if (flushes.get(fd) === over) flushes.delete(fd);
  });
  flushes.set(fd, over);
  return flush;
};

/** Waits for the flush of a file that is under way, if there is one. */
export const flushed = async (fd: number): Promise<void> => {
  await flushes.get(fd);
};

const pace = new FlushPace();

/** A directory that was opened for a flush. */
export interface OpenDirectory {
  /** Flushes on the event loop where the disk is fast and nobody else waits. */
  sync(): Promise<void>;
  close(): void;
}

/**
 * Opens a directory for a flush that comes later: whoever changes a name takes
 * this first, so that a lack of descriptors is met before the change, not after.
 */
export const openDirectory = (path: string): OpenDirectory => {
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  return {
    sync: () => {
      if (pace.mayBlock()) {
        try {
          pace.block(() => fs.fsyncSync(fd));
          return done;
        } catch (cause) {
          return Promise.reject(cause);
        }
      }
      return new Promise((resolve, reject) =>
        fs.fsync(fd, (cause) => cause ? reject(cause) : resolve())
      );
    },
    close: () => fs.closeSync(fd),
  };
};

const done = Promise.resolve();

/** Does `change`, which makes, moves or removes names in `directories`, and flushes those. */
export const flushing = async <A>(
  directories: ReadonlyArray<string>,
  change: () => A,
): Promise<A> => {
  const open: OpenDirectory[] = [];
  try {
    for (const path of new Set(directories)) open.push(openDirectory(path));
    const result = change();
    for (const directory of open) await directory.sync();
    return result;
  } finally {
    for (const directory of open) directory.close();
  }
};

/** Flushes a directory, so that a name made in it survives a power cut. */
export const syncDirectory = (path: string): Promise<void> => flushing([path], () => {});

/** Reads the first `size` bytes of an open file, or as many as it has, at once: for small files. */
export const readWhole = (fd: number, size: number): Uint8Array => {
  const content = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const n = fs.readSync(fd, content, at, size - at, at);
    if (n === 0) return content.subarray(0, at);
    at += n;
  }
  return content;
};

/** Copies `[from, to)` of one file to the same place in another; answers where the source ended. */
export const copyRange = async (
  source: number,
  target: number,
  from: number,
  to: number,
): Promise<number> => {
  const buffer = new Uint8Array(piece);
  let at = from;
  while (at < to) {
    const n = await readAt(source, at, buffer.subarray(0, Math.min(piece, to - at)));
    if (n === 0) break;
    await writeAt(target, at, buffer.subarray(0, n));
    at += n;
    await yieldTurn();
  }
  return at;
};

const yieldTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
