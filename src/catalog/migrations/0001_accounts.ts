import type { Migration } from "../migrate.ts";

/** People who transfer files, and operators. */
export const accounts: Migration = {
  version: 1,
  name: "accounts",
  statements: [
    `create table users (
      id integer primary key autoincrement,
      username text not null unique,
      status integer not null,
      expiration_date integer not null,
      password_hash text not null,
      quota_size integer not null,
      quota_files integer not null,
      used_quota_size integer not null default 0,
      used_quota_files integer not null default 0,
      last_quota_update integer not null default 0,
      used_upload_data_transfer integer not null default 0,
      used_download_data_transfer integer not null default 0,
      created_at integer not null,
      updated_at integer not null,
      last_login integer not null default 0,
      first_upload integer not null default 0,
      first_download integer not null default 0,
      last_password_change integer not null default 0,
      totp_step integer not null default -1,
      settings text not null
    )`,
    `create table admins (
      id integer primary key autoincrement,
      username text not null unique,
      status integer not null,
      password_hash text not null,
      created_at integer not null,
      updated_at integer not null,
      last_login integer not null default 0,
      settings text not null
    )`,
  ],
};
