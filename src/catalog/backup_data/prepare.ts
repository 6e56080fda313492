import { Effect } from "effect";
import { canonicalName } from "../../model/names.ts";
import { attempt, type Db } from "../database.ts";
import { adminsPart, usersPart } from "./accounts.ts";
import { listsOf, type Placed } from "./decode.ts";
import { foldersPart, groupsPart, ipListsPart } from "./objects.ts";
import { type Ground, keyOf, type Part, type Prepared } from "./part.ts";
import { withoutEmptyFactor } from "./secrets.ts";
import { isEmpty, isObject, type Scope } from "./shape.ts";

/** How each scope is read, checked and stored. */
export const parts: Readonly<Record<Scope, Part>> = {
  folders: foldersPart,
  groups: groupsPart,
  users: usersPart,
  admins: adminsPart,
  ip_lists: ipListsPart,
};

/** What was found in a file, and everything that is wrong with it: only if that is nothing the rest is good. */
export interface File {
  readonly prepared: Readonly<Record<Scope, ReadonlyArray<Prepared>>>;
  /** Groups and folders that the file names, also those that are not good. */
  readonly named: Readonly<Record<"groups" | "folders", ReadonlySet<string>>>;
  readonly problems: ReadonlyArray<string>;
}

/** Reads and checks a whole file, without the database. */
export const prepare = (json: unknown, scopes: ReadonlyArray<Scope>, ground: Ground): File => {
  const { lists, problems } = listsOf(json, scopes);
  const all = [problems];
  const prepared = { folders: [], groups: [], users: [], admins: [], ip_lists: [] } as Record<
    Scope,
    ReadonlyArray<Prepared>
  >;
  for (const scope of scopes) {
    const found = prepareList(parts[scope], lists[scope], ground);
    prepared[scope] = found.prepared;
    all.push(found.problems);
  }
  const rules = ground.config.data_provider.naming_rules;
  const namesIn = (list: ReadonlyArray<Placed>) =>
    new Set(
      list.flatMap(({ json: object }) =>
        isObject(object) && typeof object["name"] === "string"
          ? [canonicalName(object["name"], rules)]
          : []
      ),
    );
  const named = { groups: namesIn(lists.groups), folders: namesIn(lists.folders) };
  return { prepared, named, problems: all.flat() };
};

const prepareList = (part: Part, list: ReadonlyArray<Placed>, ground: Ground) => {
  const problems: string[] = [];
  const seen = new Map<string, string>();
  const prepared = list.flatMap(({ place, json }): ReadonlyArray<Prepared> => {
    const decoded = part.read({ place, json: withoutEmptyFactor(json) }, ground);
    const lost = part.unkept.filter((path) => !isEmpty(follow(json, path)))
      .map((path) => `${place}.${path}: this version keeps nothing of it`);
    problems.push(...lost, ...decoded.problems);
    if (decoded.value === undefined) return [];
    const { problems: wrong, ...good } = decoded.value;
    const more = wrong.filter((what) => !decoded.left.some((field) => what.startsWith(field)));
    problems.push(...more.map((what) => `${place}.${what}`));
    const key = keyOf(part, good.row);
    const first = seen.get(key);
    if (first === undefined) seen.set(key, place);
    else problems.push(`${place}.${part.keys.at(-1)}: is there twice, see ${first}`);
    return [{ place, ...good }];
  });
  return { prepared, problems };
};

const follow = (json: unknown, path: string): unknown =>
  path.split(".").reduce<unknown>((at, name) => isObject(at) ? at[name] : undefined, json);

/** What the file refers to and neither it nor the catalog has. */
export const lostReferences = (db: Db, { prepared, named }: Omit<File, "problems">) =>
  Effect.gen(function* () {
    const needing = [...prepared.groups, ...prepared.users].filter((o) => o.needs.length > 0);
    if (needing.length === 0) return [];
    const stored = (table: "groups" | "folders") =>
      Effect.map(
        attempt("read names", () => db.selectFrom(table).select("name").execute()),
        (rows) => new Set(rows.map((row) => row.name)),
      );
    const there = { groups: yield* stored("groups"), folders: yield* stored("folders") };
    return needing.flatMap(({ place, needs }) =>
      needs.filter(({ scope, name }) => !there[scope].has(name) && !named[scope].has(name))
        .map(({ scope, field, name }) =>
          `${place}.${field}: there is no ${scope.slice(0, -1)} ${JSON.stringify(name)}`
        )
    );
  });
