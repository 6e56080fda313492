import { Effect, Option } from "effect";
import type { Settings } from "../../../src/config/config.ts";
import { printable } from "../../../src/vpath.ts";
import type { Engine } from "../engine.ts";
import { scpEngine } from "../scp/scp.ts";
import type { Command } from "./command.ts";
import { hashSum } from "./hash_sum.ts";
import { terminal } from "./terminal.ts";
import { copyCommand, removeCommand } from "./tree_commands.ts";
import { splitWords } from "./words.ts";
import { stopwatch } from "../../../src/monotonic.ts";

/**
 * Finds what serves the line of an SSH `exec` request, undefined to refuse it.
 *
 * Only the built-in table is looked at, nothing is ever spawned or expanded.
 * Refused are unknown and disabled commands (BEHAVIOUR CMD-01) and lines that
 * need a shell. Exit statuses: 0 done, 1 failed, 2 wrong usage.
 */
export const commandEngine = (line: string, settings: Settings["sftpd"]): Engine | undefined => {
  const words = Option.getOrUndefined(splitWords(line));
  const name = words?.[0];
  if (words === undefined || name === undefined || !enabled(name, settings)) return undefined;
  if (name === "scp") return scpEngine(words.slice(1));
  const command = table.get(name);
  return command && builtin(line, command, words.slice(1));
};

/** The protocol that a served line's session and events are shown under (BEHAVIOUR CMD-07). */
export const commandProtocol = (line: string): "SCP" | "SSH" =>
  Option.exists(splitWords(line), ([name]) => name === "scp") ? "SCP" : "SSH";

/** Names that one setting switches together: ours and the incumbent's (BEHAVIOUR CMD-04, CMD-05). */
const aliases = [["sluice-copy", "sftpgo-copy"], ["sluice-remove", "sftpgo-remove"]];

const pwd: Command = {
  usage: "pwd",
  least: 0,
  most: 0,
  run: ({ vfs, terminal }) => Effect.as(terminal.print(vfs.home), 0),
};

/** Accepted and without effect: every command starts in the start directory (CMD-03). */
const cd: Command = { usage: "cd [path]", least: 0, most: 1, run: () => Effect.succeed(0) };

const table = new Map<string, Command>([
  ["md5sum", hashSum("md5sum", "md5")],
  ["sha1sum", hashSum("sha1sum", "sha1")],
  ["sha256sum", hashSum("sha256sum", "sha256")],
  ["sha384sum", hashSum("sha384sum", "sha384")],
  ["sha512sum", hashSum("sha512sum", "sha512")],
  ["cd", cd],
  ["pwd", pwd],
  ["sluice-copy", copyCommand("sluice-copy")],
  ["sftpgo-copy", copyCommand("sftpgo-copy")],
  ["sluice-remove", removeCommand("sluice-remove")],
  ["sftpgo-remove", removeCommand("sftpgo-remove")],
]);

const enabled = (name: string, { enabled_ssh_commands: names }: Settings["sftpd"]): boolean =>
  names.includes("*") || names.includes(name) ||
  aliases.some((same) => same.includes(name) && same.some((n) => names.includes(n)));

/**
 * Runs a command and records its event (CMD-07). It runs in the channel's own
 * fiber, not as a session control message: hashing or copying a tree may take
 * minutes, during which a session must still hear a kick or a drain.
 */
const builtin =
  (line: string, command: Command, given: ReadonlyArray<string>): Engine => (channel, { vfs }) =>
    Effect.gen(function* () {
      const out = terminal(channel);
      const elapsed = stopwatch();
      const words = operands(given);
      const fits = words !== undefined && words.length >= command.least &&
        words.length <= command.most;
      const status = fits
        ? yield* command.run({ words, vfs, channel, terminal: out })
        : yield* Effect.as(out.complain(`usage: ${command.usage}`), 2);
      yield* vfs.recordCommand(printable(line), { ok: status === 0, elapsed: elapsed() });
      return status;
    });

/** Takes a leading `--` off; undefined when there is an option, as no command has any. */
const operands = (given: ReadonlyArray<string>): ReadonlyArray<string> | undefined => {
  if (given[0] === "--") return given.slice(1);
  return given.some((word) => /^-./.test(word)) ? undefined : given;
};
