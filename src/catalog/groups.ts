import { Effect, Layer } from "effect";
import type { Config } from "../config/config.ts";
import { checkGroup } from "../model/check_group.ts";
import type { GroupInput } from "../model/group.ts";
import { Groups } from "./catalog.ts";
import type { Database, Writer } from "./database.ts";
import { missing, referring, selectGroups } from "./named_rows.ts";
import { namedStore } from "./named_store.ts";

/** Everything without a column. */
export const settingsOf = ({ description, user_settings, virtual_folders }: GroupInput) =>
  JSON.stringify({ description, user_settings, virtual_folders });

/** Groups in the catalog (BEHAVIOUR section 7.1). */
export const groupsLayer: Layer.Layer<Groups, never, Database | Writer | Config> = Layer.effect(
  Groups,
  namedStore<GroupInput>({
    type: "group",
    table: "groups",
    check: (input, config) => {
      const { group, problems } = checkGroup(input, config);
      return { object: group, problems };
    },
    lost: (db, { virtual_folders }) =>
      missing(db, "folders", "virtual_folders", virtual_folders.map(({ name }) => name)),
    find: (db, name) =>
      Effect.gen(function* () {
        const [group] = yield* selectGroups(db, [name]);
        if (!group) return undefined;
        return {
          ...group,
          users: yield* referring(db, "users", "groups", name),
          admins: yield* referring(db, "admins", "groups", name),
        };
      }),
    holders: ({ users, admins }) => ({ users, admins }),
    insert: (trx, group, now) =>
      trx.insertInto("groups").values({
        name: group.name,
        created_at: now,
        updated_at: now,
        settings: settingsOf(group),
      }).execute(),
    replace: (trx, group, now) =>
      trx.updateTable("groups").set({ settings: settingsOf(group), updated_at: now })
        .where("name", "=", group.name).execute(),
  }),
);
