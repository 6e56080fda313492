import { FsError, type FsReason } from "../../src/errors.ts";
import { printable } from "../../src/vpath.ts";

/** What a command answers: a code of three digits, and one line or several. */
export interface Reply {
  readonly code: number;
  readonly text: string | ReadonlyArray<string>;
}

export const reply = (code: number, text: Reply["text"]): Reply => ({ code, text });

/** A command that cannot be done, for a reason that is no file's: its answer. */
export class Refusal extends Error {
  constructor(readonly reply: Reply) {
    super(String(reply.text));
  }
}

/** Refuses the command that is being done. */
export const refuse = (code: number, text: string): Refusal => new Refusal(reply(code, text));

/** As bytes of the wire (RFC 959 section 4.2): no client's text can end a line. */
export const encodeReply = ({ code, text }: Reply): Uint8Array => {
  const lines = (typeof text === "string" ? [text] : text).map(printable);
  const last = lines.pop() ?? "";
  const [first, ...middle] = lines;
  const whole = first === undefined
    ? `${code} ${last}\r\n`
    : [`${code}-${first}`, ...middle.map((line) => ` ${line.trimStart()}`), `${code} ${last}`, ""]
      .join("\r\n");
  return new TextEncoder().encode(whole);
};

/** ARCHITECTURE section 7. */
const codes = {
  NotFound: [550, "no such file or directory"],
  Denied: [550, "permission denied"],
  ReadOnly: [550, "read only"],
  AlreadyExists: [550, "it exists already"],
  NotEmpty: [550, "the directory is not empty"],
  IsDirectory: [550, "it is a directory"],
  NotDirectory: [550, "it is not a directory"],
  InvalidPath: [553, "the name is not allowed"],
  NameTooLong: [553, "the name is too long"],
  QuotaExceeded: [552, "the quota is used up"],
  TooLarge: [552, "the file is too large"],
  Locked: [450, "the file is in use"],
  Busy: [450, "busy, try again"],
  Unsupported: [504, "not possible here"],
  Conflict: [450, "it has changed meanwhile"],
  Aborted: [426, "aborted"],
  Unavailable: [451, "the storage cannot be reached"],
  Corrupt: [451, "the stored data is damaged"],
} as const satisfies Record<FsReason, readonly [number, string]>;

/** The answer to a failure. What is neither ours nor a file's says nothing about itself. */
export const failureReply = (error: unknown): Reply => {
  if (error instanceof Refusal) return error.reply;
  if (error instanceof FsError) {
    const [code, text] = codes[error.reason];
    return reply(code, error.detail ?? text);
  }
  return reply(451, "internal error");
};
