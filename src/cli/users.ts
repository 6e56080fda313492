import { type Command } from "commander";
import { Clock, Effect, Schema as S } from "effect";
import { catalogLayer } from "../app.ts";
import { type Executor, Users } from "../catalog/catalog.ts";
import { type User, UserInput } from "../model/user.ts";
import { type Env, orUsage, run } from "./command.ts";
import { tryServer } from "./control_client.ts";
import { prepareDataDir } from "./data_dir.ts";
import { notFound, usage } from "./failure.ts";
import { describe, size, table, time } from "./output.ts";
import { passwordFlags, readPassword } from "./password_input.ts";
import { quotaScanCommand } from "./quota_scan.ts";
import { totpCommand } from "./totp.ts";
import {
  applyFlags,
  asInput,
  readJsonInput,
  readKeys,
  type UserFlags,
  userFlags,
} from "./user_flags.ts";
import { parseCount } from "./values.ts";

/** Whom provider events name for changes made here. */
export const commandLine: Executor = { name: "__system__" };

/** A user as shown: API v2 names, no hash, no sealed secret. */
export const shown = ({ password_hash, ...user }: User) => {
  const { totp_config, recovery_codes, ...filters } = user.filters;
  return {
    ...user,
    has_password: password_hash !== "",
    filters: {
      ...filters,
      totp_config: totp_config && { ...totp_config, secret: undefined },
      recovery_codes: recovery_codes.length,
    },
  };
};

/** Opens the catalog for one command, beside a running server if there is one. */
export const withCatalog = <A, E, R>(env: Env, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    yield* prepareDataDir(env.settings.data_dir);
    return yield* Effect.provide(effect, catalogLayer(env.settings));
  });

const existing = (name: string) =>
  Effect.gen(function* () {
    const users = yield* Users;
    return (yield* users.find(name)) ?? (yield* notFound(`no user ${JSON.stringify(name)}`));
  });

/** Ends the sessions of a user who was removed or disabled; without a server there are none. */
export const endSessions = (env: Env, name: string) =>
  Effect.ignore(
    tryServer(
      env.settings.data_dir,
      "DELETE",
      `/v1/users/${encodeURIComponent(name)}/sessions`,
    ),
  );

/** By the running server, whose counters are live, else directly (BEHAVIOUR DT-05). */
const resetTransfer = (env: Env, name: string) =>
  Effect.gen(function* () {
    const path = `/v1/users/${encodeURIComponent(name)}/transfer-usage`;
    if ((yield* tryServer(env.settings.data_dir, "DELETE", path)) !== undefined) return;
    const reset = Effect.gen(function* () {
      const { username } = yield* existing(name);
      const users = yield* Users;
      yield* users.setTransfer(username, { upload: 0, download: 0 });
    });
    yield* withCatalog(env, reset);
  });

const add = (env: Env, name: string, flags: UserFlags) =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis;
    const base = flags.jsonInput === undefined
      ? S.decodeUnknownSync(UserInput)({ username: name, permissions: {} })
      : yield* readJsonInput(UserInput, flags.jsonInput);
    if (base.username !== name) {
      return yield* usage(`--json-input: username is ${base.username}, but NAME is ${name}`);
    }
    const asked = yield* applyFlags(base, flags, now);
    const permissions = "/" in asked.permissions
      ? asked.permissions
      : { "/": ["*" as const], ...asked.permissions };
    const users = yield* Users;
    const user = yield* users.add({ ...asked, permissions }, commandLine);
    yield* env.show(shown(user), () => `added user ${user.username}, home ${user.home_dir}`);
  });

const update = (env: Env, name: string, flags: UserFlags) =>
  Effect.gen(function* () {
    const users = yield* Users;
    const now = yield* Clock.currentTimeMillis;
    const old = yield* existing(name);
    const base = flags.jsonInput === undefined
      ? asInput(old)
      : yield* readJsonInput(UserInput, flags.jsonInput);
    const user = yield* users.update(name, yield* applyFlags(base, flags, now), commandLine);
    if (user.status === 0) yield* endSessions(env, name);
    yield* env.show(shown(user), () => `updated user ${user.username}`);
  });

const list = (env: Env, limit: number, offset: number) =>
  Effect.gen(function* () {
    const users = yield* Users;
    const found = yield* users.list({ limit, offset });
    yield* env.show(found.map(shown), () =>
      found.length === 0 ? "no users; add one with: sluice user add NAME --password-stdin" : table(
        [
          { title: "USER" },
          { title: "STATUS" },
          { title: "USED", right: true },
          { title: "QUOTA", right: true },
          { title: "FILES", right: true },
          { title: "KEYS", right: true },
          { title: "LAST LOGIN" },
          { title: "HOME" },
        ],
        found.map((u) => [
          u.username,
          u.status === 1 ? "enabled" : "disabled",
          size(u.used_quota_size),
          u.quota_size === 0 ? "-" : size(u.quota_size),
          String(u.used_quota_files),
          String(u.public_keys.length),
          time(u.last_login),
          u.home_dir,
        ]),
      ));
  });

