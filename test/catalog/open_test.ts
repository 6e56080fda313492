import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { Effect, Either, Exit, Scope } from "effect";
import { sql } from "kysely";
import { attempt } from "../../src/catalog/database.ts";
import { currentVersion, migrate, migrations, schemaVersion } from "../../src/catalog/migrate.ts";
import type { CatalogError } from "../../src/errors.ts";
import { live, tempDir } from "../harness.ts";
import { files, lasting, openIn, operator, user } from "./world.ts";

/** A database with many users, left as a killed process leaves it: log and index beside it. */
const crashed = (users = 40) =>
  Effect.gen(function* () {
    const dir = yield* tempDir;
    const scope = yield* Scope.make();
    const world = yield* Scope.extend(openIn(dir), scope);
    for (let i = 0; i < users; i++) {
      yield* world.users.add(user(`user${i}`, { description: "x".repeat(2000) }), operator);
    }
    const copy = `${dir}/crashed`;
    Deno.mkdirSync(copy);
    for (const name of files(dir)) copyFileSync(`${dir}/${name}`, `${copy}/${name}`);
    yield* Scope.close(scope, Exit.void);
    return { dir: copy, file: `${copy}/sluice.db` };
  });

const refusal = (dir: string): Effect.Effect<CatalogError> =>
  Effect.gen(function* () {
    const result = yield* Effect.either(Effect.scoped(openIn(dir)));
    assert.ok(Either.isLeft(result), "the database was opened");
    return result.left;
  });

live(
  "open() makes a private database in a new folder, and leaves no draft",
  () =>
    Effect.gen(function* () {
      const dir = `${yield* tempDir}/data`;
      yield* Effect.scoped(Effect.gen(function* () {
        const { catalog, users } = yield* openIn(dir);
        assert.equal(yield* catalog.schemaVersion, currentVersion);
        assert.deepEqual(yield* catalog.check, []);
        assert.deepEqual(yield* users.list({ limit: 10, offset: 0 }), []);
      }));
      assert.deepEqual(lasting(dir), ["sluice.db", "sluice.db.initialised"]);
      assert.equal(Deno.statSync(`${dir}/sluice.db`).mode! & 0o777, 0o600);
    }),
);

live(
  "open() takes a folder whose name has characters that URLs treat specially",
  () =>
    Effect.gen(function* () {
      const dir = `${yield* tempDir}/a b#c?d%20e%zz/é`;
      yield* Effect.scoped(Effect.gen(function* () {
        const { users } = yield* openIn(dir);
        yield* users.add(user("anna"), operator);
      }));
      assert.deepEqual(lasting(dir), ["sluice.db", "sluice.db.initialised"]);
      const { users } = yield* openIn(dir);
      assert.equal((yield* users.find("anna"))?.username, "anna");
    }),
);

live("open() sets its pragmas on both connections", () =>
  Effect.gen(function* () {
    const { database } = yield* openIn(yield* tempDir);
    for (const db of [database.read, database.write]) {
      const one = (name: string) =>
        Effect.map(
          attempt(name, () => sql.raw<Record<string, unknown>>(`PRAGMA ${name}`).execute(db)),
          ({ rows }) => Object.values(rows[0]!)[0],
        );
      assert.equal(yield* one("journal_mode"), "wal");
      assert.equal(yield* one("synchronous"), 2);
      assert.equal(yield* one("foreign_keys"), 1);
    }
  }));

live("migrate() changes nothing when it runs again", () =>
  Effect.gen(function* () {
    const { database } = yield* openIn(yield* tempDir);
    assert.equal(yield* migrate(database.write), currentVersion);
    assert.equal(yield* schemaVersion(database.write), currentVersion);
  }));

live(
  "migrate() undoes a step that fails half way, and can be run again",
  () =>
    Effect.gen(function* () {
      const { database } = yield* openIn(yield* tempDir);
      const version = currentVersion + 1;
      const bad = { version, name: "bad", statements: ["create table extra (a)", "nonsense"] };
      const failed = yield* Effect.either(migrate(database.write, [...migrations, bad]));
      assert.ok(Either.isLeft(failed));
      assert.equal(yield* schemaVersion(database.write), currentVersion);
      const good = { ...bad, statements: ["create table extra (a)"] };
      assert.equal(yield* migrate(database.write, [...migrations, good]), version);
    }),
);

