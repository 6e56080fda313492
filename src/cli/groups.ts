import { resolve } from "node:path";
import { type Command } from "commander";
import { Effect, Schema as S } from "effect";
import { Groups } from "../catalog/catalog.ts";
import { GroupInput } from "../model/group.ts";
import { orUsage } from "./command.ts";
import { parseMounts } from "./mount_values.ts";
import { objectCommands } from "./objects.ts";
import { many } from "./user_flags.ts";
import { parseCount, parsePermissions, parseSize } from "./values.ts";

interface GroupFlags {
  readonly home?: string;
  readonly permissions?: ReadonlyArray<string>;
  readonly folder?: ReadonlyArray<string>;
  readonly quotaSize?: string;
  readonly quotaFiles?: string;
  readonly maxSessions?: string;
  readonly description?: string;
  readonly jsonInput?: string;
}

const apply = (base: GroupInput, flags: GroupFlags) =>
  Effect.gen(function* () {
    const given = base.user_settings;
    const { home, quotaSize, quotaFiles, maxSessions, permissions, folder, description } = flags;
    return {
      ...base,
      ...(description !== undefined && { description }),
      ...(folder && { virtual_folders: yield* orUsage(parseMounts(folder)) }),
      user_settings: {
        ...given,
        ...(home !== undefined && { home_dir: home === "" ? "" : resolve(home) }),
        ...(permissions && {
          permissions: yield* orUsage(parsePermissions(permissions, given.permissions)),
        }),
        ...(quotaSize !== undefined && {
          quota_size: yield* orUsage(parseSize(quotaSize, "--quota-size")),
        }),
        ...(quotaFiles !== undefined && {
          quota_files: yield* orUsage(parseCount(quotaFiles, "--quota-files")),
        }),
        ...(maxSessions !== undefined && {
          max_sessions: yield* orUsage(parseCount(maxSessions, "--max-sessions")),
        }),
      },
    };
  });

/** `sluice group ...` */
export const groupCommands = (program: Command): void => {
  objectCommands<GroupInput, typeof GroupInput.Encoded, GroupFlags>(program, {
    noun: "group",
    about: "settings that users share",
    store: Groups,
    schema: GroupInput,
    empty: (name) => S.decodeUnknownSync(GroupInput)({ name }),
    flags: (command) =>
      command
        .option("--home <dir>", "home folder of users; %username% is whoever logs in")
        .option("--permissions <list>", "list,... for /, or /dir=list,... (repeatable)", many)
        .option("--folder <path=name>", "mounts, /path=NAME[/subpath][:size[:files]]", many)
        .option("--quota-size <bytes>", "for users without one of their own")
        .option("--quota-files <n>", "for users without one of their own")
        .option("--max-sessions <n>", "for users without a limit of their own"),
    apply,
    columns: [{ title: "GROUP" }, { title: "USERS", right: true }, { title: "FOLDERS" }],
    row: (g) => [
      g.name,
      String(g.users.length),
      g.virtual_folders.map((f) => `${f.virtual_path}=${f.name}`).join(" "),
    ],
    example: "staff --folder /shared=shared",
  });
};
