import { type Brand, Either } from "effect";
import { FsError } from "./errors.ts";

/**
 * An absolute, canonical virtual path: `/` or `/a/b`; no empty, `.` or `..`
 * component, no trailing slash, no control byte, no backslash.
 */
export type VPath = string & Brand.Brand<"VPath">;

/** Longest path that is accepted, in UTF-8 bytes (PATH_MAX on Linux). */
export const maxPathBytes = 4096;
/** Longest single name that is accepted, in UTF-8 bytes (NAME_MAX on Linux). */
export const maxNameBytes = 255;

export const root = "/" as VPath;

const encoder = new TextEncoder();
// C0, DEL and C1. Unpaired surrogates cannot be encoded and would collide as U+FFFD.
// deno-lint-ignore no-control-regex
const forbidden = /[\u0000-\u001f\u007f-\u009f]|\p{Surrogate}|\ufffd/u;

/**
 * Parses a path as a client sent it: the only door from untrusted text to a {@linkcode VPath}.
 *
 * A relative path is taken from `base`. `\` is a separator on every system
 * (BEHAVIOUR ARCH-05). `..` never climbs above `/`.
 * Fails with `InvalidPath` or `NameTooLong`.
 */
export const parseClientPath = (
  raw: string,
  base: VPath = root,
  op = "path",
): Either.Either<VPath, FsError> => {
  const refuse = (reason: "InvalidPath" | "NameTooLong", detail: string) =>
    Either.left(new FsError({ reason, op, path: printable(raw), detail }));
  if (forbidden.test(raw)) {
    return refuse("InvalidPath", "path has a control or undecodable character");
  }
  const unified = raw.replaceAll("\\", "/");
  const parts = unified.startsWith("/") ? [] : components(base);
  for (const part of unified.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else if (longerThan(part, maxNameBytes)) {
      return refuse("NameTooLong", `name is longer than ${maxNameBytes} bytes`);
    } else parts.push(part);
  }
  const path = "/" + parts.join("/");
  if (longerThan(path, maxPathBytes)) {
    return refuse("NameTooLong", `path is longer than ${maxPathBytes} bytes`);
  }
  return Either.right(path as VPath);
};

/** Whether `text` has more bytes in UTF-8; a unit of UTF-16 has at most three. */
const longerThan = (text: string, bytes: number): boolean =>
  text.length * 3 > bytes && encoder.encode(text).length > bytes;

/** Splits into names, `[]` for the root. */
export const components = (path: VPath): string[] => path === "/" ? [] : path.slice(1).split("/");

/** Adds one name that came from a listing. The name must already be clean. */
export const child = (path: VPath, name: string): VPath =>
  (path === "/" ? `/${name}` : `${path}/${name}`) as VPath;

/** The directory that holds `path`; the root is its own parent. */
export const parent = (path: VPath): VPath => {
  const cut = path.lastIndexOf("/");
  return (cut <= 0 ? "/" : path.slice(0, cut)) as VPath;
};

/** The last name, `""` for the root. */
export const basename = (path: VPath): string => path.slice(path.lastIndexOf("/") + 1);

/** Whether `path` is `dir` or lies below it, by whole components (`/share2` is not in `/share`). */
export const isWithin = (dir: VPath, path: VPath): boolean =>
  dir === "/" || path === dir || path.startsWith(dir + "/");

/** `path` and its ancestors, nearest first, ending with `/`. */
export const lineage = (path: VPath): VPath[] => {
  const up: VPath[] = [path];
  for (let at = path; at !== "/";) up.push(at = parent(at));
  return up;
};

/** Makes untrusted text safe for one log line or error message. */
export const printable = (text: string): string =>
  text.slice(0, maxPathBytes).replace(
    // deno-lint-ignore no-control-regex
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
    (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
