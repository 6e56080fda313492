import { Effect } from "effect";
import type { FsError } from "../errors.ts";
import type { Attributes } from "../model/entry.ts";
import { components, parent, parseClientPath, type VPath } from "../vpath.ts";
import type { Access } from "./access.ts";
import { entryAt, entryIfAny } from "./look.ts";

const none = { bytes: 0, files: 0 };

/** Makes a directory; its parent must exist. */
export const mkdir = (
  access: Access,
  path: VPath,
  attributes?: Attributes,
): Effect.Effect<void, FsError> => {
  const event = access.event("mkdir", path);
  return Effect.gen(function* () {
    if (access.mounts.isMount(path) || access.mounts.anyBelow(path)) {
      return yield* access.fail("AlreadyExists", "mkdir", path);
    }
    yield* access.check("mkdir", path);
    const { storage, key } = access.at(path);
    // A mode in MKDIR is a chmod by another name.
    const mode = access.may("chmod", path) ? attributes?.mode : undefined;
    yield* access.locked(
      [access.at(path)],
      Effect.gen(function* () {
        // Before the journal hears of it: recovery could not tell an old directory from a new one.
        if (yield* entryIfAny(access, path, false)) {
          return yield* access.fail("AlreadyExists", "mkdir", path);
        }
        yield* access.journalled(
          event,
          { kind: "make", key },
          none,
          storage.mkdir(key, mode === undefined ? undefined : mode & 0o777),
          () => ({}),
        );
      }),
    );
  }).pipe(Effect.tapError(access.recordFailure(event)));
};

/** Removes a file or a link. */
export const remove = (access: Access, path: VPath): Effect.Effect<void, FsError> => {
  const event = access.event("delete", path);
  return Effect.gen(function* () {
    if (path === "/" || access.mounts.isMount(path)) {
      return yield* access.fail("Denied", "remove", path);
    }
    yield* access.check("remove", path);
    const { storage, key } = access.at(path);
    const { uploads } = access.services;
    yield* access.locked(
      [access.at(path)],
      Effect.gen(function* () {
        const entry = yield* storage.lstat(key);
        if (entry.kind === "dir") return yield* access.fail("IsDirectory", "remove", path);
        const counted = entry.kind === "file"
          ? uploads.counted(storage.identity, key, entry.size)
          : undefined;
        const usage = counted === undefined ? none : { bytes: -counted, files: -1 };
        yield* access.journalled(
          { ...event, file_size: entry.size },
          { kind: "remove", key },
          usage,
          storage.remove(key),
          () => ({ usage }),
        );
        uploads.recount(storage.identity, key, undefined);
      }),
    );
  }).pipe(Effect.tapError(access.recordFailure(event)));
};

/** Removes an empty directory; never the root, a mount, or what holds one (BEHAVIOUR SFTP-15). */
export const rmdir = (access: Access, path: VPath): Effect.Effect<void, FsError> => {
  const event = access.event("rmdir", path);
  return Effect.gen(function* () {
    if (path === "/" || access.mounts.isMount(path) || access.mounts.anyBelow(path)) {
      return yield* access.fail("Denied", "rmdir", path);
    }
    yield* access.check("rmdir", path);
    const { storage, key } = access.at(path);
    yield* access.locked(
      [access.at(path)],
      Effect.gen(function* () {
        const entry = yield* storage.lstat(key);
        if (entry.kind !== "dir") return yield* access.fail("NotDirectory", "rmdir", path);
        yield* access.journalled(
          event,
          { kind: "remove", key },
          none,
          storage.rmdir(key),
          () => ({}),
        );
      }),
    );
  }).pipe(Effect.tapError(access.recordFailure(event)));
};

/** Makes a symbolic link, in relative form, inside one mount (BEHAVIOUR FS-11). */
export const symlink = (
  access: Access,
  rawTarget: string,
  link: VPath,
): Effect.Effect<void, FsError> =>
  Effect.gen(function* () {
    if (access.mounts.isMount(link) || access.mounts.anyBelow(link)) {
      return yield* access.fail("Denied", "symlink", link);
    }
    const { storage, key, mount } = access.at(link);
    yield* linksAllowed(access, link, storage.can.symlinks);
    const target = yield* parseClientPath(rawTarget, parent(link), "symlink");
    yield* access.check("symlink", link);
    yield* access.check("symlink", target, "target");
    if (access.at(target).mount !== mount) {
      return yield* access.fail("Unsupported", "symlink", link, "the target is in another storage");
    }
    yield* storage.symlink(relative(parent(key as VPath), access.at(target).key as VPath), key);
  });

/** Gives a file a second name; it counts in the quota like a copy, as a recount would count it. */
export const hardLink = (
  access: Access,
  from: VPath,
  to: VPath,
): Effect.Effect<void, FsError> =>
  Effect.gen(function* () {
    const source = access.at(from);
    const target = access.at(to);
    yield* linksAllowed(access, to, source.storage.can.hardLinks);
    yield* access.check("hardlink", from);
    yield* access.check("hardlink", to, "target");
    if (source.mount !== target.mount) {
      return yield* access.fail("Unsupported", "link", to, "the target is in another storage");
    }
    yield* access.locked(
      [source, target],
      Effect.scoped(Effect.gen(function* () {
        const entry = yield* entryAt(access, from, false);
        if (yield* entryIfAny(access, to, false)) {
          return yield* access.fail("AlreadyExists", "link", to);
        }
        const lease = yield* Effect.acquireRelease(
          access.services.quota.reserve(access.payer(target), to, undefined),
          (taken) => Effect.sync(() => taken.release()),
        );
        if (!lease.grow(entry.size)) {
          return yield* access.fail("QuotaExceeded", "link", to, "disk quota exceeded");
        }
        const usage = { bytes: entry.size, files: 1 };
        yield* access.journalled(
          access.event("copy", from, { virtual_target_path: to, file_size: entry.size }),
          { kind: "make", key: target.key },
          usage,
          source.storage.hardLink(source.key, target.key),
          () => ({ usage }),
          (delta) => Effect.sync(() => lease.settle(delta)),
        );
      })),
    );
  });

const linksAllowed = (
  access: Access,
  path: VPath,
  able: boolean,
): Effect.Effect<void, FsError> =>
  able && access.services.common.symlink_mode === 1
    ? Effect.void
    : access.fail("Unsupported", "link", path, "links are not enabled");

/** `target` as seen from directory `from`. */
const relative = (from: VPath, target: VPath): string => {
  const a = components(from);
  const b = components(target);
  let same = 0;
  while (same < a.length && same < b.length && a[same] === b[same]) same++;
  return [...a.slice(same).map(() => ".."), ...b.slice(same)].join("/") || ".";
};
