import { Effect } from "effect";
import type { CatalogError } from "../../errors.ts";
import { ipListTypes } from "../../model/ip_list.ts";
import { fromRow as adminFromRow } from "../admins.ts";
import { attempt, Database, type Db, whenFree } from "../database.ts";
import { decodeEntry } from "../ip_list_rows.ts";
import { selectFolders, selectGroups } from "../named_rows.ts";
import { fromRow as userFromRow } from "../user_rows.ts";
import { dumpVersion, type Scope, scopes as all } from "./shape.ts";

/** Objects read, and held, at a time. */
const pageSize = 200;

/** How many of each were written. */
export type Counts = Readonly<Partial<Record<Scope, number>>>;

/**
 * Hands the catalog to `take` as the text of one BackupData document, a line an
 * object, in the order of their names.
 *
 * All of it is of one moment, whoever writes meanwhile, and waits for no writer.
 * Password hashes are in it as `password`, sealed secrets as they are stored;
 * without row numbers and lists of members, which follow from the rest.
 */
export const dumpData = <E>(
  scopes: ReadonlyArray<Scope>,
  take: (text: string) => Effect.Effect<void, E>,
): Effect.Effect<Counts, CatalogError | E, Database> =>
  Effect.flatMap(Database, ({ read }) =>
    Effect.acquireUseRelease(
      whenFree(
        attempt("dump", () => read.startTransaction().setAccessMode("read only").execute()),
      ),
      (snapshot) => document(snapshot, all.filter((scope) => scopes.includes(scope)), take),
      (snapshot) => Effect.ignore(attempt("dump", () => snapshot.rollback().execute())),
    ));

const document = <E>(
  db: Db,
  scopes: ReadonlyArray<Scope>,
  take: (text: string) => Effect.Effect<void, E>,
) =>
  Effect.gen(function* () {
    const counts: Partial<Record<Scope, number>> = {};
    // The first read fixes the moment.
    yield* attempt("dump", () => db.selectFrom("schema_version").select("version").execute());
    yield* take(`{"version":${dumpVersion}`);
    for (const scope of scopes) {
      let count = 0;
      yield* take(`,\n"${scope}":[`);
      for (const page of pages[scope]) {
        let after: string | undefined = "";
        while (after !== undefined) {
          const { objects, last }: PageOf = yield* page(db, after);
          const lines = objects.map((object, i) =>
            `${count + i === 0 ? "" : ","}\n${JSON.stringify(object)}`
          );
          if (lines.length > 0) yield* take(lines.join(""));
          count += objects.length;
          after = objects.length < pageSize ? undefined : last;
        }
      }
      yield* take("\n]");
      counts[scope] = count;
    }
    yield* take("\n}\n");
    return counts;
  });

interface PageOf {
  readonly objects: ReadonlyArray<unknown>;
  /** The key of the last. */
  readonly last: string | undefined;
}

/** Objects whose key is behind `after`. */
type Page = (db: Db, after: string) => Effect.Effect<PageOf, CatalogError>;

const users: Page = (db, after) =>
  Effect.gen(function* () {
    const rows = yield* attempt("dump users", () =>
      db.selectFrom("users").selectAll().where("username", ">", after).orderBy("username")
        .limit(pageSize).execute());
    const found = yield* Effect.forEach(rows, userFromRow);
    return {
      objects: found.map(({ id: _, password_hash: password, ...user }) => ({ ...user, password })),
      last: rows.at(-1)?.username,
    };
  });

const admins: Page = (db, after) =>
  Effect.gen(function* () {
    const rows = yield* attempt("dump admins", () =>
      db.selectFrom("admins").selectAll().where("username", ">", after).orderBy("username")
        .limit(pageSize).execute());
    const found = yield* Effect.forEach(rows, adminFromRow);
    return {
      objects: found.map(({ id: _, password_hash: password, ...admin }) => ({
        ...admin,
        password,
      })),
      last: rows.at(-1)?.username,
    };
  });

const names = (db: Db, table: "folders" | "groups", after: string) =>
  Effect.map(
    attempt("dump names", () =>
      db.selectFrom(table).select("name").where("name", ">", after).orderBy("name")
        .limit(pageSize).execute()),
    (rows) =>
      rows.map(({ name }) =>
        name
      ),
  );

const inOrder = <A extends { readonly name: string }>(
  order: ReadonlyArray<string>,
  found: ReadonlyArray<A>,
): ReadonlyArray<A> => {
  const byName = new Map(found.map((object) => [object.name, object]));
  return order.flatMap((name) => byName.get(name) ?? []);
};

const folders: Page = (db, after) =>
  Effect.gen(function* () {
    const order = yield* names(db, "folders", after);
    const found = inOrder(order, yield* selectFolders(db, order));
    const objects = found.map(({ id: _, users: __, groups: ___, ...folder }) => folder);
    return { objects, last: order.at(-1) };
  });

const groups: Page = (db, after) =>
  Effect.gen(function* () {
    const order = yield* names(db, "groups", after);
    const found = inOrder(order, yield* selectGroups(db, order));
    const objects = found.map(({ id: _, users: __, admins: ___, ...group }) => group);
    return { objects, last: order.at(-1) };
  });

const listed = (type: number): Page => (db, after) =>
  Effect.gen(function* () {
    const rows = yield* attempt("dump lists", () =>
      db.selectFrom("ip_lists").selectAll().where("type", "=", type)
        .where("ipornet", ">", after).orderBy("ipornet").limit(pageSize).execute());
    return { objects: yield* Effect.forEach(rows, decodeEntry), last: rows.at(-1)?.ipornet };
  });

const pages: Readonly<Record<Scope, ReadonlyArray<Page>>> = {
  folders: [folders],
  groups: [groups],
  users: [users],
  admins: [admins],
  ip_lists: Object.values(ipListTypes).map(listed),
};
