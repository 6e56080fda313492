import type { Entry } from "../../../src/model/entry.ts";
import { printable } from "../../../src/vpath.ts";
import { fullMode } from "./attrs.ts";

const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const halfYear = 182 * 86_400_000;
const types = { file: "-", dir: "d", symlink: "l", other: "?" } as const;

/** `drwxr-xr-x` of an entry, with the setuid, setgid and sticky marks. */
export const modeText = (entry: Entry): string => {
  const mode = fullMode(entry);
  const known = modes.get(mode);
  if (known !== undefined) return known;
  const text = spell(entry, mode);
  modes.set(mode, text);
  return text;
};

/** At most 4 kinds with 4096 modes. */
const modes = new Map<number, string>();

const spell = (entry: Entry, mode: number): string => {
  const triple = (shift: number, special: number, mark: string) => {
    const bits = mode >> shift;
    const run = bits & 1;
    const last = mode & special ? (run ? mark : mark.toUpperCase()) : run ? "x" : "-";
    return (bits & 4 ? "r" : "-") + (bits & 2 ? "w" : "-") + last;
  };
  return types[entry.kind] + triple(6, 0o4000, "s") + triple(3, 0o2000, "s") +
    triple(0, 0o1000, "t");
};

/** Files written together show the same minute, so the last answer mostly serves again. */
const dateText = (time: number, now: number): string => {
  const minute = Math.floor(time / 60_000);
  const recent = time <= now && now - time < halfYear;
  if (minute === last.minute && recent === last.recent) return last.text;
  last = { minute, recent, text: spellDate(time, recent) };
  return last.text;
};

let last = { minute: NaN, recent: false, text: "" };

const spellDate = (time: number, recent: boolean): string => {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return "Jan  1  1970";
  const two = (n: number) => String(n).padStart(2, "0");
  const day = `${months[date.getUTCMonth()]} ${String(date.getUTCDate()).padStart(2)}`;
  return recent
    ? `${day} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`
    : `${day}  ${date.getUTCFullYear()}`;
};

/**
 * The `ls -l` line of READDIR (section 7), in the columns of OpenSSH's server, in UTC.
 *
 * Control bytes in a name that was planted on disk are shown escaped, so that
 * a listing stays one line a file (SECURITY 6 item 2).
 */
export const longname = (entry: Entry, now: number): string => {
  const links = String(entry.links ?? 1).padStart(3);
  const uid = String(entry.uid ?? 0).padEnd(8);
  const gid = String(entry.gid ?? 0).padEnd(8);
  const size = String(entry.size).padStart(8);
  const date = dateText(entry.mtime, now);
  return `${modeText(entry)} ${links} ${uid} ${gid} ${size} ${date} ${printable(entry.name)}`;
};
