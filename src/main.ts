// Before all else: a thread that loads beside the rest is half of what a start takes.
import "./early.ts";
import { exits } from "./cli/failure.ts";
import { complain } from "./cli/output.ts";
import { runCommandLine } from "./cli/program.ts";
import { arm } from "./failpoint.ts";
import { logNow } from "./log.ts";
import { tellErrorsSafely } from "./stack_traces.ts";

tellErrorsSafely();

try {
  const failpoints = Deno.env.get("SLUICE_FAILPOINTS") ?? "";
  const armed = arm(failpoints);
  if (armed.length > 0) {
    logNow({ level: "warn", event: "failpoints", message: "FAULTS WILL BE INJECTED", armed });
  }
} catch (error) {
  complain([error instanceof Error ? error.message : String(error)]);
  Deno.exit(exits.usage);
}

await runCommandLine(Deno.args);
// Worker threads and native handles of libraries must not keep a finished command alive.
Deno.exit(Deno.exitCode);
