import { resolve } from "node:path";
import { type Command } from "commander";
import { Effect, Schema as S } from "effect";
import { Folders } from "../catalog/catalog.ts";
import { FolderInput } from "../model/folder.ts";
import { objectCommands } from "./objects.ts";
import { size } from "./output.ts";
import { quotaScanCommand } from "./quota_scan.ts";

interface FolderFlags {
  readonly path?: string;
  readonly description?: string;
  readonly jsonInput?: string;
}

/** `sluice folder ...` */
export const folderCommands = (program: Command): void => {
  const folder = objectCommands<FolderInput, typeof FolderInput.Encoded, FolderFlags>(program, {
    noun: "folder",
    about: "folders that users and groups mount",
    store: Folders,
    schema: FolderInput,
    empty: (name) => S.decodeUnknownSync(FolderInput)({ name }),
    flags: (command) =>
      command.option("--path <dir>", "the folder on disk; %username% is whoever logs in"),
    apply: (base, { path, description }) =>
      Effect.succeed({
        ...base,
        ...(path !== undefined && { mapped_path: resolve(path) }),
        ...(description !== undefined && { description }),
      }),
    columns: [
      { title: "FOLDER" },
      { title: "USED", right: true },
      { title: "FILES", right: true },
      { title: "USERS", right: true },
      { title: "GROUPS", right: true },
      { title: "PATH" },
    ],
    row: (f) => [
      f.name,
      size(f.used_quota_size),
      String(f.used_quota_files),
      String(f.users.length),
      String(f.groups.length),
      f.mapped_path,
    ],
    example: "shared --path /srv/shared",
  });
  quotaScanCommand(folder, "folder");
};
