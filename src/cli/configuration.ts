import { type Command } from "commander";
import { Effect } from "effect";
import { checkAlgorithms } from "../app.ts";
import { rows } from "../config/show.ts";
import { run } from "./command.ts";
import { table } from "./output.ts";

const cell = (value: unknown): string =>
  typeof value === "string"
    ? value
    : Array.isArray(value)
    ? value.join(",")
    : JSON.stringify(value);

/** `sluice config ...` */
export const configCommands = (program: Command): void => {
  const config = program.command("config").description("the effective configuration");
  config.command("show").description("show every setting, its value and where it comes from")
    .addHelpText(
      "after",
      "\nExamples:\n  sluice config show\n  sluice config show --json --config /etc/sluice.json",
    )
    .action((_: unknown, command: Command) =>
      run(command, (env) => {
        const found = rows(env.settings, env.origins);
        return env.show(found, () =>
          table(
            [{ title: "SETTING" }, { title: "VALUE" }, { title: "SOURCE" }],
            found.map((row) => [row.key, cell(row.value), row.source]),
          ));
      })
    );
  config.command("check").description("check the configuration; exit code 2 if it cannot be used")
    .addHelpText("after", "\nExample:\n  sluice config check && systemctl restart sluice")
    .action((_: unknown, command: Command) =>
      run(command, (env) =>
        Effect.andThen(
          checkAlgorithms(env.settings),
          env.show({ ok: true }, () => "the configuration is good"),
        ))
    );
};
