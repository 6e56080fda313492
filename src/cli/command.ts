import { resolve } from "node:path";
import { type Command } from "commander";
import { Effect, Either, Exit, type Scope } from "effect";
import type { Settings } from "../config/config.ts";
import { load, type Loaded, type Sources } from "../config/load.ts";
import { logLayer } from "../log.ts";
import { type ExitCode, explain, usage } from "./failure.ts";
import { complain, print } from "./output.ts";

/** Flags that every command takes. */
export interface GlobalFlags {
  readonly dataDir?: string;
  readonly config?: string;
  readonly json?: boolean;
}

/** What a command works with. */
export interface Env extends Loaded {
  readonly json: boolean;
  /** Shows the result: `data` as one JSON line with `--json`, else `human()`. */
  readonly show: (data: unknown, human: () => string) => Effect.Effect<void>;
}

type Flag = Sources["flags"][number];

/** Finds the file, reads the environment, and answers the settings with an absolute `data_dir`. */
export const loadConfig = (globals: GlobalFlags, flags: ReadonlyArray<Flag> = []) =>
  Effect.gen(function* () {
    const env = Object.fromEntries(
      Object.entries(Deno.env.toObject()).filter(([name]) => name.startsWith("SLUICE_")),
    );
    const dataDir = globals.dataDir ?? env.SLUICE_DATA_DIR ?? "data";
    const named = globals.config ?? env.SLUICE_CONFIG;
    const path = resolve(named ?? `${dataDir}/sluice.json`);
    const text = yield* Effect.tryPromise({
      try: () => Deno.readTextFile(path),
      catch: (cause) => cause,
    }).pipe(
      Effect.catchAll((cause) =>
        named === undefined && (cause instanceof Deno.errors.NotFound ||
            cause instanceof Deno.errors.NotADirectory)
          ? Effect.succeed(undefined)
          : Effect.fail(
            usage(`${path}: cannot be read (${reason(cause)})`),
          )
      ),
    );
    const dirFlag = globals.dataDir === undefined
      ? []
      : [{ flag: "--data-dir", key: ["data_dir"], value: globals.dataDir }];
    const loaded = yield* load({
      env,
      flags: [...dirFlag, ...flags],
      ...(text === undefined ? {} : { file: { path, text } }),
    });
    // A folder named in the file is meant from where the file lies (BEHAVIOUR CFG-05).
    const base = loaded.origins.get("data_dir") === path ? resolve(path, "..") : Deno.cwd();
    const settings: Settings = {
      ...loaded.settings,
      data_dir: resolve(base, loaded.settings.data_dir),
    };
    return { settings, origins: loaded.origins };
  });

const reason = (cause: unknown): string =>
  cause instanceof Deno.errors.NotCapable
    ? "not a regular file"
    : cause instanceof Error
    ? cause.message
    : String(cause);

/**
 * Runs one command to its end and sets the exit code. Failures become one line
 * each on stderr, and with `--json` also `{"error": ...}` on stdout.
 */
export const run = async (
  command: Command,
  body: (env: Env) => Effect.Effect<ExitCode | void, unknown, Scope.Scope>,
  flags: ReadonlyArray<Flag> = [],
  /** Servers log as configured; commands speak for themselves, and only mishaps are logged. */
  logs: "configured" | "mishaps" = "mishaps",
): Promise<void> => {
  const globals: GlobalFlags = command.optsWithGlobals();
  const json = globals.json === true;
  const work = Effect.gen(function* () {
    const loaded = yield* loadConfig(globals, flags);
    const show: Env["show"] = (data, human) =>
      Effect.sync(() => print(json ? JSON.stringify(data) : human()));
    return yield* body({ ...loaded, json, show }).pipe(
      Effect.provide(
        logLayer(logs === "configured" ? loaded.settings.log : { level: "warn", format: "auto" }),
      ),
    );
  });
  const exit = await Effect.runPromiseExit(Effect.scoped(work));
  if (Exit.isSuccess(exit)) {
    Deno.exitCode = exit.value ?? 0;
    return;
  }
  const { exit: code, lines } = explain(exit.cause);
  complain(lines);
  if (json) print(JSON.stringify({ error: lines.join("; "), exit: code }));
  Deno.exitCode = code;
};

/** Unwraps a parse of command-line text; the left side is what is wrong with it. */
export const orUsage = <A>(either: Either.Either<A, string>) =>
  Either.isLeft(either) ? Effect.fail(usage(either.left)) : Effect.succeed(either.right);
