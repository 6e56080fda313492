import type { Figure } from "./measure.ts";

const [from, to] = ["<!-- bench -->", "<!-- /bench -->"];

/** Puts `text` between the marks of a page, or at its end. What people wrote around them stays. */
export const replaceMarked = (page: string, text: string): string => {
  const section = `${from}\n${text}\n${to}`;
  const [start, end] = [page.indexOf(from), page.indexOf(to)];
  return start < 0 || end < start
    ? `${page.trimEnd()}\n\n${section}\n`
    : page.slice(0, start) + section + page.slice(end + to.length);
};

const makeFolder = (path: string) => Deno.mkdir(path.replace(/\/[^/]*$/, ""), { recursive: true });

export const writePage = async (path: string, text: string): Promise<void> => {
  await makeFolder(path);
  const page = await Deno.readTextFile(path).catch(() => "# Performance\n");
  await Deno.writeTextFile(path, replaceMarked(page, text));
};

const head = "date,commit,machine,row,server,median,min,max,unit,cpu_s,rss_idle_mib,rss_peak_mib";

const cell = (value: string | number): string => {
  const text = typeof value === "number" ? String(Number(value.toPrecision(5))) : value;
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** Adds one line a figure to the history, which begins with a line of names. */
export const appendHistory = async (
  path: string,
  figures: ReadonlyArray<Figure>,
  commit: string,
  machine: string,
): Promise<void> => {
  await makeFolder(path);
  const there = await Deno.stat(path).then(() => true, () => false);
  const now = new Date().toISOString().slice(0, 19) + "Z";
  const rows = figures.map((f) =>
    [
      ...[now, commit, machine, f.row.id, f.server, f.median, f.min, f.max, f.row.unit, f.cpu],
      ...[f.rssIdle / 1024 ** 2, f.rssPeak / 1024 ** 2],
    ].map(cell).join(",")
  );
  const text = [...(there ? [] : [head]), ...rows].join("\n") + "\n";
  await Deno.writeTextFile(path, text, { append: true });
};
