import type { Migration } from "../migrate.ts";

/**
 * IP lists and the defender's memory (BEHAVIOUR sections 19 and 21). One row of
 * `guard_changes` tells every node that what it has read is old.
 */
export const guard: Migration = {
  version: 5,
  name: "guard",
  statements: [
    `create table ip_lists (
      type integer not null,
      ipornet text not null,
      mode integer not null,
      protocols integer not null,
      description text not null,
      created_at integer not null,
      updated_at integer not null,
      primary key (type, ipornet)
    ) without rowid`,
    `create table defender_events (
      id integer primary key,
      ip text not null,
      at integer not null,
      score integer not null
    )`,
    `create index defender_events_by_ip on defender_events (ip, at)`,
    `create index defender_events_by_time on defender_events (at)`,
    `create table defender_bans (
      ip text primary key,
      until integer not null
    ) without rowid`,
    `create table guard_changes (id integer primary key, version integer not null)`,
    `insert into guard_changes (id, version) values (1, 0)`,
  ],
};
