import { type Command } from "commander";
import { Clock, Effect, Stream } from "effect";
import type { Event, EventAction, EventKind } from "../events/event.ts";
import { type EventFilter, Journal } from "../events/journal.ts";
import { printable } from "../vpath.ts";
import { type Env, orUsage, run } from "./command.ts";
import { print, size } from "./output.ts";
import { many, oneOf } from "./user_flags.ts";
import { withCatalog } from "./users.ts";
import { parseCount, parseTime } from "./values.ts";

interface EventFlags {
  readonly follow?: boolean;
  readonly since?: string;
  readonly until?: string;
  readonly user?: string;
  readonly path?: string;
  readonly kind?: ReadonlyArray<string>;
  readonly action?: ReadonlyArray<string>;
  readonly limit: string;
}

const kinds: ReadonlyArray<EventKind> = ["fs", "provider", "login", "session", "defender"];
const actions: ReadonlyArray<EventAction> = [
  "session.opened",
  "session.ended",
  "login.succeeded",
  "login.failed",
  "upload",
  "download",
  "delete",
  "rename",
  "mkdir",
  "rmdir",
  "copy",
  "ssh_cmd",
  "provider.add",
  "provider.update",
  "provider.delete",
  "defender.banned",
];

const filterOf = (flags: EventFlags, now: number) =>
  Effect.gen(function* () {
    const split = (values: ReadonlyArray<string> = []) => values.flatMap((v) => v.split(","));
    const chosenKinds = yield* oneOf("--kind", kinds, split(flags.kind));
    const chosenActions = yield* oneOf("--action", actions, split(flags.action));
    const filter: EventFilter = {
      ...(flags.since === undefined
        ? {}
        : { since: yield* orUsage(parseTime(flags.since, "--since", now)) }),
      ...(flags.until === undefined
        ? {}
        : { until: yield* orUsage(parseTime(flags.until, "--until", now)) }),
      ...(flags.user === undefined ? {} : { username: flags.user }),
      ...(flags.path === undefined ? {} : { path: flags.path }),
      ...(chosenKinds.length === 0 ? {} : { kinds: chosenKinds }),
      ...(chosenActions.length === 0 ? {} : { actions: chosenActions }),
    };
    return filter;
  });

const line = (e: Event): string =>
  printable(
    [
      new Date(e.timestamp).toISOString(),
      e.action.padEnd(15),
      e.status === 1 ? "ok    " : e.status === 2 ? "failed" : "quota ",
      e.username || e.object_name || "-",
      e.ip ?? "-",
      e.protocol ?? "-",
      e.virtual_path,
      e.virtual_target_path && `-> ${e.virtual_target_path}`,
      e.ssh_cmd,
      e.file_size === undefined ? undefined : size(e.file_size),
      e.object_type && `${e.object_type} ${e.object_name ?? ""}`,
      e.message && `(${e.message})`,
    ].filter(Boolean).join(" "),
  );

const show = (env: Env, flags: EventFlags) =>
  Effect.gen(function* () {
    const journal = yield* Journal;
    const filter = yield* filterOf(flags, yield* Clock.currentTimeMillis);
    const limit = yield* orUsage(parseCount(flags.limit, "--limit", 1));
    const one = (e: Event) => Effect.sync(() => print(env.json ? JSON.stringify(e) : line(e)));
    // The newest `limit` that match, shown oldest first; --follow goes on from there.
    const past = yield* Stream.runCollect(journal.query({ ...filter, descending: true, limit }));
    const events = [...past].reverse();
    yield* Effect.forEach(events, one, { discard: true });
    if (!flags.follow) return;
    const newest = yield* Stream.runHead(journal.query({ descending: true, limit: 1 }));
    const shownTo = events.at(-1)?.id ?? 0;
    const after = events.length > 0 ? shownTo : newest._tag === "Some" ? newest.value.id : 0;
    yield* Stream.runForEach(journal.follow({ ...filter, after }), one);
  });

/** `sluice events` */
export const eventCommands = (program: Command): void => {
  program.command("events").description("show the journal: logins, transfers, changes")
    .option("--follow", "go on with new events as they happen")
    .option("--since <time>", "from this moment: ISO 8601, or 1h, 7d ago")
    .option("--until <time>", "up to this moment")
    .option("--user <name>", "of this user")
    .option("--path <path>", "of this virtual path and what lies below it")
    .option("--kind <kind>", "fs, login, session or provider (repeatable, by comma)", many)
    .option("--action <action>", "upload, download, login.failed ... (repeatable, by comma)", many)
    .option("--limit <n>", "the newest so many", "100")
    .addHelpText(
      "after",
      `
With --json each event is one JSON line.

Examples:
  sluice events --since 1h --action upload,download
  sluice events --follow --json --user anna
  sluice events --kind login --path /in --limit 20`,
    )
    .action((flags: EventFlags, command: Command) =>
      run(command, (env) => withCatalog(env, show(env, flags)))
    );
};
