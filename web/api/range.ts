/** Bytes from `from` to before `to`. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/**
 * Parses a Range header (RFC 9110 section 14.2): undefined where the whole file
 * is meant, `unsatisfiable` for 416, as several ranges are too (BEHAVIOUR API-22).
 */
export const parseRange = (
  header: string | null,
  size: number,
): Range | "unsatisfiable" | undefined => {
  const spec = /^bytes\s*=(.*)$/i.exec(header?.trim() ?? "")?.[1]?.trim();
  if (spec === undefined) return undefined;
  if (spec.includes(",")) return "unsatisfiable";
  const found = /^(\d{0,16})-(\d{0,16})$/.exec(spec);
  if (!found || spec === "-") return undefined;
  const [, first = "", last = ""] = found;
  if (first === "") {
    const from = Math.max(0, size - Number(last));
    return from < size ? { from, to: size } : "unsatisfiable";
  }
  const from = Number(first);
  const to = last === "" ? size : Math.min(size, Number(last) + 1);
  return from < to ? { from, to } : "unsatisfiable";
};
