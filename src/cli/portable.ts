import { resolve } from "node:path";
import { type Command } from "commander";
import { Clock, Effect, Schema as S } from "effect";
import type { Ready } from "../app.ts";
import { Users } from "../catalog/catalog.ts";
import type { Settings } from "../config/config.ts";
import { watchEscapes } from "../escapes.ts";
import { UserInput } from "../model/user.ts";
import { orUsage, run } from "./command.ts";
import { usage } from "./failure.ts";
import { print } from "./output.ts";
import { readPassword } from "./password_input.ts";
import { serveUntilStopped } from "./serve.ts";
import { applyFlags, many } from "./user_flags.ts";
import { commandLine } from "./users.ts";
import { parseBindings } from "./values.ts";

interface PortableFlags {
  readonly dir: string;
  readonly user: string;
  readonly password?: string;
  readonly passwordFile?: string;
  readonly passwordStdin?: boolean;
  readonly permissions?: ReadonlyArray<string>;
  readonly publicKey?: ReadonlyArray<string>;
  readonly sftp?: ReadonlyArray<string>;
  readonly jsonReady?: boolean;
}

/** 120 bits, in letters and digits that are not mistaken for each other. */
const newPassword = (): string => {
  const letters = "abcdefghijkmnpqrstuvwxyz23456789";
  return Array.from(crypto.getRandomValues(new Uint8Array(24)), (b) => letters[b % 32]).join("");
};

/** A folder for keys and socket, private to this user, that goes when the scope closes. */
const scratch = Effect.acquireRelease(
  Effect.promise(() => Deno.makeTempDir({ prefix: "sluice-portable-" })),
  (dir) => Effect.promise(() => Deno.remove(dir, { recursive: true }).catch(() => {})),
);

const announce =
  (flags: PortableFlags, generated: string | undefined) => ({ listeners }: Ready) => {
    if (flags.jsonReady) {
      const secret = generated === undefined ? {} : { password: generated };
      print(JSON.stringify({ ready: true, listeners, username: flags.user, ...secret }));
      return;
    }
    for (const address of listeners.sftp ?? []) {
      const port = address.slice(address.lastIndexOf(":") + 1);
      const host = address.slice(0, address.lastIndexOf(":"));
      const shown = host === "0.0.0.0" || host === "[::]" ? Deno.hostname() : host;
      print(`serving ${resolve(flags.dir)} at sftp://${flags.user}@${shown}:${port}`);
      print(`  sftp -P ${port} ${flags.user}@${shown}`);
    }
    if (generated !== undefined) print(`  password: ${generated}`);
    print("stop with Ctrl-C");
  };

/** `sluice portable`: one folder, one user, nothing kept. */
export const portableCommand = (program: Command): void => {
  program.command("portable").description("serve one folder now; nothing is kept afterwards")
    .requiredOption("--dir <dir>", "the folder to serve")
    .option("--user <name>", "user name", "portable")
    .option("--password <text>", "password; others on this machine can see it (default: generated)")
    .option("--password-file <file>", "read the password from a file")
    .option("--password-stdin", "read the password from standard input")
    .option("--public-key <key>", "key file or line that may log in (repeatable)", many)
    .option("--permissions <list>", "what the user may do (default: list,download)", many)
    .option("--sftp <host:port>", "address; port 0 picks one (default: :0)", many)
    .option("--json-ready", "print one JSON line on stdout when ready")
    .addHelpText(
      "after",
      `
Examples:
  sluice portable --dir .
  sluice portable --dir /srv/in --user anna --permissions '*' --sftp :2022`,
    )
    .action((flags: PortableFlags, command: Command) =>
      run(
        command,
        (env) =>
          Effect.gen(function* () {
            watchEscapes();
            const home = resolve(flags.dir);
            const info = yield* Effect.promise(() => Deno.stat(home).catch(() => undefined));
            if (!info?.isDirectory) return yield* usage(`--dir ${home}: is not a folder`);
            const bindings = yield* orUsage(parseBindings(flags.sftp ?? [":0"], "--sftp"));
            const settings: Settings = {
              ...env.settings,
              common: {
                ...env.settings.common,
                // One folder for a moment: threads of its own would cost more than they bring.
                workers: env.origins.has("common.workers") ? env.settings.common.workers : 1,
              },
              data_dir: yield* scratch,
              sftpd: { ...env.settings.sftpd, bindings },
              ftpd: { ...env.settings.ftpd, bindings: [] },
              httpd: { ...env.settings.httpd, bindings: [] },
              webdavd: { ...env.settings.webdavd, bindings: [] },
              telemetry: { bindings: [] },
              data_provider: { ...env.settings.data_provider, url: ":memory:" },
            };
            const given = flags.password ?? (yield* readPassword(flags, false));
            const generated = given === undefined && !flags.publicKey ? newPassword() : undefined;
            const password = given ?? generated;
            const base = S.decodeUnknownSync(UserInput)({
              username: flags.user,
              permissions: { "/": ["list", "download"] },
              home_dir: home,
              ...(password === undefined ? {} : { password }),
            });
            const asked = {
              ...(flags.permissions ? { permissions: flags.permissions } : {}),
              ...(flags.publicKey ? { publicKey: flags.publicKey } : {}),
            };
            const input = yield* applyFlags(base, asked, yield* Clock.currentTimeMillis);
            yield* serveUntilStopped(
              settings,
              announce(flags, generated),
              {
                prepare: Effect.flatMap(Users, (users) => users.add(input, commandLine)),
                sweep: false,
              },
            );
          }),
        [],
        "configured",
      )
    );
};