live("S7.15: open() refuses a newer schema and changes nothing", () =>
  Effect.gen(function* () {
    const dir = yield* tempDir;
    yield* Effect.scoped(Effect.gen(function* () {
      const { database } = yield* openIn(dir);
      yield* attempt("test", () =>
        database.write.insertInto("schema_version")
          .values({ version: currentVersion + 1, name: "later", applied_at: 0 }).execute());
    }));
    const error = yield* refusal(dir);
    assert.equal(error.reason, "NewerSchema");
    const [later, ours] = [currentVersion + 1, currentVersion];
    assert.ok(error.message.includes(`schema ${later} and this program knows ${ours}`));
  }));

live("S7.11: open() recovers every user when only -shm is gone", () =>
  Effect.gen(function* () {
    const { dir, file } = yield* crashed();
    Deno.removeSync(`${file}-shm`);
    const { users } = yield* openIn(dir);
    assert.equal((yield* users.list({ limit: 100, offset: 0 })).length, 40);
  }));

live(
  "S7.11: open() recovers every acknowledged user when -wal is cut anywhere",
  () =>
    Effect.gen(function* () {
      const { dir, file } = yield* crashed();
      const size = Deno.statSync(`${file}-wal`).size;
      for (const [i, keep] of [0, 16, 31, 40, 4000, size >> 1, size - 1].entries()) {
        const copy = `${dir}/${i}`;
        Deno.mkdirSync(copy);
        for (const name of files(dir)) copyFileSync(`${dir}/${name}`, `${copy}/${name}`);
        Deno.truncateSync(`${copy}/sluice.db-wal`, Math.min(keep, size));
        const { users } = yield* openIn(copy);
        assert.equal((yield* users.list({ limit: 100, offset: 0 })).length, 40, `cut at ${keep}`);
      }
    }),
);

for (
  const [what, harm, words] of [
    ["is missing beside its log", (f: string) => Deno.removeSync(f), /is missing/],
    ["is missing and so is its log", (f: string) => {
      for (const end of ["", "-wal", "-shm"]) Deno.removeSync(f + end);
    }, /is missing/],
    ["is empty beside its log", (f: string) => Deno.truncateSync(f, 0), /is empty/],
    ["is empty without a log", (f: string) => {
      Deno.truncateSync(f, 0);
      Deno.removeSync(`${f}-wal`);
    }, /is empty/],
    ["is cut to half", (f: string) => {
      Deno.truncateSync(f, Deno.statSync(f).size >> 1);
      for (const end of ["-wal", "-shm"]) Deno.removeSync(f + end);
    }, /is cut off/],
    ["is cut within its header", (f: string) => Deno.truncateSync(f, 50), /./],
    ["has another file's content", (f: string) => {
      Deno.writeTextFileSync(f, "hello ".repeat(4000));
    }, /is not a database/],
    ["has a damaged page", (f: string) => {
      Deno.removeSync(`${f}-wal`);
      const bytes = Deno.readFileSync(f);
      // Every page of the users' tree but the first, which holds the schema.
      for (let at = 4096; at < bytes.length; at += 4096) bytes.fill(0xa5, at, at + 64);
      Deno.writeFileSync(f, bytes);
    }, /is damaged/],
  ] as const
) {
  live(
    `S7.11: open() refuses a database that ${what}, and names file and remedy`,
    () =>
      Effect.gen(function* () {
        const { dir, file } = yield* crashed();
        harm(file);
        const before = files(dir).filter((name) => !name.endsWith("-shm"));
        const error = yield* refusal(dir);
        assert.equal(error.reason, "Corrupt");
        assert.match(error.detail, words);
        assert.ok(
          error.detail.includes(file) && error.detail.includes("sluice restore"),
          error.detail,
        );
        assert.equal(error.detail.split("\n").length, 1);
        assert.ok(before.includes("sluice.db") === files(dir).includes("sluice.db"));
      }),
  );
}

live("open() says what is wrong when the folder cannot be used", () =>
  Effect.gen(function* () {
    const dir = yield* tempDir;
    Deno.writeTextFileSync(`${dir}/file`, "");
    const error = yield* refusal(`${dir}/file/below`);
    assert.equal(error.reason, "Unavailable");
    assert.match(error.message, /sluice\.db cannot be opened/);
  }));

live("open() keeps nothing on disk when the URL is :memory:", () =>
  Effect.gen(function* () {
    const dir = yield* tempDir;
    const { users, journal } = yield* openIn(dir, { url: "file::memory:" });
    yield* users.add(user("anna"), operator);
    yield* journal.flush;
    assert.equal((yield* users.find("anna"))?.username, "anna");
    assert.deepEqual(files(dir), []);
  }));
