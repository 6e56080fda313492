import { type Command } from "commander";
import { Effect } from "effect";
import { run } from "./command.ts";
import { checks, type Finding } from "./checks.ts";
import { exits } from "./failure.ts";
import { table } from "./output.ts";

/** `sluice doctor` */
export const doctorCommand = (program: Command): void => {
  program.command("doctor").description("check ports, permissions, disk, database and keys")
    .addHelpText(
      "after",
      `
Changes nothing. Works beside a running server. Exit code 1 when a check fails.

Examples:
  sluice doctor
  sluice doctor --json | jq '.checks[] | select(.status != "ok")'`,
    )
    .action((_: unknown, command: Command) =>
      run(command, (env) =>
        Effect.gen(function* () {
          const found: ReadonlyArray<Finding> = (yield* Effect.forEach(
            checks(env.settings),
            (check) => check,
          )).flat();
          const bad = found.some((f) => f.status === "fail");
          yield* env.show({ ok: !bad, checks: found }, () =>
            table(
              [{ title: "" }, { title: "CHECK" }, { title: "FOUND" }, { title: "FIX" }],
              found.map((f) => [f.status, f.name, f.found, f.fix ?? ""]),
            ));
          return bad ? exits.failed : exits.ok;
        }))
    );
};
