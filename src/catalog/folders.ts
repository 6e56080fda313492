import { Effect, Layer } from "effect";
import type { Config } from "../config/config.ts";
import { checkFolder } from "../model/check_folder.ts";
import type { FolderInput } from "../model/folder.ts";
import { Folders } from "./catalog.ts";
import type { Database, Writer } from "./database.ts";
import { referring, selectFolders } from "./named_rows.ts";
import { namedStore } from "./named_store.ts";

/** Everything without a column. */
export const settingsOf = ({ mapped_path, description, filesystem }: FolderInput) =>
  JSON.stringify({ mapped_path, description, filesystem });

/** Virtual folders in the catalog (BEHAVIOUR section 8). */
export const foldersLayer: Layer.Layer<Folders, never, Database | Writer | Config> = Layer.effect(
  Folders,
  namedStore<FolderInput>({
    type: "folder",
    table: "folders",
    check: (input, config) => {
      const { folder, problems } = checkFolder(input, config);
      return { object: folder, problems };
    },
    lost: () => Effect.succeed([]),
    find: (db, name) =>
      Effect.gen(function* () {
        const [folder] = yield* selectFolders(db, [name]);
        if (!folder) return undefined;
        return {
          ...folder,
          users: yield* referring(db, "users", "virtual_folders", name),
          groups: yield* referring(db, "groups", "virtual_folders", name),
        };
      }),
    holders: ({ users, groups }) => ({ users, groups }),
    insert: (trx, folder) =>
      trx.insertInto("folders").values({
        name: folder.name,
        used_quota_size: 0,
        used_quota_files: 0,
        last_quota_update: 0,
        settings: settingsOf(folder),
      }).execute(),
    replace: (trx, folder) =>
      trx.updateTable("folders").set({ settings: settingsOf(folder) })
        .where("name", "=", folder.name).execute(),
  }),
);
