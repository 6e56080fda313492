import { connectionCommands } from "./commands_connection.ts";
import { fileCommands } from "./commands_files.ts";
import { transferCommands } from "./commands_transfer.ts";
import type { BadLine, Line } from "./lines.ts";
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

/** Commands, and bytes of them, that may wait for the one under way; then the client is not read. */
const MAX_QUEUED = 1000;
const MAX_QUEUED_BYTES = 64 * 1024;
/** Unknown commands before the login (CVE-2021-3618). */
const MAX_UNKNOWN = 10;
/** A browser that was sent here. */
const http = /^(GET|POST|PUT|HEAD|DELETE|OPTIONS|PATCH|CONNECT|TRACE) /;

const bytesOf = (line: Line) => "text" in line ? line.text.length + 16 : 16;

/** Runs one connection's commands, one after another, in the order in which they came. */
export class Interpreter {
  readonly #state: State;
  readonly #failed: (error: unknown) => void;
  #queue: Line[] = [];
  #queued = 0;
  #full = false;
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
    if (this.#busy && "text" in line) {
      if (/^ABOR *$/i.test(line.text)) this.#state.data.abort();
      // RFC 959 section 4.1.3: STAT may be sent during a transfer, and is answered at once.
      if (/^STAT *$/i.test(line.text) && this.#state.data.moving !== undefined) {
        return this.#state.reply(reply(211, `${this.#state.data.moving} bytes so far`));
      }
    }
    this.#queue.push(line);
    this.#queued += bytesOf(line);
    this.#breathe();
    if (!this.#busy) this.#work();
  }

  /** Runs nothing more. */
  stop(): void {
    this.#over = true;
    this.#queue = [];
  }

  /** Stops reading from a client that is too far ahead, and goes on where it is not any more. */
  #breathe(): void {
    const full = this.#queue.length >= MAX_QUEUED || this.#queued >= MAX_QUEUED_BYTES;
    if (full === this.#full) return;
    this.#full = full;
    if (full) this.#state.control.pause();
    else this.#state.control.resume();
  }

  async #work(): Promise<void> {
    this.#busy = true;
    for (let line = this.#queue.shift(); line && !this.#over; line = this.#queue.shift()) {
      this.#queued -= bytesOf(line);
      this.#breathe();
      this.#state.data.begin();
      const answer = await this.#answer(line);
      if (answer.code > 0) this.#state.reply(answer);
    }
    this.#busy = false;
  }

  async #answer(line: Line): Promise<Reply> {
    const state = this.#state;
    if ("bad" in line) return this.#bad(line.bad);
    const [, word = "", argument = ""] = /^(\S*) ?(.*)$/s.exec(line.text) ?? [];
    const verb = word.toUpperCase();
    const command = commands.get(aliases[verb] ?? verb);
    if (!command) return this.#notKnown(line.text);
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

  #bad(bad: BadLine): Reply {
    const answer = this.#notKnown("");
    if (answer.code === 0) return answer;
    return bad === "too long"
      ? reply(500, "the line is too long")
      : reply(501, "the command is not UTF-8");
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