const keys = (env: Env, name: string, verb: string, values: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const users = yield* Users;
    const user = yield* existing(name);
    let next = user.public_keys;
    if (verb === "add" || verb === "remove") {
      if (values.length === 0) return yield* usage(`user keys NAME ${verb}: give a key or a file`);
      const given = yield* Effect.map(
        Effect.forEach(
          values,
          (v) =>
            verb === "remove" && /^\d+$/.test(v)
              ? Effect.succeed([user.public_keys[Number(v) - 1] ?? v])
              : readKeys(v),
        ),
        (lists) => lists.flat(),
      );
      const body = (line: string) => line.split(/\s+/).slice(0, 2).join(" ");
      const touched = new Set(given.map(body));
      const kept = user.public_keys.filter((line) => !touched.has(body(line)));
      if (verb === "remove" && kept.length === user.public_keys.length) {
        return yield* notFound(`user ${name} has no such key`);
      }
      next = verb === "add" ? [...kept, ...given] : kept;
      yield* users.update(name, { ...asInput(user), public_keys: next }, commandLine);
    } else if (verb !== "list") {
      return yield* usage(`user keys NAME: ${JSON.stringify(verb)} is not add, remove or list`);
    }
    yield* env.show(
      next,
      () =>
        next.length === 0
          ? `user ${name} has no public keys`
          : next.map((line, i) => `${i + 1}  ${line}`).join("\n"),
    );
  });

const setPassword = (env: Env, name: string, password: string) =>
  Effect.gen(function* () {
    const users = yield* Users;
    const user = yield* existing(name);
    yield* users.update(name, { ...asInput(user), password }, commandLine);
    yield* env.show({ username: name, changed: true }, () => `changed the password of ${name}`);
  });

/** `sluice user ...` */
export const userCommands = (program: Command): void => {
  const user = program.command("user").description("accounts of people who transfer files");

  userFlags(user.command("add <name>").description("add a user"))
    .addHelpText(
      "after",
      `
Examples:
  printf secret | sluice user add anna --password-stdin
  sluice user add ben --public-key ~/.ssh/id_ed25519.pub --quota-size 10G
  sluice user add drop --permissions list,upload --permissions '/in=list,download'
  sluice user add carl --json-input carl.json`,
    )
    .action((name: string, flags: UserFlags, command: Command) =>
      run(command, (env) => withCatalog(env, add(env, name, flags)))
    );

  userFlags(user.command("update <name>").description("change a user; what is not named stays"))
    .addHelpText(
      "after",
      `
Examples:
  sluice user update anna --quota-size 20G
  sluice user update anna --status 0           (disables and ends sessions)
  sluice user update anna --permissions '/archive=list,download'`,
    )
    .action((name: string, flags: UserFlags, command: Command) =>
      run(command, (env) => withCatalog(env, update(env, name, flags)))
    );

  user.command("list").description("list users")
    .option("--limit <n>", "at most so many", "500").option("--offset <n>", "skip so many", "0")
    .addHelpText("after", "\nExample:\n  sluice user list --json")
    .action((flags: { limit: string; offset: string }, command: Command) =>
      run(command, (env) =>
        withCatalog(
          env,
          Effect.gen(function* () {
            const limit = yield* orUsage(parseCount(flags.limit, "--limit", 1));
            yield* list(env, limit, yield* orUsage(parseCount(flags.offset, "--offset")));
          }),
        ))
    );

  user.command("show <name>").description("show one user")
    .addHelpText("after", "\nExample:\n  sluice user show anna --json")
    .action((name: string, _: unknown, command: Command) =>
      run(command, (env) =>
        withCatalog(
          env,
          Effect.gen(function* () {
            const found = shown(yield* existing(name));
            yield* env.show(found, () => describe(found));
          }),
        ))
    );

  user.command("remove <name>").description("remove a user; files stay on disk")
    .addHelpText("after", "\nExample:\n  sluice user remove anna")
    .action((name: string, _: unknown, command: Command) =>
      run(command, (env) =>
        withCatalog(
          env,
          Effect.gen(function* () {
            const gone = yield* existing(name);
            yield* Effect.flatMap(Users, (users) => users.remove(name, commandLine));
            yield* endSessions(env, name);
            yield* env.show(
              { username: name, removed: true },
              () => `removed user ${name}; files in ${gone.home_dir} were left`,
            );
          }),
        ))
    );

  passwordFlags(user.command("passwd <name>").description("set a user's password"))
    .addHelpText("after", "\nExample:\n  printf secret | sluice user passwd anna --password-stdin")
    .action((name: string, flags: UserFlags, command: Command) =>
      run(command, (env) =>
        withCatalog(
          env,
          Effect.flatMap(readPassword(flags, true), (p) => setPassword(env, name, p ?? "")),
        ))
    );

  user.command("keys <name> <verb> [key...]").description("list, add or remove public keys")
    .addHelpText(
      "after",
      `
Examples:
  sluice user keys anna add ~/.ssh/id_ed25519.pub
  sluice user keys anna list
  sluice user keys anna remove 1`,
    )
    .action((name: string, verb: string, values: string[], _: unknown, command: Command) =>
      run(command, (env) => withCatalog(env, keys(env, name, verb, values)))
    );

  totpCommand(user);

  user.command("reset-transfer <name>").description("count a user's data transfer from 0 again")
    .addHelpText("after", "\nExample:\n  sluice user reset-transfer anna")
    .action((name: string, _: unknown, command: Command) =>
      run(command, (env) =>
        Effect.gen(function* () {
          yield* resetTransfer(env, name);
          yield* env.show(
            { username: name, used_upload_data_transfer: 0, used_download_data_transfer: 0 },
            () => `${name} begins anew with the data that may be transferred`,
          );
        }))
    );

  quotaScanCommand(user, "user");
};
