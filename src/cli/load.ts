import { resolve } from "node:path";
import { type Command } from "commander";
import { Effect, Layer } from "effect";
import { catalogLayer, secretsLayer } from "../app.ts";
import { loadData, type Loaded } from "../catalog/backup_data/load.ts";
import {
  type Action,
  type Change,
  type Scope,
  scopes as all,
} from "../catalog/backup_data/shape.ts";
import { Users } from "../catalog/catalog.ts";
import { type Env, run } from "./command.ts";
import { prepareDataDir } from "./data_dir.ts";
import { parseScopes } from "./dump.ts";
import { exits, failed, notFound, usage } from "./failure.ts";
import { tellServer } from "./ip_lists.ts";
import { complain, table } from "./output.ts";
import { scanMany } from "./quota_scan.ts";
import { commandLine, endSessions } from "./users.ts";

interface Flags {
  readonly mode: string;
  readonly scanQuota: string;
  readonly dryRun?: boolean;
  readonly scopes?: string;
}

/** Bytes. Somewhat below the longest text that the runtime can hold. */
const largest = 256 * 1024 * 1024;

const digit = (flag: string, text: string) =>
  /^[012]$/.test(text)
    ? Effect.succeed(Number(text) as 0 | 1 | 2)
    : Effect.fail(usage(`${flag}: must be 0, 1 or 2, not ${JSON.stringify(text)}`));

const bytesOf = (file: string) =>
  Effect.tryPromise({
    try: async () => {
      if (file === "-") {
        return new Uint8Array(await new Response(Deno.stdin.readable).arrayBuffer());
      }
      const { size } = await Deno.stat(file);
      return size > largest ? undefined : await Deno.readFile(file);
    },
    catch: (cause) =>
      cause instanceof Deno.errors.NotFound
        ? notFound(`${resolve(file)}: no such file`)
        : failed(`${file}: cannot be read (${cause instanceof Error ? cause.message : cause})`),
  });

/** Says where a file stops being JSON, and shows nothing of it: it holds secrets. */
const readJson = (file: string) =>
  Effect.gen(function* () {
    const bytes = yield* bytesOf(file);
    if (bytes === undefined || bytes.length > largest) {
      return yield* usage(`${file}: is larger than ${largest} bytes; load it in parts`);
    }
    return yield* Effect.try({
      try: (): unknown => JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)),
      catch: (cause) => {
        if (!(cause instanceof SyntaxError)) return usage(`${file}: is not valid UTF-8`);
        const where = /at position \d+(?: \(line \d+ column \d+\))?/.exec(cause.message)?.[0];
        return usage(`${file}: not valid JSON${where ? ` ${where}` : ""}`);
      },
    });
  });

/** Those whose files are to be counted again: all of them, or those with a limit (BEHAVIOUR DB-11). */
const toScan = (changes: ReadonlyArray<Change>, mode: 0 | 1 | 2) =>
  Effect.gen(function* () {
    const users = yield* Users;
    const names = changes.filter(({ scope, action }) => scope === "users" && action !== "skip")
      .map(({ name }) => name);
    if (mode !== 2) return mode === 0 ? [] : names;
    return yield* Effect.filter(
      names,
      (name) =>
        Effect.map(
          users.effective(name),
          (user) => user !== undefined && user.quota_size + user.quota_files > 0,
        ),
    );
  });

const countsOf = (changes: ReadonlyArray<Change>) => {
  const counts: Partial<Record<Scope, Record<Action, number>>> = {};
  for (const { scope, action } of changes) {
    counts[scope] ??= { add: 0, update: 0, same: 0, skip: 0 };
    counts[scope][action]++;
  }
  return counts;
};

