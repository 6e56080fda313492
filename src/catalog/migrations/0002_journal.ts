import type { Migration } from "../migrate.ts";

/** What happened, and what was about to happen. `autoincrement`: a sequence number is never used again. */
export const journal: Migration = {
  version: 2,
  name: "journal",
  statements: [
    `create table events (
      id integer primary key autoincrement,
      timestamp integer not null,
      kind text not null,
      action text not null,
      status integer not null,
      username text not null,
      ip text not null,
      session_id text not null,
      virtual_path text not null,
      virtual_target_path text not null,
      details text not null
    )`,
    `create index events_by_time on events (timestamp)`,
    `create index events_by_user on events (username, id)`,
    `create index events_by_session on events (session_id) where session_id <> ''`,
    `create index events_by_path on events (virtual_path) where virtual_path <> ''`,
    `create table intents (
      id integer primary key autoincrement,
      node text not null,
      process text not null,
      event text not null,
      intent text not null,
      quota text not null
    )`,
  ],
};
