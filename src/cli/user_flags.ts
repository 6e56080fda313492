import { dirname, resolve } from "node:path";
import { type Command } from "commander";
import { Effect, Either, ParseResult, Schema as S } from "effect";
import { LoginMethod, type User, UserInput } from "../model/user.ts";
import { orUsage } from "./command.ts";
import { type Refusal, usage } from "./failure.ts";
import { parseMemberships, parseMounts } from "./mount_values.ts";
import { type PasswordFlags, passwordFlags, readPassword } from "./password_input.ts";
import { parseCount, parsePermissions, parseSize, parseTime } from "./values.ts";

/** Flags of `user add` and `user update`, as commander hands them over. */
export interface UserFlags extends PasswordFlags {
  readonly home?: string;
  readonly permissions?: ReadonlyArray<string>;
  readonly publicKey?: ReadonlyArray<string>;
  readonly quotaSize?: string;
  readonly quotaFiles?: string;
  readonly maxSessions?: string;
  readonly status?: string;
  readonly allowedIp?: ReadonlyArray<string>;
  readonly deniedIp?: ReadonlyArray<string>;
  readonly deniedMethod?: ReadonlyArray<string>;
  readonly deniedProtocol?: ReadonlyArray<string>;
  readonly expires?: string;
  readonly startDirectory?: string;
  readonly uid?: string;
  readonly gid?: string;
  readonly email?: string;
  readonly description?: string;
  readonly folder?: ReadonlyArray<string>;
  readonly group?: ReadonlyArray<string>;
  readonly jsonInput?: string;
}

/** Collects a repeatable flag. */
export const many = (value: string, before: ReadonlyArray<string> = []) => [...before, value];

export const userFlags = (command: Command): Command =>
  passwordFlags(command)
    .option("--home <dir>", "home folder (default: users/NAME in the data folder)")
    .option("--permissions <list>", "list,download,... for /, or /dir=list,... (repeatable)", many)
    .option("--public-key <key>", "key file or authorized_keys line (repeatable)", many)
    .option("--quota-size <bytes>", "most bytes stored, e.g. 500M, 10G; 0 is unlimited")
    .option("--quota-files <n>", "most files stored; 0 is unlimited")
    .option("--max-sessions <n>", "most sessions at a time; 0 is unlimited")
    .option("--status <0|1>", "1 enabled, 0 disabled")
    .option("--allowed-ip <cidr>", "only from here (repeatable)", many)
    .option("--denied-ip <cidr>", "never from here (repeatable)", many)
    .option("--denied-method <method>", "login method not to accept (repeatable)", many)
    .option("--denied-protocol <p>", "SSH, FTP, DAV or HTTP not to accept (repeatable)", many)
    .option("--expires <time>", "account ends then, ISO 8601; never lifts it")
    .option("--start-directory <path>", "virtual folder that sessions start in")
    .option("--uid <n>", "owner of new files, when run as root")
    .option("--gid <n>", "group of new files, when run as root")
    .option("--email <address>", "mail address")
    .option("--description <text>", "free text")
    .option("--folder <path=name>", "mounts, /path=NAME[/subpath][:size[:files]] or :user", many)
    .option("--group <name>", "NAME[:primary|secondary|membership] (repeatable)", many)
    .option("--json-input <file>", "a whole user object (API v2) from a file, or - for stdin");

/** What a stored user looks like as input: a full replace that keeps the password. */
export const asInput = ({ password_hash: _, ...user }: User): UserInput => ({
  ...user,
  has_password: false,
});

/** Reads `--json-input`; every wrong member is named. */
export const readJsonInput = <A, I>(schema: S.Schema<A, I>, file: string) =>
  Effect.gen(function* () {
    const text = yield* Effect.tryPromise({
      try: () => file === "-" ? new Response(Deno.stdin.readable).text() : Deno.readTextFile(file),
      catch: () => usage(`--json-input ${file}: cannot be read`),
    });
    const parsed = yield* Effect.try({
      try: () => JSON.parse(text) as unknown,
      catch: (cause) => usage(`--json-input ${file}: not valid JSON: ${String(cause)}`),
    });
    const decoded = S.decodeUnknownEither(schema, { errors: "all" })(parsed);
    if (Either.isRight(decoded)) return decoded.right;
    const issues = ParseResult.ArrayFormatter.formatErrorSync(decoded.left)
      .filter((i) => !/^Expected (undefined|null),/.test(i.message))
      .map((i) => `--json-input ${file}: ${i.path.map(String).join(".")}: ${i.message}`);
    return yield* usage(issues.join("\n"));
  });

