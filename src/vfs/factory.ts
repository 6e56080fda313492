import { Effect, Either, Layer } from "effect";
import { Users } from "../catalog/catalog.ts";
import { Config } from "../config/config.ts";
import { Journal } from "../events/journal.ts";
import type { Principal } from "../model/session.ts";
import type { User, VirtualFolderMapping } from "../model/user.ts";
import { Storages } from "../storage/storages.ts";
import type { Storage } from "../storage/storage.ts";
import { lineage, parent, parseClientPath, root, type VPath } from "../vpath.ts";
import { Access, type Services } from "./access.ts";
import { setAttributes } from "./attributes.ts";
import { hardLink, mkdir, remove, rmdir, symlink } from "./change.ts";
import { checksum } from "./checksum.ts";
import { copy } from "./copy.ts";
import { isLimited, Limits } from "./limits.ts";
import { LatePaths } from "./late_paths.ts";
import { PathLocks } from "./locks.ts";
import { available, list, readlink, realpath, stat, statNow } from "./look.ts";
import { type Mount, Mounts } from "./mounts.ts";
import { open, openFile, openNow } from "./open.ts";
import { Participant } from "../participant.ts";
import { Quota } from "./quota.ts";
import { removeTree } from "./remove_tree.ts";
import { rename } from "./rename.ts";
import { resumables } from "./resumables.ts";
import { unavailable } from "./unavailable.ts";
import { Elsewhere, LiveUploads } from "./uploads.ts";
import { type TransferObserver, type Vfs, VfsFactory } from "./vfs.ts";

/** The VFS over the process's storages; uploads in progress and path locks are shared by the sessions of all threads. */
export const sharedVfsFactory: Layer.Layer<
  VfsFactory,
  never,
  Config | Storages | Quota | Journal | Users | Participant | LiveUploads | Elsewhere
> = Layer.effect(
  VfsFactory,
  Effect.gen(function* () {
    const storages = yield* Storages;
    const participant = yield* Participant;
    const services: Services = {
      common: (yield* Config).common,
      quota: yield* Quota,
      journal: yield* Journal,
      users: yield* Users,
      uploads: yield* LiveUploads,
      elsewhere: yield* Elsewhere,
      locks: new PathLocks(participant),
      late: new LatePaths(participant),
    };
    return VfsFactory.of({
      forSession: (user: User, principal: Principal, observer?: TransferObserver) =>
        Effect.gen(function* () {
          const storage = yield* storages.forUser(user);
          const start = user.filters.start_directory;
          const home = start === "" ? root : yield* parseClientPath(start, root, "login");
          const folders = yield* Effect.forEach(
            user.virtual_folders,
            (mount) => openMount(storages, user, mount),
          );
          const mounts = new Mounts([{ path: root, storage }, ...folders]);
          if (!user.filters.disable_fs_checks) {
            // Missing parents of mounts are made; those that cannot be are listed all the same (VF-10).
            yield* Effect.forEach(folders, ({ path }) => {
              const at = mounts.locate(parent(path));
              return Effect.ignore(makeDirectories(at.storage, at.key as VPath));
            });
            const start = mounts.locate(home);
            yield* makeDirectories(start.storage, start.key as VPath);
          }
          const limits = isLimited(user, principal.ip)
            ? new Limits(yield* services.quota.lineOf(user), user, principal.ip, services.users)
            : undefined;
          return view(new Access(services, user, principal, mounts, observer, limits), home);
        }),
    });
  }),
);

/** {@linkcode sharedVfsFactory} of a server of one thread. */
export const vfsFactory = sharedVfsFactory.pipe(
  Layer.provide(Layer.merge(LiveUploads.layer, Elsewhere.nowhere)),
  Layer.provide(Participant.alone),
);

/**
 * One mount of a folder, with the account that its files count in (BEHAVIOUR
 * VF-07). A folder that cannot be opened keeps nobody from the rest.
 */
const openMount = (
  storages: typeof Storages.Service,
  user: User,
  mount: VirtualFolderMapping,
) =>
  storages.forFolder(user, mount).pipe(
    Effect.catchAll((error) =>
      Effect.as(
        Effect.logWarning(`folder ${mount.name} of ${user.username} cannot be opened`, error),
        unavailable(mount.name, error),
      )
    ),
    Effect.map((storage): Mount => ({
      path: mount.virtual_path as VPath,
      storage,
      folder: { name: mount.name, subpath: mount.subpath },
      payer: mount.quota_size === -1 ? undefined : {
        id: mount.id ?? 0,
        username: `/${mount.name}`,
        used_quota_size: mount.used_quota_size ?? 0,
        used_quota_files: mount.used_quota_files ?? 0,
        quota_size: mount.quota_size,
        quota_files: mount.quota_files,
      },
    })),
  );

/** The start directory is made at login (BEHAVIOUR USER-32, AUTH-19). */
const makeDirectories = (storage: Storage, home: VPath) =>
  Effect.forEach(
    lineage(home).reverse().filter((dir) => dir !== "/"),
    (dir) =>
      Effect.catchIf(
        Effect.asVoid(storage.stat(dir)),
        (e) => e.reason === "NotFound",
        // Two first logins at once, on two workers: one of them makes it.
        () =>
          Effect.catchIf(
            storage.mkdir(dir),
            (e) => e.reason === "AlreadyExists",
            () => Effect.void,
          ),
      ),
    { discard: true },
  );

const view = (access: Access, home: VPath): Vfs => ({
  home,
  resolve: (raw, base = home) => parseClientPath(raw, base),
  stat: (path) => stat(access, path, true),
  lstat: (path) => stat(access, path, false),
  statNow: (raw, follow) => {
    const path = parseClientPath(raw, home);
    return Either.isRight(path) ? statNow(access, path.right, follow) : undefined;
  },
  list: (path) => list(access, path),
  open: (path, options) => open(access, path, options),
  openFile: (path, options) => openFile(access, path, options),
  openNow: (raw, options) => {
    const path = parseClientPath(raw, home);
    return Either.isRight(path) ? openNow(access, path.right, options) : undefined;
  },
  mkdir: (path, attributes) => mkdir(access, path, attributes),
  remove: (path) => remove(access, path),
  rmdir: (path) => rmdir(access, path),
  removeTree: (path) => removeTree(access, path),
  rename: (from, to, options) => rename(access, from, to, options),
  copy: (from, to, options) => copy(access, from, to, options),
  setAttributes: (path, attributes, options) =>
    setAttributes(access, path, attributes, options?.follow ?? true),
  symlink: (target, link) => symlink(access, target, link),
  hardLink: (from, to) => hardLink(access, from, to),
  readlink: (path) => readlink(access, path),
  realpath: (path) => realpath(access, home, path),
  available: (path) => available(access, path),
  checksum: (path, algorithm, range) => checksum(access, path, algorithm, range),
  resumables: (records) => resumables(access, records),
  recordCommand: (command, { ok, elapsed }) =>
    access.services.journal.record({
      ...access.event("ssh_cmd", root, { status: ok ? 1 : 2, ssh_cmd: command, elapsed }),
    }),
});
