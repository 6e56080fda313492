import { Context, Effect, Option, Schedule, Stream } from "effect";
import { Users } from "../catalog/catalog.ts";
import { type CatalogError, FsError } from "../errors.ts";
import { Journal } from "../events/journal.ts";
import type { Folder } from "../model/folder.ts";
import type { User } from "../model/user.ts";
import type { Storage } from "../storage/storage.ts";
import { Storages } from "../storage/storages.ts";
import { child, root, type VPath } from "../vpath.ts";
import { type Payer, Quota, type Usage } from "./quota.ts";
import { maxDepth } from "./walk.ts";

/**
 * Waits until all that any thread has settled is in the catalog: a count or a row
 * that lacked some of it would be set, and the rest come on top or never. Fails
 * with Busy. Only where there are several threads; else the journal's flush does.
 */
export class Settled
  extends Context.Tag("sluice/Settled")<Settled, Effect.Effect<void, FsError>>() {}

const settled: Effect.Effect<void, FsError, Journal> = Effect.flatMap(
  Effect.serviceOption(Settled),
  Option.getOrElse(() => Effect.flatMap(Journal, (journal) => journal.flush)),
);

/**
 * Counts what a user's home holds and makes that the usage (BEHAVIOUR QUOTA-11).
 *
 * Uploads in progress are left out and may go on; patterns do not apply
 * (PAT-08). Fails with Busy when files kept changing.
 */
export const recount = (
  user: User,
): Effect.Effect<Usage, FsError | CatalogError, Quota | Storages | Journal> =>
  Effect.scoped(Effect.gen(function* () {
    const storages = yield* Storages;
    const own = yield* storages.forUser(user);
    // Folders without a quota of their own count in the user's (BEHAVIOUR VF-07, QUOTA-10).
    const folders = yield* Effect.forEach(
      user.virtual_folders.filter((mount) => mount.quota_size === -1),
      (mount) => storages.forFolder(user, mount),
    );
    return yield* count(user, [own, ...folders]);
  }));

/** The same for a folder that has a usage of its own: all that lies in it, whoever mounts what part. */
export const recountFolder = (
  folder: Folder,
): Effect.Effect<Usage, FsError | CatalogError, Quota | Storages | Journal> =>
  Effect.scoped(Effect.gen(function* () {
    if (folder.mapped_path.includes("%")) {
      return yield* new FsError({
        reason: "Unsupported",
        op: "quota-scan",
        path: folder.mapped_path,
        detail: `${folder.name} is another folder for each user: there is no one usage of it`,
      });
    }
    const storage = yield* (yield* Storages).forFolder(
      { uid: 0, gid: 0, filters: { disable_fs_checks: true } },
      { ...folder, subpath: "" },
    );
    const { id, name, used_quota_size, used_quota_files } = folder;
    const usage = { used_quota_size, used_quota_files, quota_size: 0, quota_files: 0 };
    return yield* count({ id, username: `/${name}`, ...usage }, [storage]);
  }));

const count = (payer: Payer, storages: ReadonlyArray<Storage>) =>
  Effect.gen(function* () {
    const quota = yield* Quota;
    const journal = yield* Journal;
    const parts = Effect.forEach(storages, (storage) => countBelow(storage, root, 0));
    const sum = Effect.map(parts, (all): Usage => ({
      bytes: all.reduce((total, part) => total + part.bytes, 0),
      files: all.reduce((total, part) => total + part.files, 0),
    }));
    // What was settled before the count must reach the catalog before the count does.
    const counted = Effect.zipLeft(sum, settled);
    return yield* quota.recount(payer, Effect.provideService(counted, Journal, journal));
  });

/**
 * Takes a user's usage from the catalog again, after a thread died in the middle
 * of changing files: nobody knows which of them it had counted in memory. Tries
 * until it succeeds; what others settle meanwhile is not lost.
 */
export const reread = (
  username: string,
): Effect.Effect<void, never, Quota | Users | Journal> =>
  Effect.gen(function* () {
    const quota = yield* Quota;
    const journal = yield* Journal;
    const users = yield* Users;
    const user = yield* users.usage(username);
    if (!user) return;
    // What was settled in memory is in the row once it is flushed.
    const stored = Effect.flatMap(settled, () => users.usage(username)).pipe(
      Effect.provideService(Journal, journal),
      Effect.map((now) => ({
        bytes: (now ?? user).used_quota_size,
        files: (now ?? user).used_quota_files,
      })),
      Effect.mapError((cause) =>
        new FsError({ reason: "Unavailable", op: "quota-scan", path: "/", cause })
      ),
    );
    yield* quota.recount({ ...user, quota_size: 0, quota_files: 0 }, stored);
  }).pipe(
    // Busy is usual: it waits for a moment without changes.
    Effect.tapError((error) => Effect.logDebug("a usage cannot be read yet", error)),
    Effect.retry(Schedule.spaced("1 second")),
    Effect.ignore,
  );

const countBelow = (
  storage: Storage,
  dir: VPath,
  depth: number,
): Effect.Effect<Usage, FsError> =>
  Effect.gen(function* () {
    if (depth > maxDepth) {
      return yield* new FsError({ reason: "Unsupported", op: "quota-scan", path: dir });
    }
    let bytes = 0;
    let files = 0;
    const below: string[] = [];
    yield* Stream.runForEach(storage.list(dir), (entry) =>
      Effect.sync(() => {
        if (entry.kind === "dir") below.push(entry.name);
        if (entry.kind === "file") {
          bytes += entry.size;
          files++;
        }
      }));
    for (const name of below) {
      // A directory that went meanwhile holds nothing; the count is taken again anyway.
      const part = yield* Effect.catchIf(
        countBelow(storage, child(dir, name), depth + 1),
        (error) => error.reason === "NotFound" || error.reason === "NotDirectory",
        () => Effect.succeed({ bytes: 0, files: 0 }),
      );
      bytes += part.bytes;
      files += part.files;
    }
    return { bytes, files };
  });
