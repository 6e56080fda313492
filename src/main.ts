import { runCommandLine } from "./cli/program.ts";
import { arm } from "./failpoint.ts";
import { logNow } from "./log.ts";

const failpoints = Deno.env.get("SLUICE_FAILPOINTS");
if (failpoints) {
  const armed = arm(failpoints);
  logNow({ level: "warn", event: "failpoints", message: "FAULTS WILL BE INJECTED", armed });
}

await runCommandLine(Deno.args);
// Worker threads and native handles of libraries must not keep a finished command alive.
Deno.exit(Deno.exitCode);
