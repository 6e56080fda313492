import { Effect } from "effect";
import type { FsError } from "../errors.ts";
import type { VPath } from "../vpath.ts";
import type { Access } from "./access.ts";
import { mkdir, remove, rmdir } from "./change.ts";
import { copyFile } from "./copy.ts";
import { uploadBelow } from "./look.ts";
import { removeTree } from "./remove_tree.ts";
import { walk } from "./walk.ts";

/**
 * Moves a file or a tree to another mount: copies all of it, and only then
 * removes the source. Events are those of the copies and removals, so every
 * quota hears of what it gains or loses. The rights of a rename are checked by
 * the caller; copies and removals ask for their own besides.
 */
export const carry = (access: Access, from: VPath, to: VPath): Effect.Effect<void, FsError> =>
  Effect.gen(function* () {
    const source = access.at(from);
    const top = yield* source.storage.lstat(source.key);
    const other = (path: VPath) =>
      access.fail("Unsupported", "rename", path, "only files and directories go to other folders");
    if (top.kind === "file") {
      yield* access.check("remove", from);
      yield* copyFile(access, from, to);
      return yield* remove(access, from);
    }
    if (top.kind !== "dir") return yield* other(from);
    if (yield* uploadBelow(access, source)) {
      return yield* access.fail("Locked", "rename", from, "an upload is under way there");
    }
    const moved = (path: VPath) => (to + path.slice(from.length)) as VPath;
    // Looked through first, so that one entry which cannot go keeps all of it.
    yield* walk(access, from, {
      leaf: (path, { kind }) => kind === "file" ? access.check("remove", path) : other(path),
      enter: (path) => access.check("rmdir", path),
      leave: () => Effect.void,
    });
    yield* access.check("rmdir", from);
    yield* mkdir(access, to);
    yield* Effect.tapError(
      walk(access, from, {
        leaf: (path) => copyFile(access, path, moved(path)),
        enter: (path) => mkdir(access, moved(path)),
        leave: () => Effect.void,
      }),
      // What did not fit, or may not be there, leaves nothing of the rest either.
      () => Effect.ignore(removeTree(access, to)),
    );
    yield* walk(access, from, {
      leaf: (path) => remove(access, path),
      enter: () => Effect.void,
      leave: (path) => rmdir(access, path),
    });
    yield* rmdir(access, from);
  });
