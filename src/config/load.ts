import { Either, ParseResult, Schema as S } from "effect";
import { ConfigError, type ConfigProblem } from "../errors.ts";
import { ConfigSchema, type Settings } from "./config.ts";
import { envKeys, envValue } from "./env.ts";
import { configShape, nearest, type Shape } from "./shape.ts";

/** Where the values come from, weakest first: the file, the environment, the flags. */
export interface Sources {
  /** The text of `sluice.json`, if there is one. */
  readonly file?: { readonly path: string; readonly text: string };
  readonly env: Readonly<Record<string, string>>;
  readonly flags: ReadonlyArray<{
    readonly flag: string;
    readonly key: ReadonlyArray<string>;
    readonly value: unknown;
  }>;
}

/** The settings, and which source each value that is not a default came from, by dotted key. */
export interface Loaded {
  readonly settings: Settings;
  readonly origins: ReadonlyMap<string, string>;
}

type Tree = { [key: string]: unknown };
const isTree = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Builds the settings from all sources.
 *
 * Fails with every problem at once: text that is not JSON (with line and
 * column), unknown keys (with the nearest known one) and values of the wrong
 * kind. `data_dir` is answered as written.
 */
export const load = (sources: Sources): Either.Either<Loaded, ConfigError> => {
  const problems: ConfigProblem[] = [];
  const origins = new Map<string, string>();
  const tree: Tree = {};

  if (sources.file) {
    const parsed = parseJson(sources.file.path, sources.file.text);
    if (Either.isLeft(parsed)) problems.push(parsed.left);
    else if (!isTree(parsed.right)) {
      problems.push({ where: sources.file.path, what: "must hold a JSON object: { ... }" });
    } else {
      Object.assign(tree, parsed.right);
      remember(origins, [], tree, sources.file.path);
    }
  }
  for (const [name, raw] of Object.entries(sources.env)) {
    const found = envKeys(name);
    if (found === undefined) continue;
    if ("unknown" in found) {
      problems.push({ where: name, what: `unknown setting${hint(found.nearest)}` });
      continue;
    }
    const value = envValue(found.shape, raw);
    if (Either.isLeft(value)) problems.push({ where: name, what: value.left });
    else put(tree, found.key, value.right, origins, name);
  }
  for (const { flag, key, value } of sources.flags) put(tree, key, value, origins, flag);

  const where = (key: ReadonlyArray<PropertyKey>): string => {
    const dotted = key.map(String).join(".");
    const origin = originOf(origins, dotted);
    if (origin === undefined) return dotted;
    return origin === sources.file?.path ? `${dotted} (${origin})` : origin;
  };
  unknownKeys(configShape, tree, [], (key, suggestion) => {
    problems.push({ where: where(key), what: `unknown setting${hint(suggestion)}` });
  });
  const decoded = S.decodeUnknownEither(ConfigSchema, { errors: "all" })(tree);
  if (Either.isLeft(decoded)) {
    for (const { path, what } of readable(decoded.left)) {
      problems.push({ where: where(path), what });
    }
  }
  if (problems.length > 0 || Either.isLeft(decoded)) {
    return Either.left(new ConfigError({ problems }));
  }
  return Either.right({ settings: decoded.right, origins });
};

/** The source of a value: its own, or that of the list or section that was set as a whole. */
export const originOf = (origins: ReadonlyMap<string, string>, dotted: string) => {
  for (let key = dotted; key !== ""; key = key.slice(0, Math.max(0, key.lastIndexOf(".")))) {
    const origin = origins.get(key);
    if (origin !== undefined) return origin;
  }
  return undefined;
};

const hint = (suggestion: string | undefined) =>
  suggestion === undefined ? "; remove it" : `; did you mean ${suggestion}?`;

const parseJson = (path: string, text: string): Either.Either<unknown, ConfigProblem> => {
  try {
    return Either.right(JSON.parse(text));
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const stated = /at position (\d+)/.exec(message)?.[1];
    const before = text.slice(0, stated === undefined ? text.length : Number(stated)).split("\n");
    const line = before.length;
    const column = (before.at(-1)?.length ?? 0) + 1;
    const what = message.replace(/,? ?(\.\.\.)?"[^]*" is not valid JSON/, "")
      .replace(/ in JSON at position .*$/, "").replace(/ at position .*$/, "");
    return Either.left({ where: `${path}:${line}:${column}`, what: `not valid JSON: ${what}` });
  }
};