/** Overlays flags on `base` (a stored user, a JSON object, or the defaults). */
export const applyFlags = (
  base: UserInput,
  flags: UserFlags,
  now: number,
): Effect.Effect<UserInput, Refusal> =>
  Effect.gen(function* () {
    const count = (flag: string, text: string | undefined, old: number) =>
      text === undefined ? Effect.succeed(old) : orUsage(parseCount(text, flag));
    const permissions = yield* orUsage(parsePermissions(flags.permissions ?? [], base.permissions));
    const keys = flags.publicKey === undefined
      ? base.public_keys
      : (yield* Effect.forEach(flags.publicKey, readKeys)).flat();
    const password = yield* readPassword(flags, false);
    const input: UserInput = {
      ...base,
      permissions,
      public_keys: keys,
      home_dir: flags.home === undefined ? base.home_dir : yield* possibleHome(flags.home),
      quota_size: flags.quotaSize === undefined
        ? base.quota_size
        : yield* orUsage(parseSize(flags.quotaSize, "--quota-size")),
      quota_files: yield* count("--quota-files", flags.quotaFiles, base.quota_files),
      max_sessions: yield* count("--max-sessions", flags.maxSessions, base.max_sessions),
      uid: yield* count("--uid", flags.uid, base.uid),
      gid: yield* count("--gid", flags.gid, base.gid),
      ...(flags.folder && { virtual_folders: yield* orUsage(parseMounts(flags.folder)) }),
      ...(flags.group && { groups: yield* orUsage(parseMemberships(flags.group)) }),
      status: yield* readStatus(flags.status, base.status),
      expiration_date: flags.expires === undefined
        ? base.expiration_date
        : flags.expires === "never"
        ? 0
        : yield* orUsage(parseTime(flags.expires, "--expires", now)),
      email: flags.email ?? base.email,
      description: flags.description ?? base.description,
      filters: {
        ...base.filters,
        allowed_ip: flags.allowedIp ?? base.filters.allowed_ip,
        denied_ip: flags.deniedIp ?? base.filters.denied_ip,
        denied_login_methods: flags.deniedMethod === undefined
          ? base.filters.denied_login_methods
          : yield* oneOf("--denied-method", LoginMethod.literals, flags.deniedMethod),
        denied_protocols: flags.deniedProtocol === undefined
          ? base.filters.denied_protocols
          : yield* oneOf("--denied-protocol", ["SSH", "FTP", "DAV", "HTTP"], flags.deniedProtocol),
        start_directory: flags.startDirectory ?? base.filters.start_directory,
      },
    };
    return password === undefined ? input : { ...input, password };
  });

/** A folder, or a place where one can be made: what is above it must be folders. */
const possibleHome = (flag: string): Effect.Effect<string, Refusal> =>
  Effect.gen(function* () {
    const home = resolve(flag);
    for (let at = home;; at = dirname(at)) {
      const found = yield* Effect.promise(() =>
        Deno.stat(at).catch((cause: unknown) =>
          cause instanceof Deno.errors.NotFound ? null : cause
        )
      );
      if (found === null && at !== "/") continue;
      if (found instanceof Error && found instanceof Deno.errors.NotADirectory) continue;
      if (typeof found === "object" && found && "isDirectory" in found && found.isDirectory) {
        return home;
      }
      const why = found instanceof Error ? "cannot be used" : "is not a folder";
      return yield* usage(`--home ${home}: ${at} ${why}; choose another folder`);
    }
  });

export const readStatus = (text: string | undefined, old: 0 | 1) =>
  text === undefined
    ? Effect.succeed(old)
    : text === "0" || text === "1"
    ? Effect.succeed(text === "1" ? 1 as const : 0 as const)
    : Effect.fail(usage(`--status: must be 0 or 1, not ${JSON.stringify(text)}`));

export const oneOf = <T extends string>(
  flag: string,
  known: ReadonlyArray<T>,
  values: ReadonlyArray<string>,
) =>
  Effect.forEach(values, (value) => {
    const found = known.find((k) => k.toLowerCase() === value.toLowerCase());
    return found === undefined
      ? Effect.fail(usage(`${flag}: unknown ${JSON.stringify(value)}; known: ${known.join(", ")}`))
      : Effect.succeed(found);
  });

const keyLine = /^(ssh-|ecdsa-|sk-)\S+\s+\S+/;

/** A key line as given, or the lines of a file such as `id_ed25519.pub` or `authorized_keys`. */
export const readKeys = (value: string): Effect.Effect<ReadonlyArray<string>, Refusal> =>
  keyLine.test(value.trim()) ? Effect.succeed([value.trim()]) : Effect.tryPromise({
    try: () => Deno.readTextFile(value),
    catch: () =>
      usage(`public key ${JSON.stringify(value)}: neither a key line nor a file that can be read`),
  }).pipe(Effect.flatMap((text) => {
    const lines = text.split("\n").map((l) => l.trim()).filter((l) => l && !l.startsWith("#"));
    return lines.length > 0 && lines.every((l) => keyLine.test(l))
      ? Effect.succeed(lines)
      : Effect.fail(
        usage(`public key file ${value}: holds no OpenSSH public key; give the .pub file`),
      );
  }));
