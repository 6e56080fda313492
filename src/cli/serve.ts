import { type Command } from "commander";
import { Deferred, Effect, Either } from "effect";
import { type Ready, serve, type ServeOptions } from "../app.ts";
import type { Settings } from "../config/config.ts";
import { ConfigError } from "../errors.ts";
import { watchEscapes } from "../escapes.ts";
import { run } from "./command.ts";
import { lockDataDir, prepareDataDir } from "./data_dir.ts";
import { failed, usage } from "./failure.ts";
import { complain, print } from "./output.ts";
import { many } from "./user_flags.ts";
import { parseBindings, parseCount } from "./values.ts";

interface ServeFlags {
  readonly sftp?: ReadonlyArray<string>;
  readonly ftp?: ReadonlyArray<string>;
  readonly http?: ReadonlyArray<string>;
  readonly webdav?: ReadonlyArray<string>;
  readonly telemetry?: ReadonlyArray<string>;
  readonly jsonReady?: boolean;
  readonly logLevel?: string;
  readonly logFormat?: string;
  readonly graceTime?: string;
  readonly workers?: string;
}

/** Turns flags into overlays of the configuration. */
const overlays = (flags: ServeFlags) => {
  const list = (flag: string, section: string, values: ReadonlyArray<string> | undefined) =>
    values === undefined ? [] : [{
      flag,
      key: [section, "bindings"],
      value: Either.getOrElse(parseBindings(values, flag), () => []),
    }];
  const one = (flag: string, key: ReadonlyArray<string>, value: unknown) =>
    value === undefined ? [] : [{ flag, key, value }];
  const count = (flag: string, text: string | undefined) =>
    text === undefined ? undefined : Either.getOrElse(parseCount(text, flag), () => text);
  return [
    ...list("--sftp", "sftpd", flags.sftp),
    ...list("--ftp", "ftpd", flags.ftp),
    ...list("--http", "httpd", flags.http),
    ...list("--webdav", "webdavd", flags.webdav),
    ...list("--telemetry", "telemetry", flags.telemetry),
    ...one("--log-level", ["log", "level"], flags.logLevel),
    ...one("--log-format", ["log", "format"], flags.logFormat),
    ...one("--grace-time", ["common", "grace_time"], count("--grace-time", flags.graceTime)),
    ...one("--workers", ["common", "workers"], count("--workers", flags.workers)),
  ];
};

/** What is wrong with the addresses, if anything. */
const problem = (flags: ServeFlags): string | undefined =>
  (["sftp", "ftp", "http", "webdav", "telemetry"] as const)
    .map((name) => parseBindings(flags[name] ?? [], `--${name}`)).find(Either.isLeft)?.left;

/** Completes `stop` at SIGTERM or SIGINT with the grace time; a second signal ends the process at once. */
export const stopOnSignals = (stop: Deferred.Deferred<number>, graceSeconds: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      let asked = false;
      const onSignal = () => {
        if (asked) {
          complain(["second signal: leaving without waiting for transfers"]);
          Deno.exit(1);
        }
        asked = true;
        Deferred.unsafeDone(stop, Effect.succeed(graceSeconds));
      };
      Deno.addSignalListener("SIGTERM", onSignal);
      Deno.addSignalListener("SIGINT", onSignal);
      return onSignal;
    }),
    (onSignal) =>
      Effect.sync(() => {
        Deno.removeSignalListener("SIGTERM", onSignal);
        Deno.removeSignalListener("SIGINT", onSignal);
      }),
  );

/** Holds the data folder and serves until a signal or `sluice drain`. */
export const serveUntilStopped = (
  settings: Settings,
  onReady: (ready: Ready) => void,
  { prepare = Effect.void, sweep = true }: Pick<ServeOptions, "prepare" | "sweep"> = {},
) =>
  Effect.gen(function* () {
    yield* prepareDataDir(settings.data_dir);
    yield* lockDataDir(settings.data_dir, "starting another");
    const stop = yield* Deferred.make<number>();
    yield* stopOnSignals(stop, settings.common.grace_time);
    yield* serve(settings, { stop, onReady, prepare, sweep }).pipe(
      // The settings are good; the machine stands in the way (exit code 1, not 2).
      Effect.catchIf(
        (error) => error instanceof ConfigError && /cannot listen|host key/.test(error.message),
        (error) => failed(error instanceof Error ? error.message : String(error)),
      ),
    );
  });

/** `sluice serve` */
export const serveCommand = (program: Command): void => {
  program.command("serve").description("serve files until SIGTERM or SIGINT")
    .option("--sftp <host:port>", "SFTP and SCP address, or off (repeatable)", many)
    .option("--ftp <host:port>", "FTP address with TLS required, or off (repeatable)", many)
    .option("--http <host:port>", "address of the users' web port, or off (repeatable)", many)
    .option("--webdav <host:port>", "address of WebDAV alone, or off (repeatable)", many)
    .option("--telemetry <host:port>", "address of /healthz, /readyz, /metrics, or off", many)
    .option("--json-ready", "print one JSON line on stdout when every listener accepts")
    .option("--log-level <level>", "debug, info, warn or error")
    .option("--log-format <format>", "auto, json or pretty")
    .option("--grace-time <seconds>", "time that transfers get at SIGTERM")
    .option(
      "--workers <count>",
      "threads that serve clients; 0 for one a core, 1 for none but the main",
    )
    .addHelpText(
      "after",
      `
Logs go to stderr, one JSON line an event. The first SIGTERM or SIGINT stops accepting and
lets transfers finish for the grace time; a second one ends the process at once.

SLUICE_ADMIN_USERNAME and SLUICE_ADMIN_PASSWORD make the first administrator, if there is none.

Examples:
  sluice serve
  sluice serve --sftp 127.0.0.1:2022 --sftp [::1]:2022 --telemetry off
  sluice serve --data-dir /srv/sluice --json-ready`,
    )
    .action((flags: ServeFlags, command: Command) =>
      run(
        command,
        (env) => {
          const wrong = problem(flags);
          if (wrong !== undefined) return usage(wrong);
          watchEscapes();
          return serveUntilStopped(env.settings, ({ listeners }) => {
            if (flags.jsonReady) print(JSON.stringify({ ready: true, listeners }));
          });
        },
        overlays(flags),
        "configured",
      )
    );
};
