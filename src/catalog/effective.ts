import { Effect } from "effect";
import { CatalogError } from "../errors.ts";
import { effectiveUser } from "../model/effective.ts";
import type { User } from "../model/user.ts";
import type { Db } from "./database.ts";
import { selectFolders, selectGroups } from "./named_rows.ts";

/**
 * Reads what `user` refers to and merges it. Fails with Corrupt where a group or
 * folder is gone: without it the user might reach more than was meant (DIS-14).
 */
export const effectiveOf = (db: Db, user: User): Effect.Effect<User, CatalogError> =>
  Effect.gen(function* () {
    if (user.groups.length === 0 && user.virtual_folders.length === 0) {
      return effectiveUser(user, new Map(), new Map());
    }
    const giving = user.groups.filter((group) => group.type !== 3).map((group) => group.name);
    const groups = new Map((yield* selectGroups(db, giving)).map((group) => [group.name, group]));
    const gone = giving.find((name) => !groups.has(name));
    if (gone !== undefined) return yield* lost(user, "group", gone);
    const names = [user, ...groups.values()].flatMap((o) => o.virtual_folders.map((f) => f.name));
    const folders = yield* selectFolders(db, [...new Set(names)]);
    const byName = new Map(folders.map((folder) => [folder.name, folder]));
    const absent = names.find((name) => !byName.has(name));
    if (absent !== undefined) return yield* lost(user, "folder", absent);
    return effectiveUser(user, groups, byName);
  });

const lost = (user: User, what: string, name: string) =>
  new CatalogError({
    reason: "Corrupt",
    op: "read user",
    detail: `user ${JSON.stringify(user.username)} refers to ${what} ${JSON.stringify(name)}, ` +
      "which is not there",
  });
