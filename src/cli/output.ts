import { printable } from "../vpath.ts";

const encoder = new TextEncoder();

/** Writes whole lines to stdout. */
export const print = (text: string): void => write(text.endsWith("\n") ? text : text + "\n");

/** Writes to stdout as it is; a reader that went away (`| head`) ends the process quietly. */
export const write = (text: string): void => {
  let rest = encoder.encode(text);
  try {
    while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
  } catch (cause) {
    if (cause instanceof Deno.errors.BrokenPipe) Deno.exit(0);
    throw cause;
  }
};

/** Writes lines to stderr, each under the program's name. */
export const complain = (lines: ReadonlyArray<string>): void => {
  for (const line of lines) Deno.stderr.writeSync(encoder.encode(`sluice: ${line}\n`));
};

export interface Column {
  readonly title: string;
  readonly right?: boolean;
}

/** Aligns rows under titles, two spaces apart. Cells are made safe for a terminal. */
export const table = (
  columns: ReadonlyArray<Column>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
): string => {
  const cells = [columns.map((c) => c.title), ...rows.map((row) => row.map(printable))];
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => (row[i] ?? "").length)));
  return cells.map((row) =>
    row.map((cell, i) => {
      const width = widths[i] ?? 0;
      return columns[i]?.right ? cell.padStart(width) : cell.padEnd(width);
    }).join("  ").trimEnd()
  ).join("\n");
};

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** 1536 as `1.5 KiB`. */
export const size = (bytes: number): string => {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
};

/** Unix milliseconds as ISO text without fractions; 0 as `-`. */
export const time = (ms: number): string =>
  ms === 0 ? "-" : new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");

/** An object as `key: value` lines, nested ones indented, empty members left out. */
export const describe = (value: object, indent = ""): string =>
  Object.entries(value).filter(([, v]) => !isEmpty(v)).map(([key, v]) =>
    typeof v === "object" && v !== null && !Array.isArray(v)
      ? `${indent}${key}:\n${describe(v, indent + "  ")}`
      : Array.isArray(v) && v.some((item) => typeof item === "object")
      ? `${indent}${key}: ${printable(JSON.stringify(v))}`
      : `${indent}${key}: ${printable(Array.isArray(v) ? v.join(", ") : String(v))}`
  ).join("\n");

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || value === "" || value === 0 || value === false ||
  (Array.isArray(value) && value.length === 0) ||
  (typeof value === "object" && Object.values(value).every(isEmpty));
