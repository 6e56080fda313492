import { type Command } from "commander";
import { Effect, Layer } from "effect";
import { catalogLayer, secretsLayer } from "../app.ts";
import { disableTotp, enrolTotp } from "../identity/enrolment.ts";
import { type Env, run } from "./command.ts";
import { prepareDataDir } from "./data_dir.ts";
import { usage } from "./failure.ts";
import { oneOf } from "./user_flags.ts";

interface TotpFlags {
  readonly profile?: string;
  readonly protocols: string;
}

const totp = (env: Env, name: string, verb: string, flags: TotpFlags) =>
  Effect.gen(function* () {
    if (verb === "disable") {
      yield* disableTotp(name);
      yield* env.show(
        { username: name, enabled: false },
        () => `one-time codes of ${name} are off`,
      );
      return;
    }
    if (verb !== "enable") {
      return yield* usage(`user totp NAME: ${JSON.stringify(verb)} is not enable or disable`);
    }
    const known = ["SSH", "FTP", "HTTP"] as const;
    const protocols = yield* oneOf("--protocols", known, flags.protocols.split(","));
    const made = yield* enrolTotp(name, {
      protocols,
      ...(flags.profile === undefined ? {} : { profile: flags.profile }),
    });
    yield* env.show({ username: name, enabled: true, ...made }, () =>
      [
        `one-time codes of ${name} are on; the secret is shown this once`,
        `secret: ${made.secret}`,
        made.url,
      ].join("\n"));
  });

/** `sluice user totp ...` */
export const totpCommand = (user: Command): void => {
  user.command("totp <name> <verb>").description("enable or disable one-time codes (TOTP)")
    .option("--profile <name>", "an entry of mfa.totp (default: the first)")
    .option("--protocols <list>", "where a code is asked for: SSH, FTP, HTTP", "SSH")
    .addHelpText(
      "after",
      `
The code is asked for over keyboard-interactive after the password. Enabling again makes a new
secret.

Examples:
  sluice user totp anna enable
  sluice user totp anna disable`,
    )
    .action((name: string, verb: string, flags: TotpFlags, command: Command) =>
      run(command, (env) =>
        Effect.andThen(
          prepareDataDir(env.settings.data_dir),
          totp(env, name, verb, flags).pipe(
            Effect.provide(
              secretsLayer(env.settings).pipe(Layer.provideMerge(catalogLayer(env.settings))),
            ),
          ),
        ))
    );
};
