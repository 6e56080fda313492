import * as fs from "node:fs";
import { dirname } from "node:path";
import { Effect } from "effect";
import { sql } from "kysely";
import { attempt, type Db, whenFree } from "../../src/catalog/database.ts";
import { currentVersion, schemaVersion } from "../../src/catalog/migrate.ts";
import { CatalogError } from "../../src/errors.ts";
import { companionsOf, condition, mark, syncPath } from "./condition.ts";
import { connection } from "./open.ts";

/** Writes a consistent copy to a new file, readable by its owner only, while the server runs. */
export const backup = (db: Db, local: boolean, file: string): Effect.Effect<void, CatalogError> =>
  Effect.gen(function* () {
    if (!local) {
      return yield* refuse("backup", "a remote database is backed up where it runs");
    }
    const draft = `${file}.part-${Deno.pid}`;
    yield* files("backup", () => {
      if (fs.existsSync(file)) throw new Error(`${file} exists already`);
      // Made first, with its mode: the copy holds password hashes.
      fs.writeFileSync(draft, "", { mode: 0o600, flag: "wx" });
    });
    const remove = Effect.sync(() => fs.rmSync(draft, { force: true }));
    yield* whenFree(attempt("backup", () => sql`VACUUM INTO ${draft}`.execute(db))).pipe(
      Effect.andThen(files("backup", () => {
        syncPath(draft);
        // Unlike rename, this never replaces a file that appeared meanwhile.
        fs.linkSync(draft, file);
        syncPath(dirname(file));
      })),
      Effect.ensuring(remove),
    );
  });

/**
 * Puts a backup in the place of the embedded database `target`.
 *
 * Refuses, and changes nothing, unless `file` is a sound Sluice database that
 * this program knows. The caller makes sure that no server holds the data folder.
 */
export const restore = (file: string, target: string): Effect.Effect<void, CatalogError> =>
  Effect.gen(function* () {
    const draft = `${target}.restore-${Deno.pid}`;
    const sound = `${target}.sound-${Deno.pid}`;
    const remove = Effect.sync(() => {
      for (const f of [draft, ...companionsOf(draft), sound]) fs.rmSync(f, { force: true });
    });
    yield* files("restore", () => {
      if (!fs.existsSync(file)) throw new Error(`there is no file ${file}`);
      fs.mkdirSync(dirname(target), { recursive: true });
      fs.copyFileSync(file, draft, fs.constants.COPYFILE_EXCL);
      fs.chmodSync(draft, 0o600);
    });
    yield* Effect.gen(function* () {
      yield* verify(draft, file, sound);
      yield* files("restore", () => {
        fs.chmodSync(sound, 0o600);
        syncPath(sound);
        // A log that belongs to the old content would be applied to the new one. From here to the
        // rename the marker makes a start fail rather than begin with nothing.
        mark(target);
        for (const f of companionsOf(target)) fs.rmSync(f, { force: true });
        fs.renameSync(sound, target);
        syncPath(dirname(target));
      });
    }).pipe(Effect.ensuring(remove));
  });

/** Problems of the whole file, as SQLite words them; `[]` when it is sound. */
export const integrity = (db: Db): Effect.Effect<ReadonlyArray<string>, CatalogError> =>
  Effect.map(
    attempt(
      "check",
      () => sql<{ integrity_check: string }>`PRAGMA integrity_check(100)`.execute(db),
    ),
    ({ rows }) => rows.map((row) => row.integrity_check).filter((text) => text !== "ok"),
  );

/** Checks `draft`, called `shown` in messages, and writes what it holds to the new file `sound`. */
const verify = (draft: string, shown: string, sound: string): Effect.Effect<void, CatalogError> =>
  Effect.scoped(Effect.gen(function* () {
    yield* condition(draft);
    const db = yield* connection({ kind: "file", file: draft }, "full");
    const problems = yield* integrity(db);
    if (problems.length > 0) {
      return yield* refuse("restore", `${shown} is damaged: ${problems[0]}`, "Corrupt");
    }
    const version = yield* schemaVersion(db);
    if (version === 0) return yield* refuse("restore", `${shown} is not a Sluice database`);
    if (version > currentVersion) {
      return yield* refuse(
        "restore",
        `${shown} has schema ${version} and this program knows ${currentVersion}`,
        "NewerSchema",
      );
    }
    // A new file: this process may hold a connection to the draft for longer (see open.ts).
    yield* attempt("restore", () => sql`VACUUM INTO ${sound}`.execute(db));
  })).pipe(
    Effect.mapError((e) =>
      e.reason === "Corrupt" && e.op !== "restore"
        ? new CatalogError({
          reason: "Corrupt",
          op: "restore",
          detail: `${shown} is not a sound database`,
          cause: e,
        })
        : e
    ),
  );

const refuse = (
  op: string,
  detail: string,
  reason: "Invalid" | "Corrupt" | "NewerSchema" = "Invalid",
) => Effect.fail(new CatalogError({ reason, op, detail }));

const files = (op: string, work: () => void): Effect.Effect<void, CatalogError> =>
  Effect.try({
    try: work,
    catch: (cause) =>
      new CatalogError({
        reason: "Invalid",
        op,
        detail: cause instanceof Error ? cause.message : String(cause),
        cause,
      }),
  });
