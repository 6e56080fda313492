import { Clock, Effect, Layer } from "effect";
import { Config } from "../config/config.ts";
import { checkFolder } from "../model/check_folder.ts";
import { canonicalName } from "../model/names.ts";
import type { FolderInput } from "../model/folder.ts";
import { invalid } from "../model/problems.ts";
import { nameDuplicate, noSuch, recordChange } from "./accounts.ts";
import { Folders } from "./catalog.ts";
import { attempt, Database, type Db, whenFree, Writer } from "./database.ts";
import { inUse, referring, selectFolders } from "./named_rows.ts";

/** Everything without a column. */
export const settingsOf = ({ mapped_path, description, filesystem }: FolderInput) =>
  JSON.stringify({ mapped_path, description, filesystem });

/** Virtual folders in the catalog (BEHAVIOUR section 8). */
export const foldersLayer: Layer.Layer<Folders, never, Database | Writer | Config> = Layer.effect(
  Folders,
  Effect.gen(function* () {
    const { read, checkpoint } = yield* Database;
    const { transact } = yield* Writer;
    const config = yield* Config;
    const nameOf = (raw: string) => canonicalName(raw, config.data_provider.naming_rules);

    const find = (db: Db, name: string) =>
      Effect.gen(function* () {
        const [folder] = yield* selectFolders(db, [name]);
        if (!folder) return undefined;
        return {
          ...folder,
          users: yield* referring(db, "users", "virtual_folders", name),
          groups: yield* referring(db, "groups", "virtual_folders", name),
        };
      });
    const require = (db: Db, op: string, name: string) =>
      Effect.filterOrFail(
        find(db, name),
        (folder) => folder !== undefined,
        () => noSuch(op, "folder", name),
      );
    const prepare = (op: string, input: FolderInput) => {
      const { folder, problems } = checkFolder(input, config);
      return problems.length > 0 ? Effect.fail(invalid(op, problems)) : Effect.succeed(folder);
    };

    return Folders.of({
      find: Effect.fn("Folders.find")((name) => whenFree(find(read, nameOf(name)))),
      list: Effect.fn("Folders.list")(function* ({ limit, offset, order }) {
        const rows = yield* whenFree(
          attempt("list folders", () =>
            read.selectFrom("folders").select("name")
              .orderBy("name", order === "DESC" ? "desc" : "asc").limit(limit).offset(offset)
              .execute()),
        );
        return yield* Effect.forEach(rows, ({ name }) => require(read, "list folders", name));
      }),
      add: Effect.fn("Folders.add")(function* (input, by) {
        const folder = yield* prepare("add folder", input);
        const { name } = folder;
        const added = yield* transact("add folder", (trx) =>
          Effect.gen(function* () {
            const now = yield* Clock.currentTimeMillis;
            yield* attempt("add folder", () =>
              trx.insertInto("folders").values({
                name,
                used_quota_size: 0,
                used_quota_files: 0,
                last_quota_update: 0,
                settings: settingsOf(folder),
              }).execute()).pipe(Effect.mapError(nameDuplicate("folder", name)));
            yield* recordChange(trx, "add", { type: "folder", name }, by, now);
            return yield* require(trx, "add folder", name);
          }));
        yield* checkpoint;
        return added;
      }),
      update: Effect.fn("Folders.update")(function* (raw, input, by) {
        const name = nameOf(raw);
        const folder = yield* prepare("update folder", { ...input, name });
        const updated = yield* transact("update folder", (trx) =>
          Effect.gen(function* () {
            yield* require(trx, "update folder", name);
            yield* attempt("update folder", () =>
              trx.updateTable("folders").set({ settings: settingsOf(folder) })
                .where("name", "=", name).execute());
            const now = yield* Clock.currentTimeMillis;
            yield* recordChange(trx, "update", { type: "folder", name }, by, now);
            return yield* require(trx, "update folder", name);
          }));
        yield* checkpoint;
        return updated;
      }),
      remove: Effect.fn("Folders.remove")(function* (raw, by) {
        const name = nameOf(raw);
        yield* transact("remove folder", (trx) =>
          Effect.gen(function* () {
            const { users, groups } = yield* require(trx, "remove folder", name);
            const held = inUse("folder", name, { users: users, groups: groups });
            if (held) return yield* held;
            yield* attempt("remove folder", () =>
              trx.deleteFrom("folders").where("name", "=", name).execute());
            const now = yield* Clock.currentTimeMillis;
            yield* recordChange(trx, "delete", { type: "folder", name }, by, now);
          }));
        yield* checkpoint;
      }),
    });
  }),
);