const summary = (changes: ReadonlyArray<Change>, dryRun: boolean): string => {
  if (changes.length === 0) return "the file holds nothing to load";
  const would = dryRun ? ["WOULD ADD", "WOULD UPDATE"] : ["ADDED", "UPDATED"];
  return table(
    ["KIND", ...would, "SAME", "SKIPPED"].map((title, i) => ({ title, right: i > 0 })),
    Object.entries(countsOf(changes)).map(([scope, { add, update, same, skip }]) => [
      scope.replace("_", " "),
      ...[add, update, same, skip].map(String),
    ]),
  );
};

const details = (changes: ReadonlyArray<Change>): string =>
  table(
    ["ACTION", "KIND", "NAME", "FIELDS"].map((title) => ({ title })),
    changes.map((c) => [c.action, c.scope.replace("_", " "), c.name, c.fields.join(", ")]),
  );

/** What follows outside the catalog: sessions that end, addresses that are read again. */
const follow = (env: Env, { changes, disabled }: Loaded, mode: 0 | 1 | 2) =>
  Effect.gen(function* () {
    const updated = changes.filter(({ scope, action }) => scope === "users" && action === "update")
      .map(({ name }) => name);
    const leaving = mode === 2 ? updated : disabled;
    yield* Effect.forEach(leaving, (name) => endSessions(env, name), { discard: true });
    if (changes.some(({ scope }) => scope === "ip_lists")) yield* tellServer(env);
    return leaving;
  });

const load = (env: Env, file: string, flags: Flags) =>
  Effect.gen(function* () {
    const mode = yield* digit("--mode", flags.mode);
    const scanMode = yield* digit("--scan-quota", flags.scanQuota);
    const scopes = yield* parseScopes(flags.scopes);
    const dryRun = flags.dryRun === true;
    const json = yield* readJson(file);
    yield* prepareDataDir(env.settings.data_dir);
    const { loaded, names } = yield* Effect.gen(function* () {
      const done = yield* loadData(json, { scopes, mode, dryRun, by: commandLine });
      return { loaded: done, names: dryRun ? [] : yield* toScan(done.changes, scanMode) };
    }).pipe(Effect.provide(
      secretsLayer(env.settings).pipe(Layer.provideMerge(catalogLayer(env.settings))),
    ));
    const { changes } = loaded;
    const ended = dryRun ? [] : yield* follow(env, loaded, mode);
    const unscanned = yield* scanMany(env, "user", names);
    yield* env.show(
      {
        ...{ file: file === "-" ? file : resolve(file), mode, dry_run: dryRun },
        ...{ counts: countsOf(changes), objects: changes, sessions_ended_of: ended },
        ...{ scanned: names.length - unscanned.length },
      },
      () =>
        [...(dryRun && changes.length > 0 ? [details(changes), ""] : []), summary(changes, dryRun)]
          .join("\n"),
    );
    complain(unscanned);
    return unscanned.length > 0 ? exits.failed : exits.ok;
  });

/** `sluice load` */
export const loadCommand = (program: Command): void => {
  program.command("load <file>")
    .description("add and update what a dump holds; what it does not hold stays")
    .option(
      "--mode <0|1|2>",
      "0 add and update, 1 only add, 2 as 0 and end updated users' sessions",
      "0",
    )
    .option(
      "--scan-quota <0|1|2>",
      "count files again: 0 nobody's, 1 every user's, 2 where limited",
      "0",
    )
    .option("--dry-run", "say what would change, and change nothing")
    .option("--scopes <list>", `only these of ${all.join(",")}`)
    .addHelpText(
      "after",
      `
All of the file or nothing of it, beside a running server too; - reads standard input. Unknown
fields are refused, all problems are named at once with their place: users[3].filters.foo. Known
accounts keep their usage, and password and second factor where the file has none. SFTPGo's dumps
(version 16 and 17) load as far as this version keeps what they hold.

Exit codes: 2 the file is not good, 3 there is no such file.

Examples:
  sluice load /backup/sluice.json --dry-run
  sluice load partners.json --mode 1
  sluice load dump.json --scopes users,groups,folders --scan-quota 2`,
    )
    .action((file: string, flags: Flags, command: Command) =>
      run(command, (env) => load(env, file, flags))
    );
};
