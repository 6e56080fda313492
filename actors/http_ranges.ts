/** Bytes from `from` to before `to`. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

const MAX_RANGES = 64;

/**
 * Parses a Range header (RFC 9110 section 14.2) for a file of `size` bytes.
 *
 * Undefined when there is none or it is none of bytes: the whole file is meant.
 * Empty when no range can be served (416). Ranges that touch are joined, and
 * more than 64 that do not are refused, so that nobody reads a file many times.
 */
export const parseRanges = (
  header: string | null,
  size: number,
): ReadonlyArray<Range> | undefined => {
  const list = /^\s*bytes\s*=\s*(.+)$/i.exec(header ?? "")?.[1];
  if (list === undefined) return undefined;
  const ranges: Range[] = [];
  const specs = list.split(",").map((spec) => spec.trim()).filter((spec) => spec !== "");
  if (specs.length > 2000) return [];
  for (const spec of specs) {
    const found = /^(\d{0,16})-(\d{0,16})$/.exec(spec);
    if (!found || spec === "-") return undefined;
    const [, first = "", last = ""] = found;
    if (first === "") {
      const from = Math.max(0, size - Number(last));
      if (from < size) ranges.push({ from, to: size });
      continue;
    }
    const from = Number(first);
    const to = last === "" ? size : Math.min(size, Number(last) + 1);
    if (last !== "" && Number(last) < from) return [];
    if (from < size) ranges.push({ from, to });
  }
  const sorted = ranges.toSorted((a, b) => a.from - b.from);
  const joined: Range[] = [];
  for (const range of sorted) {
    const before = joined.at(-1);
    if (before && range.from <= before.to) {
      joined[joined.length - 1] = { from: before.from, to: Math.max(before.to, range.to) };
    } else joined.push(range);
  }
  return joined.length > MAX_RANGES ? [] : joined;
};
