import { Schema as S } from "effect";
import { Filesystem } from "./user.ts";

const opt = <A, I>(schema: S.Schema<A, I>, value: A) =>
  S.optionalWith(schema, { default: () => value, nullable: true });
const text = opt(S.String, "");
const count = opt(S.Number.pipe(S.int(), S.between(0, Number.MAX_SAFE_INTEGER)), 0);

/** A folder that users and groups mount (API-V2.md, BaseVirtualFolder). Counters and `users` are read-only. */
export const Folder = S.Struct({
  id: count,
  name: S.String,
  mapped_path: text,
  description: text,
  used_quota_size: count,
  used_quota_files: count,
  last_quota_update: count,
  filesystem: opt(Filesystem, Filesystem.make({})),
});
export type Folder = typeof Folder.Type;

/** What creates or replaces a folder; read-only members are taken and ignored. */
export const FolderInput = S.Struct({
  ...Folder.fields,
  users: opt(S.Array(S.String), []),
  groups: opt(S.Array(S.String), []),
});
export type FolderInput = typeof FolderInput.Type;
