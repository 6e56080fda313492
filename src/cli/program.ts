import { Command, CommanderError } from "commander";
import { version } from "../version.ts";
import { adminCommands } from "./admins.ts";
import { configCommands } from "./configuration.ts";
import { defenderCommands } from "./defender.ts";
import { doctorCommand } from "./doctor.ts";
import { eventCommands } from "./events.ts";
import { groupCommands } from "./groups.ts";
import { dumpCommand } from "./dump.ts";
import { folderCommands } from "./folders.ts";
import { exits } from "./failure.ts";
import { ipListCommands } from "./ip_lists.ts";
import { loadCommand } from "./load.ts";
import { maintenanceCommands } from "./maintenance.ts";
import { portableCommand } from "./portable.ts";
import { serveCommand } from "./serve.ts";
import { sessionCommands } from "./sessions.ts";
import { userCommands } from "./users.ts";

const program = (): Command => {
  const root = new Command("sluice")
    .description("A file transfer server: SFTP and SCP.")
    .version(version, "--version")
    .option("--data-dir <dir>", "where keys, database and homes live (SLUICE_DATA_DIR, ./data)")
    .option("--config <file>", "configuration file (SLUICE_CONFIG, DATA-DIR/sluice.json)")
    .option("--json", "print results as JSON")
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      "after",
      `
Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 not found, 4 refused.

Examples:
  sluice serve
  printf secret | sluice user add anna --password-stdin
  sluice events --follow
  sluice doctor`,
    );
  serveCommand(root);
  portableCommand(root);
  maintenanceCommands(root);
  dumpCommand(root);
  loadCommand(root);
  userCommands(root);
  groupCommands(root);
  folderCommands(root);
  adminCommands(root);
  ipListCommands(root);
  defenderCommands(root);
  sessionCommands(root);
  eventCommands(root);
  configCommands(root);
  doctorCommand(root);
  const quiet = (command: Command): void => {
    command.exitOverride().configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, `sluice: `)),
    });
    command.commands.forEach(quiet);
  };
  quiet(root);
  return root;
};

/** Runs the command line; the exit code is set when it resolves. */
export const runCommandLine = async (args: ReadonlyArray<string>): Promise<void> => {
  const root = program();
  try {
    await root.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    Deno.exitCode = error.exitCode === 0 ? exits.ok : exits.usage;
  }
};
