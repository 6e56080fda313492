import * as fs from "node:fs";
import { dirname, isAbsolute, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Client, createClient } from "@libsql/client";
import { Effect, type Scope } from "effect";
import { Kysely, sql } from "kysely";
import { attempt, type Db, whenFree } from "../../src/catalog/database.ts";
import { migrate } from "../../src/catalog/migrate.ts";
import type { Tables } from "../../src/catalog/rows.ts";
import type { Settings } from "../../src/config/config.ts";
import { CatalogError } from "../../src/errors.ts";
import { condition, damaged, mark, syncPath } from "./condition.ts";
import { LibsqlDialect } from "./dialect.ts";
import { toCatalogError } from "./errors.ts";

/** Where the catalog is. */
export type Place =
  | { readonly kind: "file"; readonly file: string }
  | { readonly kind: "memory" }
  | { readonly kind: "remote"; readonly url: string; readonly token: string };

/** Native waiting blocks the event loop, so it is short and whoever asked tries again. Milliseconds. */
const busyTimeout = 5;

/** Reads `data_provider.url`; relative files are in the data folder. */
export const placeOf = (config: Settings): Place => {
  const { url, auth_token } = config.data_provider;
  if (url === "") return { kind: "file", file: resolve(config.data_dir, "sluice.db") };
  if (url.includes(":memory:")) return { kind: "memory" };
  if (!url.startsWith("file:")) return { kind: "remote", url, token: auth_token };
  const path = url.startsWith("file:///") ? fileURLToPath(url) : url.slice("file:".length);
  return { kind: "file", file: isAbsolute(path) ? path : resolve(config.data_dir, path) };
};

/** The opened and migrated catalog. `read` and `write` are closed with the scope. */
export const open = (
  config: Settings,
): Effect.Effect<{ readonly read: Db; readonly write: Db }, CatalogError, Scope.Scope> =>
  Effect.gen(function* () {
    const place = placeOf(config);
    const connect = (at: Place) => connection(at, config.data_provider.synchronous);
    if (place.kind === "file") yield* prepareFile(place.file, connect);
    const write = yield* connect(place);
    if (place.kind === "file") yield* quickCheck(write, place.file);
    yield* migrate(write);
    // A database in memory belongs to its one connection.
    return { read: place.kind === "memory" ? write : yield* connect(place), write };
  });

/** One connection with its pragmas, closed with the scope. */
export const connection = (
  place: Place,
  synchronous: Settings["data_provider"]["synchronous"],
): Effect.Effect<Db, CatalogError, Scope.Scope> =>
  Effect.acquireRelease(
    whenFree(Effect.try({
      try: () => {
        const local = place.kind !== "remote";
        const dialect = new LibsqlDialect({
          client: clientOf(place),
          local,
          pragmas: [
            `PRAGMA busy_timeout = ${busyTimeout}`,
            place.kind === "file" ? "PRAGMA journal_mode = WAL" : "",
            `PRAGMA synchronous = ${synchronous === "full" ? "FULL" : "NORMAL"}`,
            "PRAGMA foreign_keys = ON",
            "PRAGMA trusted_schema = OFF",
          ].filter(Boolean).join(";"),
          replaceable: place.kind === "file",
        });
        return new Kysely<Tables>({ dialect });
      },
      catch: (cause) => toCatalogError("open", cause),
    })),
    (db) => Effect.promise(() => close(db, place)),
  );

/** Empties the log before closing: the native library may not close before the process ends. */
const close = async (db: Db, place: Place): Promise<void> => {
  if (place.kind === "file") {
    await sql`PRAGMA wal_checkpoint(TRUNCATE)`.execute(db).catch(() => undefined);
  }
  await db.destroy();
};

const clientOf = (place: Place): Client => {
  if (place.kind === "remote") {
    return createClient({
      url: place.url,
      intMode: "bigint",
      ...(place.token && { authToken: place.token }),
    });
  }
  const url = place.kind === "memory" ? ":memory:" : pathToFileURL(place.file).href;
  return createClient({ url, intMode: "bigint", concurrency: 1, timeout: busyTimeout });
};

/** Makes a database where none ever was; refuses what only looks like that. */
const prepareFile = (
  file: string,
  connect: (place: Place) => Effect.Effect<Db, CatalogError, Scope.Scope>,
): Effect.Effect<void, CatalogError> =>
  Effect.gen(function* () {
    const found = yield* onDisk(file, condition(file));
    if (found === "new") {
      // Complete under another name first: whatever ends this process, no half-made database is left.
      const draft = `${file}.new-${Deno.pid}`;
      const remove = Effect.sync(() => fs.rmSync(draft, { force: true }));
      yield* onDisk(file, Effect.sync(() => fs.mkdirSync(dirname(file), { recursive: true })));
      yield* remove;
      // The native library closes a connection only when its statements are collected, and SQLite
      // names the index file of all connections of a process to one inode after the first. So no
      // connection of ours may ever have had the file under the draft's name.
      const make = Effect.scoped(Effect.gen(function* () {
        const db = yield* connect({ kind: "memory" });
        yield* migrate(db);
        yield* attempt("create", () => sql`VACUUM INTO ${draft}`.execute(db));
      }));
      const publish = Effect.sync(() => {
        fs.chmodSync(draft, 0o600);
        syncPath(draft);
        linkOnce(draft, file);
        syncPath(dirname(file));
      });
      yield* Effect.ensuring(Effect.andThen(make, onDisk(file, publish)), remove);
    }
    yield* onDisk(file, Effect.sync(() => mark(file)));
  });

/** Gives the file its name, unless another process was first. */
const linkOnce = (from: string, to: string): void => {
  try {
    fs.linkSync(from, to);
  } catch (cause) {
    if (!fs.existsSync(to)) throw cause;
  }
};

const onDisk = <A>(
  file: string,
  work: Effect.Effect<A, CatalogError>,
): Effect.Effect<A, CatalogError> =>
  Effect.catchAllDefect(work, (cause) =>
    new CatalogError({
      reason: "Unavailable",
      op: "open",
      detail: `the database ${file} cannot be opened: ${
        cause instanceof Error ? cause.message : cause
      }`,
      cause,
    }));

const quickCheck = (db: Db, file: string): Effect.Effect<void, CatalogError> =>
  whenFree(attempt("open", () => sql<{ quick_check: string }>`PRAGMA quick_check(1)`.execute(db)))
    .pipe(
      Effect.flatMap(({ rows }) =>
        rows[0]?.quick_check === "ok"
          ? Effect.void
          : damaged(file, `is damaged (${rows[0]?.quick_check.split("\n")[0]})`)
      ),
      Effect.catchIf(
        (error) => error.reason === "Corrupt" && !error.detail.includes(file),
        (error) => damaged(file, "is damaged", error),
      ),
    );
