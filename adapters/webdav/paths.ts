import { Either } from "effect";
import { parseClientPath, type VPath } from "../../src/vpath.ts";
import { type DavError, refuse } from "./status.ts";

/** What a request names. */
export interface Target {
  readonly path: VPath;
  /** The client wrote a trailing slash. */
  readonly slash: boolean;
}

/**
 * Reads the path of a request target below `prefix`.
 *
 * Refuses what does not decode, `..` in any spelling and an escaped slash,
 * which no client means well; an adapter must not guess there.
 */
export const parseTarget = (target: string, prefix: string): Either.Either<Target, DavError> => {
  const raw = target.slice(prefix.length).replace(/[?#].*$/s, "");
  let decoded: string;
  try {
    decoded = decodeURIComponent(raw);
  } catch {
    return Either.left(refuse(400, "the path is not valid UTF-8"));
  }
  if (/%2f/i.test(raw)) return Either.left(refuse(400, "the path holds an escaped slash"));
  if (decoded.split(/[/\\]/).includes("..")) {
    return Either.left(refuse(400, "the path holds .."));
  }
  return Either.mapBoth(parseClientPath(decoded === "" ? "/" : decoded), {
    onLeft: (error) => refuse(400, error.detail ?? "not a path"),
    onRight: (path) => ({ path, slash: decoded.endsWith("/") }),
  });
};

/**
 * Reads a Destination header (RFC 4918 section 10.3): an absolute URI of this
 * host, or an absolute path. Another host is 502, another tree 403.
 */
export const parseDestination = (
  header: string | null,
  request: { readonly url: string; readonly headers: Headers },
  prefix: string,
): Either.Either<Target, DavError> => {
  if (header === null || header === "") return Either.left(refuse(400, "no Destination"));
  let target = header;
  const absolute = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/i.exec(header);
  if (absolute) {
    const [, , authority = "", rest = ""] = absolute;
    const host = request.headers.get("host") ?? /:\/\/([^/]*)/.exec(request.url)?.[1] ?? "";
    if (bare(authority) !== bare(host)) {
      return Either.left(refuse(502, "the destination is on another server"));
    }
    target = rest === "" ? "/" : rest;
  }
  if (!target.startsWith("/")) return Either.left(refuse(400, "Destination is not absolute"));
  if (!target.startsWith(prefix) || !/^(?:$|[/?#])/.test(target.slice(prefix.length))) {
    return Either.left(refuse(403, "the destination is outside of the tree"));
  }
  return parseTarget(target, prefix);
};

/** A default port is the same as none. */
const bare = (authority: string) =>
  authority.toLowerCase().replace(/^.*@/, "").replace(/:(?:80|443)$/, "");

/** The reference of a path as XML text: an absolute path, collections with a slash at the end. */
export const href = (prefix: string, path: VPath, collection: boolean): string => {
  const end = collection ? "/" : "";
  if (path === "/") return prefix + end;
  const cut = path.lastIndexOf("/");
  return `${prefix}${encodedFolder(path.slice(0, cut))}/${segment(path.slice(cut + 1))}${end}`;
};

/** The last one is remembered: a listing asks for the same many times. */
const encodedFolder = (folder: string): string => {
  if (folder !== last.folder) {
    last = { folder, encoded: folder.split("/").map(segment).join("/") };
  }
  return last.encoded;
};
let last = { folder: "", encoded: "" };

/** As encodeURIComponent, and safe in XML. */
const segment = (name: string) =>
  /^[\w.~-]*$/.test(name) ? name : encodeURIComponent(name).replace(/'/g, "%27");
