import { Effect, Schema as S } from "effect";
import { type Selectable, sql } from "kysely";
import { CatalogError } from "../errors.ts";
import { FolderInput } from "../model/folder.ts";
import { GroupInput } from "../model/group.ts";
import { attempt, type Db } from "./database.ts";
import { exact, type FoldersTable, type GroupsTable } from "./rows.ts";

/** Reads a stored object; what does not read as one is damage. */
export const decode = <A, I>(
  schema: S.Schema<A, I>,
  what: string,
  name: string,
  make: () => unknown,
): Effect.Effect<A, CatalogError> =>
  Effect.try({
    try: () => S.decodeUnknownSync(schema)(make()),
    catch: (cause) =>
      new CatalogError({
        reason: "Corrupt",
        op: `read ${what}`,
        detail: `the stored ${what} ${JSON.stringify(name)} cannot be read`,
        cause,
      }),
  });

export const decodeFolder = ({ settings, ...row }: Selectable<FoldersTable>) =>
  decode(FolderInput, "folder", row.name, () => ({
    ...JSON.parse(settings),
    id: exact(row.id),
    name: row.name,
    used_quota_size: Math.max(0, exact(row.used_quota_size)),
    used_quota_files: Math.max(0, exact(row.used_quota_files)),
    last_quota_update: exact(row.last_quota_update),
  }));

export const decodeGroup = ({ settings, ...row }: Selectable<GroupsTable>) =>
  decode(GroupInput, "group", row.name, () => ({
    ...JSON.parse(settings),
    id: exact(row.id),
    name: row.name,
    created_at: exact(row.created_at),
    updated_at: exact(row.updated_at),
  }));

/** Names of the rows of `table` whose list `member` names `name`. */
export const referring = (
  db: Db,
  table: "users" | "groups" | "admins",
  member: "groups" | "virtual_folders",
  name: string,
): Effect.Effect<ReadonlyArray<string>, CatalogError> => {
  const column = table === "groups" ? sql.ref("name") : sql.ref("username");
  return Effect.map(
    attempt(
      "references",
      () =>
        sql<{ name: string }>`select ${column} as name from ${sql.table(table)}
        where exists (select 1 from json_each(settings, ${`$.${member}`})
          where json_extract(value, '$.name') = ${name}) order by 1`.execute(db),
    ),
    ({ rows }) => rows.map((row) => row.name),
  );
};

/** Folders of these names; all of them, in pages, without `names`. */
export const selectFolders = (
  db: Db,
  names: ReadonlyArray<string>,
): Effect.Effect<ReadonlyArray<FolderInput>, CatalogError> =>
  names.length === 0 ? Effect.succeed([]) : Effect.flatMap(
    attempt(
      "read folders",
      () => db.selectFrom("folders").selectAll().where("name", "in", names).execute(),
    ),
    (rows) => Effect.forEach(rows, decodeFolder),
  );

/** Groups of these names. */
export const selectGroups = (
  db: Db,
  names: ReadonlyArray<string>,
): Effect.Effect<ReadonlyArray<GroupInput>, CatalogError> =>
  names.length === 0 ? Effect.succeed([]) : Effect.flatMap(
    attempt(
      "read groups",
      () => db.selectFrom("groups").selectAll().where("name", "in", names).execute(),
    ),
    (rows) => Effect.forEach(rows, decodeGroup),
  );

/** What of `names` there is not: one problem each, under its field. */
export const missing = (
  db: Db,
  table: "folders" | "groups",
  member: string,
  names: ReadonlyArray<string>,
): Effect.Effect<ReadonlyArray<string>, CatalogError> =>
  names.length === 0 ? Effect.succeed([]) : Effect.map(
    attempt(
      "read names",
      () => db.selectFrom(table).select("name").where("name", "in", names).execute(),
    ),
    (rows) => {
      const there = new Set(rows.map((row) => row.name));
      return names.flatMap((name, i) =>
        there.has(name)
          ? []
          : [`${member}[${i}].name: there is no ${table.slice(0, -1)} ${JSON.stringify(name)}`]
      );
    },
  );

/** Refuses to take away what is still referred to. */
export const inUse = (
  type: "folder" | "group",
  name: string,
  by: Readonly<Record<string, ReadonlyArray<string>>>,
): CatalogError | undefined => {
  const found = Object.entries(by).filter(([, names]) => names.length > 0)
    .map(([kind, names]) =>
      `${kind} ${names.slice(0, 5).join(", ")}${names.length > 5 ? " ..." : ""}`
    );
  return found.length === 0 ? undefined : new CatalogError({
    reason: "InUse",
    op: `remove ${type}`,
    detail: `${type} ${JSON.stringify(name)} is used by ${found.join("; ")}`,
  });
};
