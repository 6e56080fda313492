import { Effect } from "effect";
import { failureText } from "../commands/failure_text.ts";
import { terminal } from "../commands/terminal.ts";
import type { Engine } from "../engine.ts";
import { parseScpOptions } from "./options.ts";
import { makeTransfer } from "./session.ts";
import { sink } from "./sink.ts";
import { source } from "./source.ts";
import { makeWire } from "./wire.ts";

/**
 * Serves the legacy SCP protocol for the arguments after `scp`.
 *
 * Exit status 0 when every file went through, 1 when one did not (BEHAVIOUR
 * SCP-04), 2 for a command line that cannot be served.
 */
export const scpEngine = (words: ReadonlyArray<string>): Engine => (channel, context) => {
  const options = parseScpOptions(words);
  if (typeof options === "string") {
    return Effect.as(terminal(channel).complain(`scp: ${options}`), 2);
  }
  const wire = makeWire(channel);
  const transfer = makeTransfer(wire, context, options);
  const fatal = (text: string) => Effect.as(Effect.ignore(wire.fatal(text)), 1);
  return Effect.suspend(() => options.role === "sink" ? sink(transfer) : source(transfer)).pipe(
    Effect.map(() => transfer.failed() ? 1 : 0),
    Effect.catchTags({
      ClientGone: () => Effect.succeed(1),
      Breach: ({ text }) => fatal(text),
      FsError: (error) => fatal(`${options.paths[0] ?? ""}: ${failureText(error)}`),
      ActorBusy: (error) => fatal(failureText(error)),
    }),
  );
};
