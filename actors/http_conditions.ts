import type { Entry } from "../src/model/entry.ts";

/** Strong entity tag: of the store, or made of time and size. */
export const etagOf = (entry: Entry): string =>
  `"${entry.etag ?? `${Math.round(entry.mtime * 1000).toString(36)}-${entry.size.toString(36)}`}"`
    .replace(/[^\x21-\x7e]/g, "");

/**
 * If-Match, If-None-Match and their times (RFC 9110 section 13.2.2): the status
 * to answer instead, or undefined. 304 only for GET and HEAD.
 */
export const checkConditions = (
  { headers, method }: { readonly headers: Headers; readonly method: string },
  entry: Entry | undefined,
): 304 | 412 | undefined => {
  const reads = method === "GET" || method === "HEAD";
  const tag = entry?.kind === "file" ? etagOf(entry) : undefined;
  const match = headers.get("if-match");
  if (match !== null) {
    const fits = match.trim() === "*"
      ? entry !== undefined
      : tag !== undefined && tagsOf(match).includes(tag);
    if (!fits) return 412;
  } else {
    const since = Date.parse(headers.get("if-unmodified-since") ?? "");
    if (!Number.isNaN(since) && entry && seconds(entry) > since) return 412;
  }
  const none = headers.get("if-none-match");
  if (none !== null) {
    const same = none.trim() === "*"
      ? entry !== undefined
      : tag !== undefined && tagsOf(none).some((t) => t.replace(/^W\//, "") === tag);
    return same ? (reads ? 304 : 412) : undefined;
  }
  const since = Date.parse(headers.get("if-modified-since") ?? "");
  return reads && entry && !Number.isNaN(since) && seconds(entry) <= since ? 304 : undefined;
};

/** If-Range (RFC 9110 section 13.1.5): a range of another version is no range. */
export const sameVersion = (headers: Headers, entry: Entry): boolean => {
  const header = headers.get("if-range");
  if (header === null) return true;
  if (/^(?:W\/)?"/.test(header)) return header === etagOf(entry);
  return Date.parse(header) === seconds(entry);
};

const tagsOf = (header: string): ReadonlyArray<string> =>
  [...header.matchAll(/(?:W\/)?"[^"]*"/g)].map(([tag]) => tag);

/** HTTP dates have whole seconds. */
const seconds = (entry: Entry) => Math.floor(entry.mtime / 1000) * 1000;
