import { Effect, Stream } from "effect";
import { FsError } from "../errors.ts";
import type { Entry } from "../model/entry.ts";
import { basename, child, isWithin, parent, parseClientPath, type VPath } from "../vpath.ts";
import type { AtOnce, Storage } from "../storage/storage.ts";
import type { Access } from "./access.ts";
import { attempt } from "./attempt.ts";
import type { Spot } from "./mounts.ts";
import { shown } from "./uploads.ts";
import type { Available } from "./vfs.ts";

const TB = 1024 ** 4;
/** What the incumbent answers when nothing limits and nothing is known (BEHAVIOUR QUOTA-13). */
const boundless = { bytes: 8 * TB, files: 1_000_000 };

/** Attributes of one path; an upload in progress shows with what it received (SFTP-09). */
export const stat = (access: Access, path: VPath, follow: boolean): Effect.Effect<Entry, FsError> =>
  Effect.suspend(() => {
    const refused = access.verdict(follow ? "stat" : "lstat", path);
    return refused ? Effect.fail(refused) : entryAt(access, path, follow);
  });

/**
 * The same in this turn of the event loop. Undefined where something has to be
 * waited for, is refused, or is not there: {@linkcode stat} then says which.
 */
export const statNow = (access: Access, path: VPath, follow: boolean): Entry | undefined => {
  const { storage: { atOnce, identity }, key } = access.at(path);
  if (!atOnce || access.verdict(follow ? "stat" : "lstat", path)) return undefined;
  const { uploads } = access.services;
  try {
    const entry = storedNow(atOnce, key, follow);
    const asked = entry?.kind !== "dir" && uploads.perhapsElsewhere(identity, key);
    return asked ? undefined : uploads.overlay(identity, key, entry);
  } catch (error) {
    if (error instanceof FsError) return undefined;
    throw error;
  }
};

/** The same without asking for permission. */
export const entryAt = (
  access: Access,
  path: VPath,
  follow: boolean,
): Effect.Effect<Entry, FsError> => {
  const { storage, key } = access.at(path);
  const { uploads, elsewhere } = access.services;
  const show = (stored: Entry | undefined): Effect.Effect<Entry, FsError> => {
    const asked = stored?.kind !== "dir" && uploads.perhapsElsewhere(storage.identity, key) &&
      !uploads.latest(storage.identity, key);
    if (asked) {
      return Effect.flatMap(
        elsewhere.latest(storage.identity, key),
        (seen) => seen ? Effect.succeed(shown(key, stored, seen)) : here(stored),
      );
    }
    return here(stored);
  };
  const here = (stored: Entry | undefined): Effect.Effect<Entry, FsError> => {
    const entry = uploads.overlay(storage.identity, key, stored);
    if (entry) return Effect.succeed(entry);
    return access.mounts.anyBelow(path)
      ? Effect.succeed(between(path))
      : access.fail("NotFound", "stat", path);
  };
  return Effect.flatMap(stored(storage, key, follow), show);
};

/** What the storage has under a key; undefined when there is nothing. */
const stored = (
  storage: Storage,
  key: string,
  follow: boolean,
): Effect.Effect<Entry | undefined, FsError> => {
  const { atOnce } = storage;
  if (atOnce) {
    return attempt(() => storedNow(atOnce, key, follow));
  }
  const found: Effect.Effect<Entry | undefined, FsError> = follow
    ? storage.stat(key)
    : storage.lstat(key);
  return Effect.catchAll(found, (e) => e.reason === "NotFound" ? nobody : Effect.fail(e));
};

/** The same without waiting. Throws FsError. */
export const storedNow = (atOnce: AtOnce, key: string, follow: boolean): Entry | undefined => {
  try {
    return atOnce.find(key, follow);
  } catch (error) {
    if (error instanceof FsError && error.reason === "NotFound") return undefined;
    throw error;
  }
};

/** Whether an upload of any thread is under way strictly below. In one step where no other thread is near. */
export const uploadBelow = (access: Access, { storage, key }: Spot): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    const { uploads, elsewhere } = access.services;
    if (uploads.below(storage.identity, key)) return Effect.succeed(true);
    return uploads.perhapsElsewhere(storage.identity, key)
      ? elsewhere.below(storage.identity, key)
      : Effect.succeed(false);
  });

/** As {@linkcode entryAt}, undefined when there is nothing. */
export const entryIfAny = (
  access: Access,
  path: VPath,
  follow: boolean,
): Effect.Effect<Entry | undefined, FsError> => {
  const { storage, key } = access.at(path);
  return stored(storage, key, follow);
};

const nobody = Effect.succeed(undefined);

