import { Effect } from "effect";
import type { FsError } from "../errors.ts";
import type { VPath } from "../vpath.ts";
import { type Access, nameOf } from "./access.ts";
import { entryIfAny, nested, uploadBelow } from "./look.ts";
import type { Operation } from "./policy.ts";
import { carry } from "./carry.ts";
import { walk } from "./walk.ts";

const none = { bytes: 0, files: 0 };

/** Renames a file, link or directory (BEHAVIOUR FS-04 to FS-06). Directories are never replaced. */
export const rename = (
  access: Access,
  from: VPath,
  to: VPath,
  options: { readonly replace: boolean },
): Effect.Effect<void, FsError> => {
  const event = access.event("rename", from, { virtual_target_path: to });
  return Effect.gen(function* () {
    for (const path of [from, to]) {
      if (path === "/" || access.mounts.isMount(path) || access.mounts.anyBelow(path)) {
        return yield* access.fail("Denied", "rename", path);
      }
    }
    if (nested(from, to)) {
      return yield* access.fail("Unsupported", "rename", from, "source and target are nested");
    }
    const source = access.at(from);
    const target = access.at(to);
    if (source.mount !== target.mount) {
      return yield* moveAcross(access, from, to, options);
    }
    const { storage } = source;
    const { uploads } = access.services;
    const body = Effect.gen(function* () {
      const operation = yield* allowed(access, from, to);
      const existing = yield* entryIfAny(access, to, false);
      if (existing?.kind === "dir") {
        return yield* access.fail("Unsupported", "rename", to, "the target is a directory");
      }
      if (existing) {
        if (!options.replace) return yield* access.fail("AlreadyExists", "rename", to);
        if (operation === "rename_dir") return yield* access.fail("NotDirectory", "rename", to);
        yield* access.check("replace", to, "target");
      }
      const gone = existing?.kind === "file"
        ? uploads.counted(storage.identity, target.key, existing.size)
        : undefined;
      const moved = uploads.counted(storage.identity, source.key, undefined);
      const usage = gone === undefined ? none : { bytes: -gone, files: -1 };
      // What is recovered from the logs after a power cut is looked for by its path.
      const { journal, late } = access.services;
      if (operation === "rename_dir") {
        yield* journal.flush;
        yield* late.everywhere;
      }
      yield* late.content(nameOf(source)) ?? Effect.void;
      yield* access.journalled(
        event,
        { kind: "move", key: target.key, from: source.key },
        usage,
        // Asked in the same breath as the rename: an upload may have begun while the journal wrote.
        Effect.flatMap(
          uploadBelow(access, source),
          (busy) =>
            busy
              ? access.fail("Locked", "rename", from, "an upload is under way there")
              : storage.rename(source.key, target.key, options),
        ),
        () => ({ usage }),
      );
      uploads.recount(storage.identity, target.key, moved);
      uploads.recount(storage.identity, source.key, undefined);
    });
    yield* access.locked([source, target], body);
  }).pipe(Effect.tapError(access.recordFailure(event)));
};

/**
 * Renames between mounts: a copy, then the removal of the source (BEHAVIOUR
 * VF-11). The source is removed only when all of it is there; links are refused.
 */
const moveAcross = (
  access: Access,
  from: VPath,
  to: VPath,
  options: { readonly replace: boolean },
): Effect.Effect<void, FsError> =>
  Effect.gen(function* () {
    const operation = yield* allowed(access, from, to);
    const existing = yield* entryIfAny(access, to, false);
    if (existing?.kind === "dir") {
      return yield* access.fail("Unsupported", "rename", to, "the target is a directory");
    }
    if (existing) {
      if (!options.replace) return yield* access.fail("AlreadyExists", "rename", to);
      if (operation === "rename_dir") return yield* access.fail("NotDirectory", "rename", to);
      yield* access.check("replace", to, "target");
    }
    yield* carry(access, from, to);
  });

/** Checks both sides, and everything below where rules might differ (BEHAVIOUR PERM-21). */
const allowed = (
  access: Access,
  from: VPath,
  to: VPath,
): Effect.Effect<Operation, FsError> =>
  Effect.gen(function* () {
    const both = (operation: Operation, a: VPath, b: VPath) =>
      Effect.andThen(access.check(operation, a), access.check(operation, b, "target"));
    const { storage, key } = access.at(from);
    const known = yield* Effect.either(storage.lstat(key));
    if (known._tag === "Left") {
      // Whether it exists is told only to those who may rename here at all.
      if (!access.may("rename_dir", from)) yield* both("rename_file", from, to);
      return yield* known.left;
    }
    const operation = known.right.kind === "dir" ? "rename_dir" : "rename_file";
    yield* both(operation, from, to);
    if (operation === "rename_dir" && (access.hasRulesBelow(from) || access.hasRulesBelow(to))) {
      const moved = (path: VPath) => (to + path.slice(from.length)) as VPath;
      yield* walk(access, from, {
        leaf: (path) => both("rename_file", path, moved(path)),
        enter: (path) => both("rename_dir", path, moved(path)),
        leave: () => Effect.void,
      });
    }
    return operation;
  });
