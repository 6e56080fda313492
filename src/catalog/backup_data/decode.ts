import { Either, ParseResult, Schema as S } from "effect";
import { printable } from "../../vpath.ts";
import { fieldName } from "../../model/problems.ts";
import { absent, isEmpty, isObject, knownVersions, type Scope, scopes as all } from "./shape.ts";

/** An object of the file and where it is there: `users[3]`. */
export interface Placed {
  readonly place: string;
  readonly json: unknown;
}

/** The lists of the file that are asked for, and what is wrong around them. */
export const listsOf = (
  json: unknown,
  scopes: ReadonlyArray<Scope>,
): {
  readonly lists: Readonly<Record<Scope, ReadonlyArray<Placed>>>;
  readonly problems: ReadonlyArray<string>;
} => {
  const lists = { folders: [], groups: [], users: [], admins: [], ip_lists: [] } as Record<
    Scope,
    ReadonlyArray<Placed>
  >;
  if (!isObject(json)) return { lists, problems: ["object: a BackupData object is needed"] };
  const problems: string[] = [];
  const known = new Set<string>([...all, "version"]);
  for (const [member, value] of Object.entries(json)) {
    if (known.has(member) || isEmpty(value)) continue;
    // Whoever names scopes has said that the rest is not meant.
    const other = Object.hasOwn(absent, member);
    if (other && scopes.length < all.length) continue;
    problems.push(
      other
        ? `${member}: this version keeps none; name what to load with --scopes to leave them out`
        : `${fieldName([member])}: unknown field`,
    );
  }
  if (!isEmpty(json["version"]) && !knownVersions.includes(json["version"])) {
    const version = printable(JSON.stringify(json["version"]));
    problems.push(`version: ${version} is not known; ${knownVersions.join(" and ")} are`);
  }
  for (const scope of scopes) {
    const list = json[scope] ?? [];
    if (!Array.isArray(list)) problems.push(`${scope}: must be a list`);
    else lists[scope] = list.map((item, i) => ({ place: `${scope}[${i}]`, json: item }));
  }
  return { lists, problems };
};

/** Their values are not for messages. */
const secret = /password|secret|payload|key|recovery/i;

/** What was read of an object, where enough of it could be, and what is wrong with it. */
export interface Read<A> {
  readonly value: A | undefined;
  readonly problems: ReadonlyArray<string>;
  /** Members that `value` was read without, because they are not good: not worth another problem. */
  readonly left: ReadonlyArray<string>;
}

/**
 * Reads one object. Unknown members are named, unless they hold nothing: then
 * a version that does not know them loses nothing.
 */
export const decodeObject = <A, I>(schema: S.Schema<A, I>, { place, json }: Placed): Read<A> => {
  const strict = S.decodeUnknownEither(schema, { errors: "all", onExcessProperty: "error" })(json);
  if (Either.isRight(strict)) return { value: strict.right, problems: [], left: [] };
  const issues = ParseResult.ArrayFormatter.formatErrorSync(strict.left)
    // What may be absent or null is expected to be, one line for each way.
    .filter(({ message }) => !/^Expected (undefined|null)\b/.test(message))
    .filter(({ _tag, path }) => _tag !== "Unexpected" || !isEmpty(at(json, path)));
  const bad = issues.filter(({ _tag }) => _tag !== "Unexpected").map(({ path }) => memberOf(path));
  const good = bad.reduce(without, json);
  const value = Either.getOrUndefined(S.decodeUnknownEither(schema)(good));
  if (issues.length === 0 && value === undefined) issues.push(unreadable);
  const byPlace = Map.groupBy(issues, ({ path }) => inPlace(place, path));
  return {
    value,
    problems: [...byPlace].map(([where, same]) => `${where}: ${wordsOf(same, json)}`),
    left: bad.map(fieldName),
  };
};

/** The member that a place is in: a list is taken as a whole. */
const memberOf = (path: ReadonlyArray<PropertyKey>): ReadonlyArray<PropertyKey> => {
  const list = path.findIndex((part) => typeof part === "number");
  return list < 0 ? path : path.slice(0, list);
};

/** The object without one member, so that the rest of it can be looked at. */
const without = (json: unknown, [name, ...rest]: ReadonlyArray<PropertyKey>): unknown => {
  if (!isObject(json) || typeof name !== "string" || !Object.hasOwn(json, name)) return json;
  const { [name]: member, ...others } = json;
  return rest.length === 0 ? others : { ...others, [name]: without(member, rest) };
};

const unreadable: ParseResult.ArrayFormatterIssue = {
  _tag: "Type",
  path: [],
  message: "cannot be read",
};

/** One sentence of all that is said about one place: each value that it may have is an issue. */
const wordsOf = (
  issues: ReadonlyArray<ParseResult.ArrayFormatterIssue>,
  json: unknown,
): string => {
  const [first] = issues;
  if (first === undefined) return "";
  if (first._tag === "Unexpected") return "unknown field";
  const [, actual = ""] = /^.*?(, actual [\s\S]*)$/s.exec(first.message) ?? [];
  const expected = issues.map(({ message }, i) => {
    const text = message.replace(/, actual [\s\S]*$/, "");
    return i === 0 ? text : text.replace(/^Expected /, "");
  });
  // An object in the wrong place may hold a secret somewhere.
  const hidden = typeof at(json, first.path) === "object" ||
    first.path.some((part) => secret.test(String(part)));
  const words = [...new Set(expected)].join(", ").replaceAll("Struct (Encoded side)", "an object");
  return printable(words + (hidden ? "" : actual));
};

/** `users[3]` and `["filters", "foo"]` become `users[3].filters.foo`. */
const inPlace = (place: string, path: ReadonlyArray<PropertyKey>): string => {
  if (path.length === 0) return place;
  const field = fieldName(path);
  return field.startsWith("[") ? `${place}${field}` : `${place}.${field}`;
};

const at = (json: unknown, path: ReadonlyArray<PropertyKey>): unknown =>
  path.reduce<unknown>(
    (value, part) =>
      typeof value === "object" && value !== null
        ? (value as Record<PropertyKey, unknown>)[part]
        : undefined,
    json,
  );
