import type { Entry } from "../../src/model/entry.ts";

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const halfYear = 182 * 24 * 3600 * 1000;

/** `YYYYMMDDHHMMSS` in UTC (RFC 3659 section 2.3). */
export const stamp = (milliseconds: number): string =>
  new Date(milliseconds).toISOString().replace(/\..*$/, "").replace(/[-:T]/g, "");

/** Unix milliseconds of a {@linkcode stamp}; undefined when it is none. */
export const readStamp = (text: string): number | undefined => {
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.\d+)?$/.exec(text);
  if (!parts) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(1).map(
    Number,
  );
  const at = Date.UTC(year, month - 1, day, hour, minute, second);
  return stamp(at) === text.slice(0, 14) ? at : undefined;
};

const types = { file: "file", dir: "dir", symlink: "OS.unix=symlink", other: "OS.unix=other" };

/** Facts that MLST and MLSD can tell, in their order (RFC 3659 section 7.5). */
export const allFacts = ["type", "size", "modify", "UNIX.mode"] as const;
export type Fact = typeof allFacts[number];

/** The chosen facts of an entry, each ending with a semicolon; what an entry has not is left out. */
export const facts = (entry: Entry, chosen: ReadonlyArray<Fact>): string => {
  const values: Record<Fact, string | undefined> = {
    type: types[entry.kind],
    size: entry.kind === "file" ? String(entry.size) : undefined,
    modify: stamp(entry.mtime),
    "UNIX.mode": entry.mode === undefined ? undefined : `0${entry.mode.toString(8)}`,
  };
  return chosen.map((fact) => values[fact] === undefined ? "" : `${fact}=${values[fact]};`)
    .join("");
};

/** One line of LIST, as `ls -l` shows it. */
export const longLine = (entry: Entry, now: number): string => {
  const kind = { file: "-", dir: "d", symlink: "l", other: "-" }[entry.kind];
  const mode = entry.mode ?? (entry.kind === "dir" ? 0o755 : 0o644);
  const bits = [..."rwxrwxrwx"].map((letter, i) => mode & (0o400 >> i) ? letter : "-").join("");
  const at = new Date(entry.mtime);
  const month = months[at.getUTCMonth()] ?? "Jan";
  const day = String(at.getUTCDate()).padStart(2);
  const age = now - entry.mtime;
  const last = age < 0 || age > halfYear
    ? String(at.getUTCFullYear()).padStart(5)
    : at.toISOString().slice(11, 16);
  const links = String(entry.links ?? 1).padStart(4);
  const size = String(entry.size).padStart(12);
  return `${kind}${bits} ${links} ftp      ftp      ${size} ${month} ${day} ${last} ${entry.name}`;
};
