import { type Command } from "commander";
import { Clock, Effect } from "effect";
import type { SessionInfo } from "../model/session.ts";
import { type Env, orUsage, run } from "./command.ts";
import { askServer } from "./control_client.ts";
import { usage } from "./failure.ts";
import { describe, size, table } from "./output.ts";
import { parseCount } from "./values.ts";

/** Milliseconds as `45s`, `12m`, `3h`, `2d`. */
const age = (ms: number): string => {
  const s = Math.max(0, Math.round(ms / 1000));
  return s < 120
    ? `${s}s`
    : s < 7200
    ? `${Math.floor(s / 60)}m`
    : s < 172_800
    ? `${Math.floor(s / 3600)}h`
    : `${Math.floor(s / 86_400)}d`;
};

const list = (env: Env) =>
  Effect.gen(function* () {
    const answer = yield* askServer(env.settings.data_dir, "GET", "/v1/sessions");
    const sessions = answer as ReadonlyArray<SessionInfo>;
    const now = yield* Clock.currentTimeMillis;
    yield* env.show(sessions, () =>
      sessions.length === 0 ? "no sessions" : table(
        [
          { title: "ID" },
          { title: "USER" },
          { title: "PROTO" },
          { title: "ADDRESS" },
          { title: "SINCE", right: true },
          { title: "IDLE", right: true },
          { title: "DOING" },
        ],
        sessions.map((s) => [
          s.connection_id,
          s.username || "(logging in)",
          s.protocol,
          s.remote_address,
          age(now - s.connection_time),
          age(now - s.last_activity),
          s.active_transfers.map((t) => `${t.operation_type} ${t.path} ${size(t.size)}`).join(
            "; ",
          ) ||
          s.command,
        ]),
      ));
  });

const kick = (env: Env, id: string | undefined, user: string | undefined) =>
  Effect.gen(function* () {
    if ((id === undefined) === (user === undefined)) {
      return yield* usage("sessions kick: give a session ID, or --user NAME");
    }
    const path = user === undefined
      ? `/v1/sessions/${encodeURIComponent(id ?? "")}`
      : `/v1/users/${encodeURIComponent(user)}/sessions`;
    const answer = yield* askServer(env.settings.data_dir, "DELETE", path);
    const { closed } = answer as { closed: number };
    yield* env.show({ closed }, () => `closed ${closed} session${closed === 1 ? "" : "s"}`);
  });

/** `sluice sessions`, `sluice status` and `sluice drain`: they ask the running server. */
export const sessionCommands = (program: Command): void => {
  const sessions = program.command("sessions").description(
    "who is connected to the running server",
  );
  sessions.command("list").description("list sessions and their transfers")
    .addHelpText("after", "\nExample:\n  sluice sessions list --json")
    .action((_: unknown, command: Command) => run(command, list));
  sessions.command("kick [id]").description("end one session, or all of a user")
    .option("--user <name>", "end all sessions of this user")
    .addHelpText(
      "after",
      "\nExamples:\n  sluice sessions kick SFTP_1a2b\n  sluice sessions kick --user anna",
    )
    .action((id: string | undefined, flags: { user?: string }, command: Command) =>
      run(command, (env) => kick(env, id, flags.user))
    );
  program.command("status").description("show the running server")
    .addHelpText("after", "\nExample:\n  sluice status --json")
    .action((_: unknown, command: Command) =>
      run(command, (env) =>
        Effect.flatMap(
          askServer(env.settings.data_dir, "GET", "/v1/status"),
          (answer) => env.show(answer, () => describe(answer as object)),
        ))
    );
  program.command("drain").description("stop the running server once its transfers are done")
    .option("--seconds <n>", "time that transfers get", "30")
    .addHelpText("after", "\nExample:\n  sluice drain --seconds 300")
    .action((flags: { seconds: string }, command: Command) =>
      run(command, (env) =>
        Effect.gen(function* () {
          const seconds = yield* orUsage(parseCount(flags.seconds, "--seconds"));
          const answer = yield* askServer(env.settings.data_dir, "POST", "/v1/drain", { seconds });
          yield* env.show(answer, () => "the server is stopping");
        }))
    );
};
