import { Effect, Either } from "effect";
import { checkFolder } from "../../model/check_folder.ts";
import { checkGroup } from "../../model/check_group.ts";
import { FolderInput } from "../../model/folder.ts";
import { GroupInput } from "../../model/group.ts";
import { checkEntry, IpListInput, ipListTypes } from "../../model/ip_list.ts";
import { settingsOf as folderSettings } from "../folders.ts";
import { settingsOf as groupSettings } from "../groups.ts";
import { decodeFolder, decodeGroup } from "../named_rows.ts";
import type { FoldersTable, GroupsTable } from "../rows.ts";
import { type Part, reading, type RowOf } from "./part.ts";

const storages = ["s3", "gcs", "azblob", "crypt", "sftp", "http"].map((name) => `${name}config`);

/** Virtual folders (BEHAVIOUR VF-01). */
export const foldersPart: Part = {
  scope: "folders",
  type: "folder",
  keys: ["name"],
  members: [],
  changeable: ["settings"],
  unkept: storages.map((name) => `filesystem.${name}`),
  read: reading(FolderInput, (input, { config }) => {
    const { folder, problems } = checkFolder(input, config);
    const { name, used_quota_size, used_quota_files, last_quota_update } = folder;
    const counters = { used_quota_size, used_quota_files, last_quota_update };
    const row = { name, ...counters, settings: folderSettings(folder) };
    return { name, problems, needs: [], row };
  }),
  canonical: (row) =>
    Effect.map(
      decodeFolder(row as RowOf<FoldersTable>),
      (folder) => ({ ...row, settings: folderSettings(folder) }),
    ),
  merge: ({ row }) => row,
  lacking: () => undefined,
};

/** Groups (BEHAVIOUR GRP-01). */
export const groupsPart: Part = {
  scope: "groups",
  type: "group",
  keys: ["name"],
  members: [],
  changeable: ["settings", "updated_at"],
  unkept: [
    ...["osconfig", ...storages].map((name) => `user_settings.filesystem.${name}`),
    ...["totp_config", "recovery_codes", "tls_certs"].map((n) => `user_settings.filters.${n}`),
  ],
  read: reading(GroupInput, (input, { config, now }) => {
    const { group, problems } = checkGroup(input, config);
    const { name } = group;
    return {
      name,
      problems,
      needs: group.virtual_folders.map((mount, i) => ({
        scope: "folders",
        field: `virtual_folders[${i}].name`,
        name: mount.name,
      })),
      row: {
        name,
        created_at: group.created_at || now,
        updated_at: group.updated_at || now,
        settings: groupSettings(group),
      },
    };
  }),
  canonical: (row) =>
    Effect.map(
      decodeGroup(row as RowOf<GroupsTable>),
      (group) => ({ ...row, settings: groupSettings(group) }),
    ),
  merge: ({ row }, stored, _, { now }) => stored ? { ...row, updated_at: now } : row,
  lacking: () => undefined,
};

const listName = (type: number): string =>
  Object.entries(ipListTypes).find(([, number]) => number === type)?.[0] ?? String(type);

/** IP lists (BEHAVIOUR section 21). */
export const ipListsPart: Part = {
  scope: "ip_lists",
  type: "ip_list_entry",
  keys: ["type", "ipornet"],
  members: ["mode", "protocols", "description"],
  changeable: ["mode", "protocols", "description", "updated_at"],
  unkept: [],
  read: reading(IpListInput, (input, { now }) => {
    const checked = checkEntry(input);
    const entry = Either.getOrElse(checked, () => input);
    const row = {
      ...entry,
      created_at: entry.created_at || now,
      updated_at: entry.updated_at || now,
    };
    return {
      name: `${listName(entry.type)} ${entry.ipornet}`,
      problems: [
        ...(Either.isLeft(checked) ? [checked.left] : []),
        ...(entry.description.includes("\0") ? ["description: has a NUL character"] : []),
      ],
      needs: [],
      row,
    };
  }),
  canonical: Effect.succeed,
  merge: ({ row }, stored, _, { now }) => stored ? { ...row, updated_at: now } : row,
  lacking: () => undefined,
};
