import { Effect } from "effect";
import type { FsError } from "../errors.ts";
import type { VPath } from "../vpath.ts";
import type { Access } from "./access.ts";
import { remove, rmdir } from "./change.ts";
import { uploadBelow } from "./look.ts";
import { walk } from "./walk.ts";

/**
 * Removes a file or a whole tree, each entry with its own check and event.
 *
 * A tree is looked through first, so that one entry which may not be removed
 * keeps all of it.
 */
export const removeTree = (access: Access, path: VPath): Effect.Effect<void, FsError> =>
  Effect.gen(function* () {
    const { storage, key } = access.at(path);
    const entry = yield* Effect.either(storage.lstat(key));
    const one = entry._tag === "Right" && entry.right.kind === "dir" ? rmdir : remove;
    // These refuse it, and record that they did; whether it exists is told only to those who may remove here at all.
    if (path === "/" || access.mounts.isMount(path) || access.mounts.anyBelow(path)) {
      return yield* rmdir(access, path);
    }
    if (!access.may("remove", path) && !access.may("rmdir", path)) return yield* one(access, path);
    if (entry._tag === "Left") return yield* entry.left;
    if (one === remove) return yield* remove(access, path);
    const refused = access.recordFailure(access.event("rmdir", path));
    yield* Effect.tapError(removable(access, path), refused);
    yield* walk(access, path, {
      leaf: (at) => remove(access, at),
      enter: () => Effect.void,
      leave: (at) => rmdir(access, at),
    });
    yield* rmdir(access, path);
  });

const removable = (access: Access, path: VPath): Effect.Effect<void, FsError> =>
  Effect.gen(function* () {
    yield* access.check("rmdir", path);
    if (yield* uploadBelow(access, access.at(path))) {
      return yield* access.fail("Locked", "remove", path, "an upload is under way there");
    }
    yield* walk(access, path, {
      leaf: (at) => access.check("remove", at),
      enter: (at) => access.check("rmdir", at),
      leave: () => Effect.void,
    });
  });
