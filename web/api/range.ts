import { parseRanges, type Range } from "../../actors/http_ranges.ts";

/**
 * The one range that a Range header asks for: undefined where the whole file is
 * meant, `unsatisfiable` for 416, as several ranges are too (BEHAVIOUR API-22).
 */
export const parseRange = (
  header: string | null,
  size: number,
): Range | "unsatisfiable" | undefined => {
  if (/^\s*bytes\s*=.*,/i.test(header ?? "")) return "unsatisfiable";
  const ranges = parseRanges(header, size);
  return ranges && (ranges[0] ?? "unsatisfiable");
};
