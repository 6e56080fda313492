import * as path from "node:path";
import { Effect, Layer } from "effect";
import { Config } from "../../../src/config/config.ts";
import { FsError } from "../../../src/errors.ts";
import type { User } from "../../../src/model/user.ts";
import { KeptObjects } from "../../../src/storage/kept.ts";
import { type FolderOwner, Storages } from "../../../src/storage/storages.ts";
import { Turns } from "../../../src/storage/turns.ts";
import { isRoot } from "./disk.ts";
import { toFsError } from "./errors.ts";
import { keeping } from "./kept.ts";
import { local } from "./local.ts";

/** Homes on this machine's disk (provider 0). Other providers fail with Unsupported. */
export const localStorages: Layer.Layer<Storages, never, Config> = Layer.effect(
  Storages,
  Effect.map(Config, (config) => {
    const { common } = config;
    const umask = common.umask === "" ? undefined : parseInt(common.umask, 8);
    const home = (user: User): string =>
      user.home_dir === ""
        ? path.resolve(config.data_dir, common.users_base_dir, user.username)
        : path.resolve(config.data_dir, user.home_dir);
    return Storages.of({
      forUser: (user) => openAt(user, user.filesystem.provider, () => home(user)),
      forFolder: (owner, mount) =>
        openAt(owner, mount.filesystem?.provider ?? 0, () => {
          if (!mount.mapped_path) throw notMapped;
          return path.join(mount.mapped_path, mount.subpath);
        }),
    });

    function openAt(user: FolderOwner, provider: number, place: () => string) {
      const refuse = (reason: FsError["reason"], detail: string) =>
        new FsError({ reason, op: "login", path: "/", detail });
      if (provider !== 0) {
        return Effect.fail(refuse("Unsupported", "this storage provider is not available"));
      }
      return Effect.try({
        try: () => {
          const dir = place();
          if (!user.filters.disable_fs_checks) makeHome(dir, user);
          const root = Deno.realPathSync(dir);
          if (!Deno.statSync(root).isDirectory) {
            throw refuse("NotDirectory", "the home directory is not a directory");
          }
          return local({
            root,
            fsync: common.fsync,
            ...(umask === undefined ? {} : { umask }),
            ...(user.uid > 0 || user.gid > 0 ? { owner: { uid: user.uid, gid: user.gid } } : {}),
          });
        },
        catch: toFsError("login", "/"),
      });
    }
  }),
);

const notMapped = new FsError({
  reason: "Unavailable",
  op: "login",
  path: "/",
  detail: "the folder has no path",
});
/** Kept objects in homes that no user has any more, too. */
export const localKeptObjects: Layer.Layer<KeptObjects, never, Config> = Layer.effect(
  KeptObjects,
  Effect.map(Config, ({ common }) =>
    KeptObjects.of({
      of: (identity) => {
        const root = /^local:(\/.*)$/s.exec(identity)?.[1];
        return root === undefined
          ? undefined
          : keeping({ root, fsync: common.fsync }, new Turns(root));
      },
    })),
);

/** Private to the server's account (or the configured owner); an existing home is left alone. */
const makeHome = (dir: string, user: FolderOwner): void => {
  try {
    if (Deno.statSync(dir).isDirectory) return;
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
  }
  Deno.mkdirSync(dir, { recursive: true, mode: 0o700 });
  if (isRoot() && (user.uid > 0 || user.gid > 0)) Deno.chownSync(dir, user.uid, user.gid);
};
