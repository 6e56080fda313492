import * as fs from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { type Command } from "commander";
import { Effect } from "effect";
import { type Counts, dumpData } from "../catalog/backup_data/dump.ts";
import { absent, type Scope, scopes as all } from "../catalog/backup_data/shape.ts";
import { type Env, run } from "./command.ts";
import { failed, type Refusal, refused, usage } from "./failure.ts";
import { write } from "./output.ts";
import { withCatalog } from "./users.ts";

/** Reads `--scopes`; without it everything is meant. */
export const parseScopes = (
  text: string | undefined,
): Effect.Effect<ReadonlyArray<Scope>, Refusal> => {
  if (text === undefined) return Effect.succeed(all);
  const names = text.split(",").map((name) => name.trim()).filter(Boolean);
  const unknown = names.find((name) => !(all as ReadonlyArray<string>).includes(name));
  if (unknown === undefined && names.length > 0) return Effect.succeed(names as Scope[]);
  const what = unknown === undefined
    ? "names nothing"
    : Object.values(absent).includes(unknown)
    ? `this version keeps no ${unknown}`
    : `unknown ${JSON.stringify(unknown)}`;
  return Effect.fail(usage(`--scopes: ${what}; known: ${all.join(", ")}`));
};

const dump = (env: Env, file: string, scopes: ReadonlyArray<Scope>) =>
  Effect.gen(function* () {
    if (file === "-") {
      yield* withCatalog(env, dumpData(scopes, (text) => Effect.sync(() => write(text))));
      return;
    }
    const target = resolve(file);
    yield* replaceable(target);
    const { counts, size } = yield* withCatalog(env, toFile(target, scopes));
    yield* env.show({ file: target, size, ...counts }, () => {
      const what = Object.entries(counts).map(([scope, n]) => `${n} ${scope.replace("_", " ")}`);
      return `wrote ${target}: ${what.join(", ")} (${size} bytes)`;
    });
  });

const begin = '{"version":';

/** A dump takes the place of an earlier one, and of nothing else. */
const replaceable = (target: string): Effect.Effect<void, Refusal> =>
  Effect.flatMap(
    Effect.promise(async () => {
      const found = await Deno.lstat(target).catch(() => undefined);
      if (!found || (found.isFile && found.size === 0)) return true;
      if (!found.isFile) return false;
      using opened = await Deno.open(target);
      const first = new Uint8Array(begin.length);
      await opened.read(first);
      return new TextDecoder().decode(first) === begin;
    }).pipe(Effect.catchAllDefect(() => Effect.succeed(false))),
    (fine) =>
      fine
        ? Effect.void
        : Effect.fail(refused(`${target}: exists already and is no dump; name another file`)),
  );

/** Complete under another name first: whatever ends this process, `target` is the old one or the new one. */
const toFile = (target: string, scopes: ReadonlyArray<Scope>) => {
  const draft = `${target}.part-${crypto.randomUUID()}`;
  const attempt = <A>(work: () => Promise<A>) =>
    Effect.tryPromise({
      try: work,
      catch: (cause) =>
        failed(`${target}: cannot be written (${cause instanceof Error ? cause.message : cause})`),
    });
  const opened = Effect.acquireRelease(
    // Made with its mode: what comes into it are password hashes.
    attempt(() => fs.open(draft, "wx", 0o600)),
    (handle) =>
      Effect.promise(async () => {
        await handle.close();
        await fs.rm(draft, { force: true });
      }),
  );
  return Effect.scoped(Effect.gen(function* () {
    const handle = yield* opened;
    const counts: Counts = yield* dumpData(
      scopes,
      (text) => Effect.asVoid(attempt(() => handle.writeFile(text))),
    );
    const { size } = yield* attempt(() => handle.stat());
    yield* attempt(async () => {
      await handle.sync();
      await fs.rename(draft, target);
      const folder = await fs.open(dirname(target), "r");
      await folder.sync().finally(() => folder.close());
    });
    return { counts, size };
  }));
};

/** `sluice dump` */
export const dumpCommand = (program: Command): void => {
  program.command("dump [file]")
    .description("write users, groups, folders, admins and IP lists as JSON (API v2, BackupData)")
    .option("--scopes <list>", `some of ${all.join(",")}`)
    .addHelpText(
      "after",
      `
Works beside a running server and is of one moment. Without FILE, or with -, it goes to standard
output. FILE is mode 0600 and replaces an earlier dump at once or not at all: it holds password
hashes and sealed secrets. What sealed them, master.key in the data folder, is not in it.
With --json a FILE's name, size and counts are printed. sluice backup copies the whole database,
the journal too.

Examples:
  sluice dump /backup/sluice.json
  sluice dump --scopes users,groups > accounts.json`,
    )
    .action((file: string | undefined, flags: { scopes?: string }, command: Command) =>
      run(
        command,
        (env) =>
          Effect.flatMap(parseScopes(flags.scopes), (scopes) => dump(env, file ?? "-", scopes)),
      )
    );
};
