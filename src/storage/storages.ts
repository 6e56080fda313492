import { Context, type Effect, type Scope } from "effect";
import type { FsError } from "../errors.ts";
import type { User, VirtualFolderMapping } from "../model/user.ts";
import type { Storage } from "./storage.ts";

/** Where users' files live. Layers in adapters/storage provide it. */
export class Storages extends Context.Tag("sluice/Storages")<Storages, {
  /** Opens the home of `user`, making it first where that is allowed (BEHAVIOUR AUTH-19). */
  readonly forUser: (user: User) => Effect.Effect<Storage, FsError, Scope.Scope>;
  /** Opens the folder that `mount` of `user` shows, making it first where that is allowed. */
  readonly forFolder: (
    user: User,
    mount: VirtualFolderMapping,
  ) => Effect.Effect<Storage, FsError, Scope.Scope>;
}>() {}
