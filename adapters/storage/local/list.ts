import { Effect, Stream } from "effect";
import type { FsError } from "../../../src/errors.ts";
import type { Entry } from "../../../src/model/entry.ts";
import { isStagedByUs, isStagedName } from "../../../src/storage/staged.ts";
import type { Turns } from "../../../src/storage/turns.ts";
import { locate } from "./confine.ts";
import { openDirents } from "./dirents.ts";
import { isLive } from "./disk.ts";
import { entryOf, isSpeakable } from "./entry.ts";
import { toFsError } from "./errors.ts";
import { peek } from "./info.ts";

/** As many as one reply of SFTP holds; about 1.5 ms of system calls. */
const batch = 256;

/** Entries of one directory, a batch at a time; other sessions get a turn between batches. */
export const list = (root: string, turns: Turns, key: string): Stream.Stream<Entry, FsError> =>
  Stream.fromAsyncIterable(pages(root, turns, key), toFsError("list", key)).pipe(
    Stream.flattenIterables,
  );

async function* pages(
  root: string,
  turns: Turns,
  key: string,
): AsyncGenerator<ReadonlyArray<Entry>> {
  const { path, info, dirents } = turns.together(() => {
    const place = locate(root, key, "list", true);
    return { ...place, dirents: place.info?.isDirectory ? openDirents(place.path) : undefined };
  });
  if (!info) throw Object.assign(new Error("missing"), { code: "ENOENT" });
  if (!info.isDirectory) throw Object.assign(new Error("no directory"), { code: "ENOTDIR" });
  const look = (name: string): Entry | undefined => {
    const found = peek(path === "/" ? `/${name}` : `${path}/${name}`);
    return found && entryOf(name, found);
  };
  if (!dirents) return yield* plainPages(path, look);
  try {
    for (;;) {
      const page = dirents.next(batch, isShown, look);
      if (page.length > 0) yield page;
      if (page.length < batch) return;
      await turn();
    }
  } finally {
    dirents.close();
  }
}

/** The same by the runtime's own calls. */
export async function* plainPages(
  path: string,
  look: (name: string) => Entry | undefined,
): AsyncGenerator<ReadonlyArray<Entry>> {
  let page: Entry[] = [];
  for await (const { name } of Deno.readDir(path)) {
    const entry = isShown(name) ? look(name) : undefined;
    if (entry) page.push(entry);
    if (page.length === batch) {
      yield page;
      page = [];
      await turn();
    }
  }
  if (page.length > 0) yield page;
}

const isShown = (name: string): boolean => !isStagedName(name) && isSpeakable(name);

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Removes orphan temporary files of one directory; answers how many. */
export const sweepDirectory = async (
  path: string,
  onDirectory?: (path: string) => void,
  whose?: "ours",
): Promise<number> => {
  let count = 0;
  for await (const entry of Deno.readDir(path)) {
    const at = path === "/" ? `/${entry.name}` : `${path}/${entry.name}`;
    if (entry.isDirectory) onDirectory?.(at);
    if (!entry.isFile || !isStagedName(entry.name) || isLive(at)) continue;
    if (whose === "ours" && !isStagedByUs(entry.name)) continue;
    try {
      Deno.removeSync(at);
      count++;
    } catch {
      // Someone else removed it, or may not: the next sweep tries again.
    }
  }
  return count;
};

/** Removes orphan temporary files of a whole tree without following links. */
export const sweepTree = (root: string, whose?: "ours"): Effect.Effect<number, FsError> =>
  Effect.tryPromise({
    try: async (signal) => {
      let count = 0;
      const todo = [root];
      for (let dir = todo.pop(); dir !== undefined && !signal.aborted; dir = todo.pop()) {
        try {
          count += await sweepDirectory(dir, (below) => todo.push(below), whose);
        } catch (cause) {
          if (dir === root) throw cause;
        }
      }
      return count;
    },
    catch: toFsError("sweep", "/"),
  });
