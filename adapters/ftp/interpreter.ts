import { connectionCommands } from "./commands_connection.ts";
import { fileCommands } from "./commands_files.ts";
import { transferCommands } from "./commands_transfer.ts";
import type { Line } from "./lines.ts";
import { failureReply, type Reply, reply } from "./reply.ts";
import type { Command, State } from "./state.ts";

const commands: ReadonlyMap<string, Command> = new Map(Object.entries({
  ...connectionCommands,
  ...fileCommands,
  ...transferCommands,
}));
/** Old names (RFC 775, RFC 1123). */
const aliases: Readonly<Record<string, string>> = {
  XPWD: "PWD",
  XCWD: "CWD",
  XCUP: "CDUP",
  XMKD: "MKD",
  XRMD: "RMD",
};

/** Commands that may wait for the one under way; then the client is not read. */
const MAX_QUEUED = 64;
/** Unknown commands before the login (CVE-2021-3618). */
const MAX_UNKNOWN = 10;
/** A browser that was sent here. */
const http = /^(GET|POST|PUT|HEAD|DELETE|OPTIONS|PATCH|CONNECT|TRACE) /;

/** Runs one connection's commands, one after another, in the order in which they came. */
export class Interpreter {
  readonly #state: State;
  readonly #failed: (error: unknown) => void;
  #queue: Line[] = [];
  #busy = false;
  #over = false;
  #unknown = 0;

  constructor(state: State, failed: (error: unknown) => void) {
    this.#state = state;
    this.#failed = failed;
  }

  /** Takes a line; ABOR ends the transfer under way at once, and is answered in its turn. */
  take(line: Line): void {
    if (this.#over) return;
    if (this.#busy && line !== undefined && /^ABOR *$/i.test(line)) this.#state.data.abort();
    this.#queue.push(line);
    if (this.#queue.length >= MAX_QUEUED) this.#state.control.pause();
    if (!this.#busy) this.#work();
  }

  /** Runs nothing more. */
  stop(): void {
    this.#over = true;
    this.#queue = [];
  }

  async #work(): Promise<void> {
    this.#busy = true;
    while (this.#queue.length > 0 && !this.#over) {
      const line = this.#queue.shift();
      if (this.#queue.length === MAX_QUEUED - 1) this.#state.control.resume();
      this.#state.data.begin();
      const answer = await this.#answer(line);
      if (answer.code > 0) this.#state.reply(answer);
    }
    this.#busy = false;
  }

  async #answer(line: Line): Promise<Reply> {
    const state = this.#state;
    if (line === undefined) return reply(501, "the command is not UTF-8");
    const [, word = "", argument = ""] = /^(\S*) ?(.*)$/s.exec(line) ?? [];
    const verb = word.toUpperCase();
    const command = commands.get(aliases[verb] ?? verb);
    if (!command) return this.#notKnown(line);
    if (!command.early && !state.account) return reply(530, "log in first");
    if (command.argument === "required" && argument === "") {
      return reply(501, `${verb} needs an argument`);
    }
    if (verb === "AUTH" && this.#queue.length > 0) {
      // Sent in clear, and meant to run as if it had been protected.
      this.#state.control.destroy("data before the TLS handshake");
      return reply(0, "");
    }
    if (verb !== "RNTO") state.renameFrom = undefined;
    try {
      return await command.handler(state, argument);
    } catch (error) {
      const answer = failureReply(error);
      if (answer.code === 451) this.#failed(error);
      return answer;
    } finally {
      if (verb !== "REST" && !["PASV", "EPSV", "PORT", "EPRT"].includes(verb)) state.restart = 0;
    }
  }

  #notKnown(line: string): Reply {
    const { account, control } = this.#state;
    if (http.test(line) || (!account && ++this.#unknown > MAX_UNKNOWN)) {
      control.close("that is not FTP");
      return reply(0, "");
    }
    return reply(500, "unknown command");
  }
}
