import type { Figure } from "./measure.ts";
import type { Bound } from "./plan.ts";
import { type Line, lines, met, ours, ratio, show, showBound, warnings } from "./verdict.ts";

const table = (head: ReadonlyArray<string>, body: ReadonlyArray<ReadonlyArray<string>>): string =>
  [
    head,
    head.map((_, i) => i === 0 ? "---" : "---:"),
    ...body,
  ].map((cells) => `| ${cells.join(" | ")} |`).join("\n");

const verdict = (line: Line, bounds: ReadonlyArray<Bound>): string => {
  if (bounds.length === 0) return "";
  const text = bounds.map((b) => showBound(line.row, b)).join(", ");
  const is = met(line, bounds);
  return `${text}: ${is === undefined ? "not compared" : is ? "met" : "**missed**"}`;
};

const value = (figure: Figure | undefined): string =>
  figure === undefined ? "-" : show(figure.median);

const rss = (figure: Figure | undefined): string =>
  figure === undefined ? "-" : `${show(figure.rssPeak / 1024 ** 2)}`;

/** The result as Markdown: figures and ratios, verdicts, the spread of the rounds, memory and CPU. */
export const report = (figures: ReadonlyArray<Figure>, servers: ReadonlyArray<string>): string => {
  const all = lines(figures);
  const peers = servers.filter((s) => s !== ours);
  const compared = table(
    ["row", "unit", ...servers, ...peers.map((p) => `to ${p}`), "must", "aim"],
    all.map((line) => [
      line.row.title,
      line.row.unit,
      ...servers.map((s) => value(line.by.get(s))),
      ...peers.map((p) => {
        const r = ratio(line, p);
        return r === undefined ? "-" : r.toFixed(2);
      }),
      verdict(line, line.row.must),
      verdict(line, line.row.aim),
    ]),
  );
  const detail = table(
    ["row", ...servers.flatMap((s) => [`${s} min - max`, "CPU s", "peak RSS MiB"])],
    all.filter((line) => line.row.group !== "cpu").map((line) => [
      line.row.title,
      ...servers.flatMap((s) => {
        const figure = line.by.get(s);
        return figure === undefined
          ? ["-", "-", "-"]
          : [`${show(figure.min)} - ${show(figure.max)}`, show(figure.cpu), rss(figure)];
      }),
    ]),
  );
  const wide = warnings(figures);
  return [
    compared,
    "Of each round, for the whole tree of server processes (pages shared by processes count in each):",
    detail,
    wide.length === 0
      ? "No row's rounds lie wide apart."
      : `Rounds that lie wide apart, so take these with care:\n\n${
        wide.map((w) => `- ${w}`).join("\n")
      }`,
  ].join("\n\n");
};

/** A plain table for a terminal. */
export const summary = (figures: ReadonlyArray<Figure>, servers: ReadonlyArray<string>): string => {
  const peers = servers.filter((s) => s !== ours);
  const rows = [
    ["", "unit", ...servers, ...peers.map((p) => `/ ${p}`), "must", "aim"],
    ...lines(figures).map((line) => [
      line.row.title,
      line.row.unit,
      ...servers.map((s) => value(line.by.get(s))),
      ...peers.map((p) => ratio(line, p)?.toFixed(2) ?? "-"),
      verdict(line, line.row.must).replaceAll("**", ""),
      verdict(line, line.row.aim).replaceAll("**", ""),
    ]),
  ];
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((r) => r[i]?.length ?? 0)));
  return rows.map((r) =>
    r.map((cell, i) =>
      i === 0 || i > 1 + servers.length + peers.length
        ? cell.padEnd(widths[i] ?? 0)
        : cell.padStart(widths[i] ?? 0)
    ).join("  ").trimEnd()
  ).join("\n");
};
