import { Clock, Effect, Layer } from "effect";
import { Config } from "../config/config.ts";
import { checkGroup } from "../model/check_group.ts";
import type { GroupInput } from "../model/group.ts";
import { canonicalName } from "../model/names.ts";
import { invalid } from "../model/problems.ts";
import { nameDuplicate, noSuch, recordChange } from "./accounts.ts";
import { Groups } from "./catalog.ts";
import { attempt, Database, type Db, whenFree, Writer } from "./database.ts";
import { inUse, missing, referring, selectGroups } from "./named_rows.ts";

/** Everything without a column. */
export const settingsOf = ({ description, user_settings, virtual_folders }: GroupInput) =>
  JSON.stringify({ description, user_settings, virtual_folders });

/** Groups in the catalog (BEHAVIOUR section 7.1). */
export const groupsLayer: Layer.Layer<Groups, never, Database | Writer | Config> = Layer.effect(
  Groups,
  Effect.gen(function* () {
    const { read, checkpoint } = yield* Database;
    const { transact } = yield* Writer;
    const config = yield* Config;
    const nameOf = (raw: string) => canonicalName(raw, config.data_provider.naming_rules);

    const find = (db: Db, name: string) =>
      Effect.gen(function* () {
        const [group] = yield* selectGroups(db, [name]);
        if (!group) return undefined;
        return {
          ...group,
          users: yield* referring(db, "users", "groups", name),
          admins: yield* referring(db, "admins", "groups", name),
        };
      });
    const require = (db: Db, op: string, name: string) =>
      Effect.filterOrFail(
        find(db, name),
        (group) => group !== undefined,
        () => noSuch(op, "group", name),
      );
    const prepare = (op: string, input: GroupInput) => {
      const { group, problems } = checkGroup(input, config);
      return problems.length > 0 ? Effect.fail(invalid(op, problems)) : Effect.succeed(group);
    };
    const foldersThere = (db: Db, op: string, { virtual_folders }: GroupInput) =>
      Effect.flatMap(
        missing(db, "folders", "virtual_folders", virtual_folders.map((f) => f.name)),
        (problems) => problems.length > 0 ? Effect.fail(invalid(op, problems)) : Effect.void,
      );

    return Groups.of({
      find: Effect.fn("Groups.find")((name) => whenFree(find(read, nameOf(name)))),
      list: Effect.fn("Groups.list")(function* ({ limit, offset, order }) {
        const rows = yield* whenFree(
          attempt("list groups", () =>
            read.selectFrom("groups").select("name")
              .orderBy("name", order === "DESC" ? "desc" : "asc").limit(limit).offset(offset)
              .execute()),
        );
        return yield* Effect.forEach(rows, ({ name }) => require(read, "list groups", name));
      }),
      add: Effect.fn("Groups.add")(function* (input, by) {
        const group = yield* prepare("add group", input);
        const { name } = group;
        const added = yield* transact("add group", (trx) =>
          Effect.gen(function* () {
            yield* foldersThere(trx, "add group", group);
            const now = yield* Clock.currentTimeMillis;
            const settings = settingsOf(group);
            yield* attempt("add group", () =>
              trx.insertInto("groups").values({ name, created_at: now, updated_at: now, settings })
                .execute()).pipe(Effect.mapError(nameDuplicate("group", name)));
            yield* recordChange(trx, "add", { type: "group", name }, by, now);
            return yield* require(trx, "add group", name);
          }));
        yield* checkpoint;
        return added;
      }),
      update: Effect.fn("Groups.update")(function* (raw, input, by) {
        const name = nameOf(raw);
        const group = yield* prepare("update group", { ...input, name });
        const updated = yield* transact("update group", (trx) =>
          Effect.gen(function* () {
            yield* require(trx, "update group", name);
            yield* foldersThere(trx, "update group", group);
            const now = yield* Clock.currentTimeMillis;
            yield* attempt("update group", () =>
              trx.updateTable("groups").set({ settings: settingsOf(group), updated_at: now })
                .where("name", "=", name).execute());
            yield* recordChange(trx, "update", { type: "group", name }, by, now);
            return yield* require(trx, "update group", name);
          }));
        yield* checkpoint;
        return updated;
      }),
      remove: Effect.fn("Groups.remove")(function* (raw, by) {
        const name = nameOf(raw);
        yield* transact("remove group", (trx) =>
          Effect.gen(function* () {
            const { users, admins } = yield* require(trx, "remove group", name);
            const held = inUse("group", name, { users, admins });
            if (held) return yield* held;
            yield* attempt("remove group", () =>
              trx.deleteFrom("groups").where("name", "=", name).execute());
            const now = yield* Clock.currentTimeMillis;
            yield* recordChange(trx, "delete", { type: "group", name }, by, now);
          }));
        yield* checkpoint;
      }),
    });
  }),
);
