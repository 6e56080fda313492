import { type Command } from "commander";
import { Effect, Schema as S } from "effect";
import { Admins } from "../catalog/catalog.ts";
import { type Admin, AdminInput, AdminPermission } from "../model/admin.ts";
import { type Env, run } from "./command.ts";
import { notFound, usage } from "./failure.ts";
import { describe, table, time } from "./output.ts";
import { type PasswordFlags, passwordFlags, readPassword } from "./password_input.ts";
import { many, oneOf, readJsonInput, readStatus } from "./user_flags.ts";
import { commandLine, withCatalog } from "./users.ts";

interface AdminFlags extends PasswordFlags {
  readonly permissions?: ReadonlyArray<string>;
  readonly status?: string;
  readonly email?: string;
  readonly description?: string;
  readonly allowedIp?: ReadonlyArray<string>;
  readonly jsonInput?: string;
}

const adminFlags = (command: Command): Command =>
  passwordFlags(command)
    .option("--permissions <list>", "administrator permissions, by comma (default: *)", many)
    .option("--status <0|1>", "1 enabled, 0 disabled")
    .option("--email <address>", "mail address")
    .option("--description <text>", "free text")
    .option("--allowed-ip <cidr>", "only from here (repeatable)", many)
    .option("--json-input <file>", "a whole admin object (API v2) from a file, or - for stdin");

const shown = ({ password_hash: _, ...admin }: Admin) => {
  const { totp_config, recovery_codes, ...filters } = admin.filters;
  return {
    ...admin,
    filters: {
      ...filters,
      totp_config: totp_config && { ...totp_config, secret: undefined },
      recovery_codes: recovery_codes.length,
    },
  };
};

const asInput = ({ password_hash: _, ...admin }: Admin): AdminInput => admin;

const existing = (name: string) =>
  Effect.gen(function* () {
    const admins = yield* Admins;
    return (yield* admins.find(name)) ?? (yield* notFound(`no admin ${JSON.stringify(name)}`));
  });

const applyFlags = (base: AdminInput, flags: AdminFlags, needsPassword: boolean) =>
  Effect.gen(function* () {
    const named = flags.permissions?.flatMap((p) => p.split(",")).map((p) => p.trim());
    const password = yield* readPassword(flags, needsPassword);
    const input: AdminInput = {
      ...base,
      permissions: named === undefined
        ? base.permissions
        : yield* oneOf("--permissions", AdminPermission.literals, named),
      status: yield* readStatus(flags.status, base.status),
      email: flags.email ?? base.email,
      description: flags.description ?? base.description,
      filters: { ...base.filters, allow_list: flags.allowedIp ?? base.filters.allow_list },
    };
    return password === undefined ? input : { ...input, password };
  });

const add = (env: Env, name: string, flags: AdminFlags) =>
  Effect.gen(function* () {
    const base = flags.jsonInput === undefined
      ? S.decodeUnknownSync(AdminInput)({ username: name, permissions: ["*"] })
      : yield* readJsonInput(AdminInput, flags.jsonInput);
    if (base.username !== name) {
      return yield* usage(`--json-input: username is ${base.username}, but NAME is ${name}`);
    }
    const input = yield* applyFlags(base, flags, !base.password);
    const admin = yield* Effect.flatMap(Admins, (admins) => admins.add(input, commandLine));
    yield* env.show(shown(admin), () => `added admin ${admin.username}`);
  });

const update = (env: Env, name: string, flags: AdminFlags) =>
  Effect.gen(function* () {
    const admins = yield* Admins;
    const old = yield* existing(name);
    const base = flags.jsonInput === undefined
      ? asInput(old)
      : yield* readJsonInput(AdminInput, flags.jsonInput);
    const admin = yield* admins.update(name, yield* applyFlags(base, flags, false), commandLine);
    yield* env.show(shown(admin), () => `updated admin ${admin.username}`);
  });

const list = (env: Env) =>
  Effect.gen(function* () {
    const found = yield* Effect.flatMap(Admins, (a) => a.list({ limit: 500, offset: 0 }));
    yield* env.show(found.map(shown), () =>
      found.length === 0 ? "no admins; add one with: sluice admin add NAME" : table(
        [{ title: "ADMIN" }, { title: "STATUS" }, { title: "PERMISSIONS" }, {
          title: "LAST LOGIN",
        }],
        found.map((a) => [
          a.username,
          a.status === 1 ? "enabled" : "disabled",
          a.permissions.join(","),
          time(a.last_login),
        ]),
      ));
  });

/** `sluice admin ...` */
export const adminCommands = (program: Command): void => {
  const admin = program.command("admin").description("accounts of operators");

  adminFlags(admin.command("add <name>").description("add an administrator"))
    .addHelpText("after", "\nExample:\n  printf secret | sluice admin add root --password-stdin")
    .action((name: string, flags: AdminFlags, command: Command) =>
      run(command, (env) => withCatalog(env, add(env, name, flags)))
    );
  adminFlags(admin.command("update <name>").description("change an administrator"))
    .addHelpText("after", "\nExample:\n  sluice admin update root --allowed-ip 10.0.0.0/8")
    .action((name: string, flags: AdminFlags, command: Command) =>
      run(command, (env) => withCatalog(env, update(env, name, flags)))
    );
  admin.command("list").description("list administrators")
    .addHelpText("after", "\nExample:\n  sluice admin list --json")
    .action((_: unknown, command: Command) => run(command, (env) => withCatalog(env, list(env))));
  admin.command("show <name>").description("show one administrator")
    .addHelpText("after", "\nExample:\n  sluice admin show root")
    .action((name: string, _: unknown, command: Command) =>
      run(command, (env) =>
        withCatalog(
          env,
          Effect.flatMap(existing(name), (a) => env.show(shown(a), () => describe(shown(a)))),
        ))
    );
  admin.command("remove <name>").description("remove an administrator")
    .addHelpText("after", "\nExample:\n  sluice admin remove root")
    .action((name: string, _: unknown, command: Command) =>
      run(command, (env) =>
        withCatalog(
          env,
          Effect.gen(function* () {
            yield* existing(name);
            yield* Effect.flatMap(Admins, (admins) => admins.remove(name, commandLine));
            yield* env.show({ username: name, removed: true }, () => `removed admin ${name}`);
          }),
        ))
    );
  passwordFlags(admin.command("passwd <name>").description("set an administrator's password"))
    .addHelpText("after", "\nExample:\n  printf secret | sluice admin passwd root --password-stdin")
    .action((name: string, flags: AdminFlags, command: Command) =>
      run(command, (env) =>
        withCatalog(
          env,
          Effect.gen(function* () {
            const admins = yield* Admins;
            const old = yield* existing(name);
            const password = yield* readPassword(flags, true);
            yield* admins.update(name, { ...asInput(old), password }, commandLine);
            yield* env.show({ username: name, changed: true }, () =>
              `changed the password of ${name}`);
          }),
        ))
    );
};
