import type { Figure } from "./measure.ts";
import type { Bound, Row } from "./plan.ts";

/** The name under which this server appears. */
export const ours = "Sluice";

/** One row with what every server showed. */
export interface Line {
  readonly row: Row;
  readonly by: ReadonlyMap<string, Figure>;
}

/** Puts the figures of one row together, in the order in which rows were measured. */
export const lines = (figures: ReadonlyArray<Figure>): ReadonlyArray<Line> => {
  const found = new Map<string, { row: Row; by: Map<string, Figure> }>();
  for (const figure of figures) {
    const line = found.get(figure.row.id) ?? { row: figure.row, by: new Map() };
    found.set(figure.row.id, line);
    line.by.set(figure.server, figure);
  }
  return [...found.values()];
};

/** Our figure divided by a peer's, as the issue counts: above 1 is more of what is measured. */
export const ratio = (line: Line, peer: string): number | undefined => {
  const [mine, theirs] = [line.by.get(ours)?.median, line.by.get(peer)?.median];
  return mine === undefined || theirs === undefined || theirs === 0 ? undefined : mine / theirs;
};

/** How far our figure is on the good side of a bound: 1 is just met. Undefined without a figure to compare. */
export const margin = (line: Line, bound: Bound): number | undefined => {
  const mine = line.by.get(ours)?.median;
  if (mine === undefined) return undefined;
  if ("value" in bound) return line.row.better === "less" ? bound.value / mine : mine / bound.value;
  const r = ratio(line, bound.peer);
  if (r === undefined) return undefined;
  return line.row.better === "less" ? bound.times / r : r / bound.times;
};

export const met = (line: Line, bounds: ReadonlyArray<Bound>): boolean | undefined => {
  const margins = bounds.map((b) => margin(line, b));
  if (bounds.length === 0 || margins.includes(undefined)) return undefined;
  return margins.every((m) => m !== undefined && m >= 1);
};

/** A number with three digits that count. */
export const show = (n: number): string =>
  !Number.isFinite(n)
    ? "-"
    : Math.abs(n) >= 100
    ? n.toFixed(0)
    : n.toFixed(Math.abs(n) >= 10 ? 1 : 2);

export const showBound = (row: Row, bound: Bound): string => {
  const sign = row.better === "less" ? "≤" : "≥";
  return "value" in bound
    ? `${sign} ${bound.value} ${row.unit}`
    : `${sign} ${bound.times} × ${bound.peer}`;
};

/** Highest by lowest of the rounds above which a figure is not to be trusted. */
export const wide = 1.3;

export const spread = (figure: Figure): number => figure.min > 0 ? figure.max / figure.min : 1;

/** A warning for every figure whose rounds lie far apart. */
export const warnings = (figures: ReadonlyArray<Figure>): ReadonlyArray<string> =>
  figures.filter((f) => spread(f) > wide).map((f) =>
    `${f.row.title}: ${f.server}: rounds from ${show(f.min)} to ${show(f.max)} ${f.row.unit}, ` +
    `${spread(f).toFixed(2)} apart`
  );
