import { Context, type Effect } from "effect";
import type { CatalogError } from "../errors.ts";
import type { Admin, AdminInput } from "../model/admin.ts";
import type { FolderInput } from "../model/folder.ts";
import type { GroupInput } from "../model/group.ts";
import type { TotpConfig, User, UserInput } from "../model/user.ts";

/** Who made a change, for the provider event that is written in the same transaction. */
export interface Executor {
  /** Administrator's name, or `__system__` for the command line. */
  readonly name: string;
  readonly ip?: string;
}

/** Milliseconds between two stored logins of one user (BEHAVIOUR AUTH-18). */
const loginInterval = 10 * 60 * 1000;

/** Whether a login at `now` is to be stored. A clock that was set back must not stop the updates. */
export const isLoginStale = ({ last_login }: Pick<User, "last_login">, now: number): boolean =>
  last_login === 0 || Math.abs(now - last_login) >= loginInterval;

/** Accounts of people who transfer files. Reads are short and indexed; writes go through the writer actor. */
export class Users extends Context.Tag("sluice/Users")<Users, {
  /** Undefined when there is no such user. */
  readonly find: (username: string) => Effect.Effect<User | undefined, CatalogError>;
  /** The user as sessions see him: groups merged, folders found (model/effective.ts). */
  readonly effective: (username: string) => Effect.Effect<User | undefined, CatalogError>;
  readonly list: (page: Page) => Effect.Effect<ReadonlyArray<User>, CatalogError>;
  /** Fails with Duplicate or Invalid. */
  readonly add: (input: UserInput, by: Executor) => Effect.Effect<User, CatalogError>;
  /** Full replace (BEHAVIOUR USER-42): counters, timestamps and an absent password are kept. */
  readonly update: (
    username: string,
    input: UserInput,
    by: Executor,
  ) => Effect.Effect<User, CatalogError>;
  readonly remove: (username: string, by: Executor) => Effect.Effect<void, CatalogError>;
  /** Stores a new password hash; `rehash` keeps `last_password_change` and writes no event. */
  readonly setPasswordHash: (
    username: string,
    hash: string,
    options: { readonly rehash: boolean },
  ) => Effect.Effect<void, CatalogError>;
  /** Persisted at most once per 10 minutes (BEHAVIOUR AUTH-18). */
  readonly touchLastLogin: (username: string) => Effect.Effect<void, CatalogError>;
  /** Sets `first_upload` or `first_download` if it is not set yet. */
  readonly touchFirst: (
    username: string,
    what: "first_upload" | "first_download",
  ) => Effect.Effect<void>;
  /** Counts bytes against the user's data-transfer limits (BEHAVIOUR DT-04). */
  readonly addTransfer: (
    username: string,
    way: "upload" | "download",
    bytes: number,
  ) => Effect.Effect<void, CatalogError>;
  /** Replaces the counters of moved bytes (BEHAVIOUR DT-05). Fails with NotFound. */
  readonly setTransfer: (
    username: string,
    moved: { readonly upload: number; readonly download: number },
  ) => Effect.Effect<void, CatalogError>;
  /** Takes a one-time code's time step; false when this or a later step was used before. */
  readonly useTotpStep: (username: string, step: number) => Effect.Effect<boolean, CatalogError>;
  /**
   * Stores or removes the second factor, which `update` keeps and never writes
   * (BEHAVIOUR USER-39). Forgets the last time step that was used. Fails with NotFound.
   */
  readonly setTotp: (
    username: string,
    config: TotpConfig | undefined,
  ) => Effect.Effect<void, CatalogError>;
  /** The stored usage of a user, or of the folder that `/name` names. */
  readonly usage: (account: string) => Effect.Effect<AccountRow | undefined, CatalogError>;
  /** Replaces the disk usage counters after a scan; those of a folder for `/name`. */
  readonly setUsage: (
    username: string,
    usage: { readonly bytes: number; readonly files: number },
  ) => Effect.Effect<void, CatalogError>;
}>() {}

/** Who keeps a quota account: a user, or a folder under `/name`, which no user can be called. */
export type AccountRow = Pick<User, "id" | "username" | "used_quota_size" | "used_quota_files">;

/** A page of a list by name. */
export interface Page {
  readonly limit: number;
  readonly offset: number;
  readonly order?: "ASC" | "DESC";
}

/** What both kinds of objects with members offer. Errors as those of {@linkcode Users}. */
export interface Named<A> {
  /** With who refers to it. */
  readonly find: (name: string) => Effect.Effect<A | undefined, CatalogError>;
  readonly list: (page: Page) => Effect.Effect<ReadonlyArray<A>, CatalogError>;
  readonly add: (input: A, by: Executor) => Effect.Effect<A, CatalogError>;
  /** Full replace; counters and `created_at` are kept. */
  readonly update: (name: string, input: A, by: Executor) => Effect.Effect<A, CatalogError>;
  /** Fails with InUse while anything refers to it (BEHAVIOUR GRP-11, DIS-14). */
  readonly remove: (name: string, by: Executor) => Effect.Effect<void, CatalogError>;
}

/** Folders that users and groups mount. */
export class Folders extends Context.Tag("sluice/Folders")<Folders, Named<FolderInput>>() {}

/** Settings that users share. */
export class Groups extends Context.Tag("sluice/Groups")<Groups, Named<GroupInput>>() {}

/** Accounts of operators. */
export class Admins extends Context.Tag("sluice/Admins")<Admins, {
  readonly find: (username: string) => Effect.Effect<Admin | undefined, CatalogError>;
  readonly list: (page: Page) => Effect.Effect<ReadonlyArray<Admin>, CatalogError>;
  readonly add: (input: AdminInput, by: Executor) => Effect.Effect<Admin, CatalogError>;
  readonly update: (
    username: string,
    input: AdminInput,
    by: Executor,
  ) => Effect.Effect<Admin, CatalogError>;
  readonly remove: (username: string, by: Executor) => Effect.Effect<void, CatalogError>;
  readonly count: Effect.Effect<number, CatalogError>;
}>() {}

/** The database as a whole. */
export class Catalog extends Context.Tag("sluice/Catalog")<Catalog, {
  readonly schemaVersion: Effect.Effect<number, CatalogError>;
  /** Structure check of the database file (`PRAGMA integrity_check`); `[]` when sound. */
  readonly check: Effect.Effect<ReadonlyArray<string>, CatalogError>;
  /** Writes a consistent copy to `file`, while the server runs. */
  readonly backup: (file: string) => Effect.Effect<void, CatalogError>;
}>() {}
