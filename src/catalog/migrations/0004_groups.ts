import type { Migration } from "../migrate.ts";

/** Virtual folders, and groups of users. */
export const groups: Migration = {
  version: 4,
  name: "groups",
  statements: [
    `create table folders (
      id integer primary key autoincrement,
      name text not null unique,
      used_quota_size integer not null default 0,
      used_quota_files integer not null default 0,
      last_quota_update integer not null default 0,
      settings text not null
    )`,
    `create table groups (
      id integer primary key autoincrement,
      name text not null unique,
      created_at integer not null,
      updated_at integer not null,
      settings text not null
    )`,
  ],
};
