import { Cause, Data, Option } from "effect";
import { printable } from "../vpath.ts";

/** Exit codes of every command. */
export const exits = { ok: 0, failed: 1, usage: 2, notFound: 3, refused: 4 } as const;
export type ExitCode = typeof exits[keyof typeof exits];

/** A command cannot do what it was asked: one line for the operator, and the exit code. */
export class Refusal extends Data.TaggedError("Refusal")<{
  readonly exit: ExitCode;
  readonly message: string;
}> {}

export const usage = (message: string) => new Refusal({ exit: exits.usage, message });
export const notFound = (message: string) => new Refusal({ exit: exits.notFound, message });
export const refused = (message: string) => new Refusal({ exit: exits.refused, message });
export const failed = (message: string) => new Refusal({ exit: exits.failed, message });

const catalogExits: Readonly<Record<string, ExitCode>> = {
  NotFound: exits.notFound,
  Duplicate: exits.refused,
  InUse: exits.refused,
  Invalid: exits.usage,
};

/** What a failed command says, and with which code it ends. */
export const explain = (cause: Cause.Cause<unknown>): { exit: ExitCode; lines: string[] } => {
  const error = Option.getOrElse(Cause.failureOption(cause), () => Cause.squash(cause));
  const lines = (text: string) => text.split("\n").filter(Boolean).map(printable);
  if (error instanceof Refusal) return { exit: error.exit, lines: lines(error.message) };
  const tag = typeof error === "object" && error !== null && "_tag" in error ? error._tag : "";
  if (tag === "ConfigError" && error instanceof Error) {
    return { exit: exits.usage, lines: lines(error.message) };
  }
  if (tag === "CatalogError" && error instanceof Error && "reason" in error) {
    const detail = "detail" in error ? String(error.detail) : error.message;
    return { exit: catalogExits[String(error.reason)] ?? exits.failed, lines: lines(detail) };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { exit: exits.failed, lines: lines(message || "failed for an unknown reason") };
};
