import { Schema as S } from "effect";
import { Filesystem, Permission, UserFilters, VirtualFolderMapping } from "./user.ts";

const opt = <A, I>(schema: S.Schema<A, I>, value: A) =>
  S.optionalWith(schema, { default: () => value, nullable: true });
const text = opt(S.String, "");
const count = opt(S.Number.pipe(S.int(), S.between(0, Number.MAX_SAFE_INTEGER)), 0);

/** What a group gives its users (API-V2.md, GroupUserSettings). 0 and empty give nothing. */
export const GroupUserSettings = S.Struct({
  home_dir: text,
  max_sessions: count,
  quota_size: count,
  quota_files: count,
  permissions: opt(S.Record({ key: S.String, value: S.Array(Permission) }), {}),
  upload_bandwidth: count,
  download_bandwidth: count,
  upload_data_transfer: count,
  download_data_transfer: count,
  total_data_transfer: count,
  /** Days after its creation that an account without an end of its own lasts. */
  expires_in: count,
  filters: opt(UserFilters, UserFilters.make({})),
  filesystem: opt(Filesystem, Filesystem.make({})),
});
export type GroupUserSettings = typeof GroupUserSettings.Type;

/** Settings that several users share (API-V2.md, Group). */
export const Group = S.Struct({
  id: count,
  name: S.String,
  description: text,
  created_at: count,
  updated_at: count,
  user_settings: opt(GroupUserSettings, GroupUserSettings.make({})),
  virtual_folders: opt(S.Array(VirtualFolderMapping), []),
});
export type Group = typeof Group.Type;

/** What creates or replaces a group; read-only members are taken and ignored. */
export const GroupInput = S.Struct({
  ...Group.fields,
  users: opt(S.Array(S.String), []),
  admins: opt(S.Array(S.String), []),
});
export type GroupInput = typeof GroupInput.Type;
