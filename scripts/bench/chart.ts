import { type Line, lines, margin, ratio } from "./verdict.ts";
import type { Figure } from "./measure.ts";
import type { Bound } from "./plan.ts";

/** Widest ratio that is drawn to scale. */
const most = 3;
const left = 400;
const scale = 180;
const barHeight = 13;
const colours = ["#2b6cb0", "#d69e2e", "#805ad5", "#718096"];

const escape = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

interface Bar {
  readonly label: string;
  /** How many times better than what it is compared with. */
  readonly good: number;
  readonly must: number | undefined;
  readonly colour: string;
}

const bars = (line: Line, peers: ReadonlyArray<string>): ReadonlyArray<Bar> => {
  const less = line.row.better === "less";
  const against = peers.flatMap((peer, i): Bar[] => {
    const r = ratio(line, peer);
    if (r === undefined) return [];
    const bound = line.row.must.find((b) => "peer" in b && b.peer === peer);
    const times = bound && "times" in bound ? bound.times : undefined;
    return [{
      label: peer,
      good: less ? 1 / r : r,
      must: times === undefined ? undefined : less ? 1 / times : times,
      colour: colours[i % colours.length] ?? "",
    }];
  });
  const limits = line.row.must.filter((b: Bound) => "value" in b).flatMap((b): Bar[] => {
    const good = margin(line, b);
    return good === undefined ? [] : [{ label: "limit", good, must: 1, colour: "#2f855a" }];
  });
  return [...against, ...limits];
};

/** Draws how many times better than each peer every row is, with a mark where it must be. */
export const chart = (
  figures: ReadonlyArray<Figure>,
  peers: ReadonlyArray<string>,
  title: string,
): string => {
  const parts: string[] = [];
  let y = 70;
  const text = (x: number, at: number, content: string, more = "") =>
    `<text x="${x}" y="${at}"${more}>${escape(content)}</text>`;
  for (const line of lines(figures)) {
    const drawn = bars(line, peers);
    if (drawn.length === 0) continue;
    const height = drawn.length * (barHeight + 2);
    const end = ' text-anchor="end"';
    parts.push(text(left - 70, y + height / 2 + 4, line.row.title, end));
    for (const bar of drawn) {
      const length = Math.min(bar.good, most) * scale;
      const opacity = bar.must === undefined || bar.good >= bar.must ? "1" : "0.55";
      parts.push(
        `<rect x="${left}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" ` +
          `fill="${bar.colour}" opacity="${opacity}"/>`,
        text(left - 6, y + 10, bar.label, `${end} font-size="9"`),
        text(
          left + length + 5,
          y + 10,
          bar.good.toFixed(2) + (bar.good > most ? " →" : ""),
          ' font-size="10"',
        ),
      );
      if (bar.must !== undefined) {
        const x = left + bar.must * scale;
        parts.push(
          `<path d="M${x.toFixed(1)} ${y - 1}v${
            barHeight + 2
          }" stroke="#c53030" stroke-width="3"/>`,
        );
      }
      y += barHeight + 2;
    }
    y += 8;
  }
  const one = left + scale;
  const width = left + most * scale + 70;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y + 10}" ` +
    `font-family="sans-serif" font-size="12">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    text(10, 22, title, ' font-size="15"'),
    text(
      10,
      44,
      "How many times better than each peer; red: where it must be; pale: missed. Right is better.",
      ' fill="#555"',
    ),
    `<path d="M${one} 55V${y}" stroke="#999" stroke-dasharray="3 3"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
};
