import type { Migration } from "../migrate.ts";

/** What lies at or below a path, as the index on (owner, path) serves it: `0` is the byte after `/`. */
const within = (path: string) =>
  `owner = new.username and (path = ${path} or (path >= ${path} || '/' and path < ${path} || '0'))`;

/**
 * WebDAV's locks and dead properties, by user and path.
 *
 * The triggers let them follow the journal: what any protocol removes or
 * renames takes its properties along in the transaction that records it, so
 * that they never meet a new file of the same name.
 */
export const dav: Migration = {
  version: 6,
  name: "dav",
  statements: [
    `create table dav_locks (
      token text primary key,
      owner text not null,
      path text not null,
      deep integer not null,
      exclusive integer not null,
      seconds integer not null,
      expires integer not null,
      contact text not null
    ) without rowid`,
    `create index dav_locks_by_owner on dav_locks (owner, path)`,
    `create index dav_locks_by_end on dav_locks (expires)`,
    // The value comes last: counting bytes then reads no long row.
    `create table dav_properties (
      owner text not null,
      path text not null,
      ns text not null,
      name text not null,
      bytes integer not null,
      value text not null,
      primary key (owner, path, ns, name)
    ) without rowid`,
    `create trigger dav_removed after insert on events
      when new.action in ('delete', 'rmdir') and new.status = 1 and new.virtual_path <> ''
    begin
      delete from dav_properties where ${within("new.virtual_path")};
      delete from dav_locks where ${within("new.virtual_path")};
    end`,
    // Locks stay behind and end (RFC 4918 section 7.6).
    `create trigger dav_renamed after insert on events
      when new.action = 'rename' and new.status = 1
        and new.virtual_path <> '' and new.virtual_target_path <> ''
    begin
      delete from dav_properties where ${within("new.virtual_target_path")};
      update dav_properties
        set path = new.virtual_target_path || substr(path, length(new.virtual_path) + 1)
        where ${within("new.virtual_path")};
      delete from dav_locks where ${within("new.virtual_path")};
    end`,
    `create trigger dav_user_removed after delete on users
    begin
      delete from dav_properties where owner = old.username;
      delete from dav_locks where owner = old.username;
    end`,
  ],
};