export const list = (access: Access, path: VPath): Stream.Stream<Entry, FsError> => {
  const { storage, key } = access.at(path);
  const all = withMounts(access, path, storage.list(key));
  // Nearly every directory: no pattern judges its names, so none is looked at.
  const shown = access.patterns.anyBelow(path)
    ? Stream.filter(all, ({ name }) => access.patterns.verdict(child(path, name)) !== "hide")
    : all;
  return Stream.unwrap(Effect.as(access.check("list", path), shown));
};

/** A listing with the mount points in it; a stored name under one does not show (BEHAVIOUR VF-10). */
const withMounts = (
  access: Access,
  path: VPath,
  stored: Stream.Stream<Entry, FsError>,
): Stream.Stream<Entry, FsError> => {
  const names = access.mounts.namesIn(path);
  if (names.length === 0) return stored;
  const covered = new Set(names);
  // A directory that only mounts make need not be on any storage.
  const kept = Stream.catchAll(
    Stream.filter(stored, ({ name }) => !covered.has(name)),
    (error) => error.reason === "NotFound" ? Stream.empty : Stream.fail(error),
  );
  return Stream.concat(
    kept,
    Stream.mapEffect(
      Stream.fromIterable(names),
      (name) =>
        Effect.map(
          // A folder that cannot be reached shows all the same.
          Effect.orElseSucceed(entryAt(access, child(path, name), true), () => between(path)),
          (e) => ({ ...e, name }),
        ),
    ),
  );
};

/** What shows where only mounts below make a directory. */
const between = (path: VPath): Entry => ({
  name: basename(path),
  kind: "dir",
  size: 0,
  mtime: 0,
  mode: 0o755,
});

/**
 * Resolves links. The start directory and `/` answer themselves without any
 * right: clients ask for their directory first, upload-only users as well, and
 * the answer tells nothing that is on the disk.
 */
export const realpath = (
  access: Access,
  home: VPath,
  path: VPath,
): Effect.Effect<VPath, FsError> =>
  Effect.gen(function* () {
    if ((path === "/" || path === home) && !access.may("realpath", path)) return path;
    yield* access.check("realpath", path);
    const { storage, key, mount } = access.at(path);
    if (!storage.can.symlinks) return path;
    // A path whose end does not exist yet has an answer too: clients ask before they create.
    const real = yield* Effect.catchIf(
      storage.realpath(key),
      (e) => e.reason === "NotFound",
      () => Effect.succeed(key),
    );
    return access.mounts.pathOf(mount, real);
  });

/** Answers a virtual path; a link that leaves the home is Denied and tells nothing. */
export const readlink = (access: Access, path: VPath): Effect.Effect<string, FsError> =>
  Effect.gen(function* () {
    yield* access.check("readlink", path);
    const { storage, key, mount } = access.at(path);
    const stored = yield* storage.readlink(key);
    const depth = parent(key as VPath).split("/").filter(Boolean).length;
    if (climbs(stored, depth)) return yield* access.fail("Denied", "readlink", path);
    const target = yield* parseClientPath(stored, parent(key as VPath), "readlink");
    return access.mounts.pathOf(mount, target);
  });

/** Whether a relative target goes above a root that is `depth` levels up. */
const climbs = (target: string, depth: number): boolean => {
  let level = depth;
  for (const part of target.split("/")) {
    if (part === "..") level--;
    else if (part !== "" && part !== ".") level++;
    if (level < 0) return true;
  }
  return false;
};

/** Space left: the smaller of quota and disk (BEHAVIOUR QUOTA-13). */
export const available = (access: Access, path: VPath): Effect.Effect<Available, FsError> =>
  Effect.gen(function* () {
    yield* access.check("available", path);
    const { services: { quota } } = access;
    const spot = access.at(path);
    const { storage } = spot;
    const user = access.payer(spot);
    const disk = storage.can.space ? yield* storage.space("/") : {
      totalBytes: boundless.bytes,
      freeBytes: boundless.bytes,
      totalFiles: boundless.files,
      freeFiles: boundless.files,
    };
    const used = yield* quota.usage(user);
    const held = yield* quota.held(user);
    const left = (limit: number, taken: number, free: number) =>
      limit > 0 ? Math.min(free, Math.max(0, limit - taken)) : free;
    return {
      totalBytes: user.quota_size > 0 ? user.quota_size : disk.totalBytes,
      freeBytes: left(user.quota_size, used.bytes + held.bytes, disk.freeBytes),
      totalFiles: user.quota_files > 0 ? user.quota_files : disk.totalFiles,
      freeFiles: left(user.quota_files, used.files + held.files, disk.freeFiles),
    };
  });

/** Whether one path is the other or holds it. */
export const nested = (a: VPath, b: VPath): boolean => isWithin(a, b) || isWithin(b, a);