const remember = (
  origins: Map<string, string>,
  at: ReadonlyArray<string>,
  value: unknown,
  source: string,
): void => {
  if (isTree(value)) {
    for (const [k, v] of Object.entries(value)) remember(origins, [...at, k], v, source);
    if (Object.keys(value).length > 0) return;
  }
  if (at.length > 0) origins.set(at.join("."), source);
};

/** Sets a value deep inside; lists and sections on the way are copied or made, never shared. */
const put = (
  tree: Tree,
  key: ReadonlyArray<string>,
  value: unknown,
  origins: Map<string, string>,
  source: string,
) => {
  let at: Tree | unknown[] = tree;
  key.forEach((name, i) => {
    const index = Array.isArray(at) ? Number(name) : name;
    const here = at as Tree;
    if (i === key.length - 1) {
      here[index] = value;
      return;
    }
    const old: unknown = here[index];
    const next: Tree | unknown[] = Array.isArray(old)
      ? [...old]
      : isTree(old)
      ? { ...old }
      : /^\d+$/.test(key[i + 1] ?? "")
      ? []
      : {};
    here[index] = next;
    at = next;
  });
  origins.set(key.join("."), source);
};

const unknownKeys = (
  shape: Shape,
  value: unknown,
  at: ReadonlyArray<string>,
  report: (key: ReadonlyArray<string>, suggestion: string | undefined) => void,
): void => {
  if (shape.kind === "section" && isTree(value)) {
    for (const [name, inner] of Object.entries(value)) {
      const known = shape.keys.get(name);
      if (known) unknownKeys(known, inner, [...at, name], report);
      else report([...at, name], suggest(shape.keys, at, name));
    }
  } else if (shape.kind === "list" && Array.isArray(value)) {
    value.forEach((inner, i) => unknownKeys(shape.item, inner, [...at, String(i)], report));
  }
};

const suggest = (siblings: ReadonlyMap<string, Shape>, at: ReadonlyArray<string>, name: string) => {
  const near = nearest(name, siblings.keys());
  if (near !== undefined) return [...at, near].join(".");
  if (configShape.kind !== "section") return undefined;
  for (const [section, shape] of configShape.keys) {
    if (shape.kind === "section" && shape.keys.has(name)) return `${section}.${name}`;
  }
  return undefined;
};

/** One problem for each place: the members of a union in one sentence, the innermost place only. */
const readable = (error: ParseResult.ParseError) => {
  const places = new Map<string, { path: ReadonlyArray<PropertyKey>; said: string[] }>();
  for (const issue of ParseResult.ArrayFormatter.formatErrorSync(error)) {
    if (issue.message.startsWith("Expected undefined,")) continue;
    const key = issue.path.map(String).join(".");
    const place = places.get(key) ?? { path: issue.path, said: [] };
    place.said.push(issue.message);
    places.set(key, place);
  }
  return [...places].map(([, { path, said }]) => ({ path, what: sentence(said) }));
};

const sentence = (said: ReadonlyArray<string>): string => {
  const parts = said.map((s) => /^Expected (.*), actual ([^]*)$/.exec(s));
  const actual = parts[0]?.[2];
  if (actual === undefined) {
    return said[0] === "is missing" ? "is missing; set it" : said.join(", ");
  }
  const wanted = parts.map((p) =>
    (p?.[1] ?? "").replace("a string matching the pattern ^[0-7]{0,4}$", "up to four octal digits")
      .replace(/ \(Encoded side\)$/, "").replace("ReadonlyArray<string>", "a list of strings")
      .replace(/^Struct$/, "an object { ... }").replace(/^ReadonlyArray.*/, "a list [ ... ]")
      .replace(/^boolean$/, "true or false").replace(/^(number|string)$/, "a $1")
  );
  return `must be ${wanted.join(" or ")}, not ${shorten(actual)}`;
};

const shorten = (text: string) => text.length > 60 ? `${text.slice(0, 57)}...` : text;
