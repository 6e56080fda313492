import { Context, type Effect, type Scope } from "effect";
import type { FsError } from "../errors.ts";
import type { User, VirtualFolderMapping } from "../model/user.ts";
import type { Storage } from "./storage.ts";

/** In whose name a folder is opened: who owns what is made in it. */
export type FolderOwner = Pick<User, "uid" | "gid"> & {
  readonly filters: Pick<User["filters"], "disable_fs_checks">;
};

/** What of a mapping says where its files are. */
export type FolderPlace = Pick<
  VirtualFolderMapping,
  "name" | "subpath" | "mapped_path" | "filesystem"
>;

/** Where users' files live. Layers in adapters/storage provide it. */
export class Storages extends Context.Tag("sluice/Storages")<Storages, {
  /** Opens the home of `user`, making it first where that is allowed (BEHAVIOUR AUTH-19). */
  readonly forUser: (user: User) => Effect.Effect<Storage, FsError, Scope.Scope>;
  /** Opens the folder that `place` is, making it first where `owner` allows that. */
  readonly forFolder: (
    owner: FolderOwner,
    place: FolderPlace,
  ) => Effect.Effect<Storage, FsError, Scope.Scope>;
}>() {}
