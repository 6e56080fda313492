import { Cause, HashMap, Layer, List, Logger, LogLevel } from "effect";
import type { Settings } from "./config/config.ts";
import { printable } from "./vpath.ts";

const encoder = new TextEncoder();
const levels = {
  debug: LogLevel.Debug,
  info: LogLevel.Info,
  warn: LogLevel.Warning,
  error: LogLevel.Error,
} as const;
/** Annotations that never reach a log, whoever adds them. */
const secret = /password|secret|token|passphrase|private_key/i;
const maxText = 8192;

type Write = (line: string) => void;

const toStderr: Write = (line) => {
  let rest = encoder.encode(line + "\n");
  // A closed stderr (the terminal went away) must not end a server.
  try {
    while (rest.length > 0) rest = rest.subarray(Deno.stderr.writeSync(rest));
  } catch { /* nowhere left to say so */ }
};

/** One record: what happened, when, how bad, and the annotations around it. */
export const record = (options: Logger.Logger.Options<unknown>): Record<string, unknown> => {
  const parts = Array.isArray(options.message) ? options.message : [options.message];
  const fields: Record<string, unknown> = {
    time: options.date.toISOString(),
    level: options.logLevel === LogLevel.Warning ? "warn" : options.logLevel.label.toLowerCase(),
  };
  const said: string[] = [];
  for (const part of parts) {
    if (Cause.isCause(part)) fields.cause = Cause.pretty(part).slice(0, maxText);
    else if (part instanceof Error) said.push(part.message);
    else if (typeof part === "object" && part !== null) Object.assign(fields, part);
    else said.push(String(part));
  }
  if (said.length > 0) fields.message = said.join(" ");
  if (!Cause.isEmpty(options.cause)) fields.cause = Cause.pretty(options.cause).slice(0, maxText);
  for (const [key, value] of HashMap.toEntries(options.annotations)) fields[key] ??= value;
  for (const span of List.toArray(options.spans)) {
    fields[`${span.label}_ms`] = options.date.getTime() - span.startTime;
  }
  for (const key of Object.keys(fields)) if (secret.test(key)) fields[key] = "[redacted]";
  return fields;
};

const plain = (_key: string, value: unknown): unknown =>
  typeof value === "bigint" ? Number(value) : value instanceof Error ? value.message : value;

const ugly = /[\u007f-\u009f\u2028\u2029]/g;
/** JSON escapes C0 itself; the rest that a terminal acts on is escaped here (SECURITY 5, Audit). */
const json = (fields: Record<string, unknown>): string =>
  JSON.stringify(fields, plain).replace(
    ugly,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

const colours: Record<string, string> = { debug: "90", info: "36", warn: "33", error: "31" };
const pretty = ({ time, level, message, event, cause, ...rest }: Record<string, unknown>) => {
  const name = String(level);
  const extra = Object.entries(rest).map(([k, v]) =>
    `${k}=${typeof v === "string" ? v : JSON.stringify(v, plain)}`
  );
  const head = [event, message].filter((part) => part !== undefined).join(": ");
  const line = printable([head, ...extra].join("  "));
  const trace = cause === undefined
    ? ""
    : "\n" + String(cause).split("\n").map((l) => `    ${printable(l)}`).join("\n");
  return `\x1b[90m${String(time).slice(11, 23)}\x1b[0m \x1b[${colours[name] ?? "0"}m${
    name.padEnd(5)
  }\x1b[0m ${line}${trace}`;
};

/** Replaces Effect's console logger: JSON lines on stderr, or coloured text on a terminal. */
export const logLayer = (log: Settings["log"], write: Write = toStderr) => {
  const asPretty = log.format === "pretty" || (log.format === "auto" && Deno.stderr.isTerminal());
  const logger = Logger.make((options) => {
    const fields = record(options);
    write(asPretty ? pretty(fields) : json(fields));
  });
  return Layer.merge(
    Logger.replace(Logger.defaultLogger, logger),
    Logger.minimumLogLevel(levels[log.level]),
  );
};

let thread: Record<string, unknown> = {};

/** Says in what `logNow` writes which worker it comes from. */
export const nameThread = (worker: number): void => {
  thread = { worker };
};

/** Writes one record outside any fiber: for what escaped all of them. */
export const logNow = (fields: Record<string, unknown>): void =>
  toStderr(json({ time: new Date().toISOString(), ...fields, ...thread }));
