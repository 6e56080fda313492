import assert from "node:assert/strict";
import { Effect, Either } from "effect";
import { sql } from "kysely";
import { restore } from "../../adapters/libsql/backup.ts";
import { connection } from "../../adapters/libsql/open.ts";
import { attempt } from "../../src/catalog/database.ts";
import { live, tempDir } from "../harness.ts";
import { files, lasting, openIn, operator, user } from "./world.ts";

live(
  "Catalog.backup() writes a copy that restore() takes, and refuses an existing file",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const copy = `${dir}/copy.db`;
      yield* Effect.scoped(Effect.gen(function* () {
        const { catalog, users } = yield* openIn(`${dir}/a`);
        yield* users.add(user("anna"), operator);
        yield* catalog.backup(copy);
        const again = yield* Effect.either(catalog.backup(copy));
        assert.ok(Either.isLeft(again));
        assert.match(again.left.message, /exists already/);
        yield* users.add(user("later"), operator);
      }));
      assert.equal(Deno.statSync(copy).mode! & 0o777, 0o600);
      assert.deepEqual(files(dir), ["copy.db"]);
      for (const target of [`${dir}/a`, `${dir}/new`]) {
        yield* restore(copy, `${target}/sluice.db`);
        const { users } = yield* openIn(target);
        assert.deepEqual((yield* users.list({ limit: 9, offset: 0 })).map((u) => u.username), [
          "anna",
        ]);
      }
    }),
);

live(
  "restore() refuses what is not a sound backup and leaves the database as it was",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      yield* Effect.scoped(Effect.gen(function* () {
        const { users, catalog } = yield* openIn(`${dir}/a`);
        for (let i = 0; i < 20; i++) yield* users.add(user(`u${i}`), operator);
        yield* catalog.backup(`${dir}/cut.db`);
      }));
      Deno.truncateSync(`${dir}/cut.db`, 9000);
      Deno.writeTextFileSync(`${dir}/text.db`, "not a database at all");
      yield* Effect.scoped(Effect.gen(function* () {
        const other = yield* connection({ kind: "file", file: `${dir}/other.db` }, "full");
        yield* attempt("test", () => sql`create table t (a)`.execute(other));
      }));
      for (const name of ["cut", "text", "other", "absent"]) {
        const result = yield* Effect.either(restore(`${dir}/${name}.db`, `${dir}/a/sluice.db`));
        assert.ok(Either.isLeft(result), name);
        assert.ok(result.left.message.includes(`${name}.db`), result.left.message);
      }
      assert.deepEqual(lasting(`${dir}/a`), ["sluice.db", "sluice.db.initialised"]);
      const { users } = yield* openIn(`${dir}/a`);
      assert.equal((yield* users.list({ limit: 100, offset: 0 })).length, 20);
    }),
);
