import type { Migration } from "../migrate.ts";

/** Uploads that outlive their connection. `reserved`: bytes that they may still add to their user's. */
export const resumable: Migration = {
  version: 7,
  name: "resumable uploads",
  statements: [
    `create table resumable_uploads (
      id text primary key,
      user_id integer not null,
      storage text not null,
      path text not null,
      kind text not null,
      parts text not null,
      length integer not null,
      reserved integer not null,
      metadata text not null,
      options text not null,
      finishing integer not null default 0,
      created_at integer not null
    )`,
    `create index resumable_uploads_by_user on resumable_uploads (user_id)`,
    `create index resumable_uploads_by_time on resumable_uploads (created_at)`,
  ],
};
