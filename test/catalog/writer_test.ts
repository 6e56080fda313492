import assert from "node:assert/strict";
import { Effect, Either, Exit, Fiber, Option, Scope, TestClock } from "effect";
import { sql } from "kysely";
import { connection } from "../../adapters/libsql/open.ts";
import { attempt, type Db } from "../../src/catalog/database.ts";
import { CatalogError } from "../../src/errors.ts";
import { arm } from "../../src/failpoint.ts";
import { it, live, tempDir } from "../harness.ts";
import { openIn, operator, user } from "./world.ts";

const refused = new CatalogError({ reason: "Invalid", op: "test", detail: "refused" });

const insertEvent = (trx: Db, username: string) =>
  attempt("test", () =>
    trx.insertInto("events").values({
      timestamp: 1,
      kind: "fs",
      action: "mkdir",
      status: 1,
      username,
      ip: "",
      session_id: "",
      virtual_path: "",
      virtual_target_path: "",
      details: "{}",
    }).execute());

const names = (db: Db) =>
  Effect.map(
    attempt("test", () => db.selectFrom("events").select("username").orderBy("id").execute()),
    (rows) => rows.map((row) => row.username),
  );

live(
  "Writer.transact() undoes only the request that failed when several share a transaction",
  () =>
    Effect.gen(function* () {
      const { writer, database } = yield* openIn(yield* tempDir);
      const results = yield* Effect.forEach(
        Array.from({ length: 100 }, (_, i) => i),
        (i) =>
          Effect.either(writer.transact("test", (trx) =>
            Effect.gen(function* () {
              yield* insertEvent(trx, `${i}`);
              if (i % 3 === 0) return yield* refused;
              if (i % 3 === 1) {
                // A statement that the database itself refuses.
                yield* Effect.ignore(attempt("test", () =>
                  trx.insertInto("schema_version").values({ version: 1, name: "", applied_at: 0 })
                    .execute()));
              }
              return i;
            }))),
        { concurrency: "unbounded" },
      );
      results.forEach((result, i) => assert.equal(Either.isLeft(result), i % 3 === 0));
      const expected = results.flatMap((r, i) => Either.isRight(r) ? [`${i}`] : []);
      assert.deepEqual(yield* names(database.read), expected);
    }),
);

live(
  "Writer.transact() hands a defect to whoever asked and goes on working",
  () =>
    Effect.gen(function* () {
      const { writer, database } = yield* openIn(yield* tempDir);
      const exit = yield* Effect.exit(
        writer.transact("test", (trx) => Effect.andThen(insertEvent(trx, "x"), Effect.die("boom"))),
      );
      assert.ok(Exit.isFailure(exit));
      yield* writer.transact("test", (trx) => insertEvent(trx, "y"));
      assert.deepEqual(yield* names(database.read), ["y"]);
    }),
);

live(
  "Writer.transact() answers all that was queued when the scope closes, then refuses",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const scope = yield* Scope.make();
      const { writer } = yield* Scope.extend(openIn(dir), scope);
      const queued = yield* Effect.fork(Effect.forEach(
        Array.from({ length: 300 }, (_, i) => i),
        (i) => Effect.either(writer.transact("test", (trx) => insertEvent(trx, `${i}`))),
        { concurrency: "unbounded" },
      ));
      yield* Effect.yieldNow();
      yield* Scope.close(scope, Exit.void);
      const done = (yield* Fiber.join(queued)).filter(Either.isRight).length;
      const late = yield* Effect.either(writer.transact("test", (trx) => insertEvent(trx, "late")));
      assert.ok(Either.isLeft(late));
      assert.equal(late.left.reason, "Unavailable");
      const again = yield* openIn(dir);
      assert.equal((yield* names(again.database.read)).length, done);
    }),
);

live(
  "Writer comes back after a defect in a transaction, and the journal loses nothing",
  () =>
    Effect.gen(function* () {
      const { users, journal, database } = yield* openIn(yield* tempDir);
      arm("catalog.commit=die*1");
      const failed = yield* Effect.flip(users.add(user("bob"), operator));
      assert.equal(failed.reason, "Unavailable");
      assert.equal(yield* users.find("bob"), undefined);
      arm("catalog.commit=die*1");
      yield* journal.record({ action: "mkdir", status: 1, username: "anna" });
      yield* journal.flush;
      arm("catalog.commit=fail*2");
      yield* journal.record({ action: "mkdir", status: 1, username: "bob" });
      yield* journal.flush;
      assert.deepEqual(yield* names(database.read), ["anna", "bob"]);
      yield* users.add(user("bob"), operator);
    }),
);

live(
  "S7.4: a full disk fails the write, keeps what is stored, and heals",
  () =>
    Effect.gen(function* () {
      const { users, catalog, database } = yield* openIn(yield* tempDir);
      yield* users.add(user("anna"), operator);
      yield* attempt("test", () => sql`PRAGMA max_page_count = 1`.execute(database.write));
      const big = user("bob", { description: "x".repeat(500_000) });
      const failed = yield* Effect.flip(users.add(big, operator));
      assert.equal(failed.reason, "Unavailable");
      assert.match(failed.detail, /full/);
      assert.equal((yield* users.find("anna"))?.username, "anna");
      assert.equal(yield* users.find("bob"), undefined);
      yield* users.add(big, operator);
      assert.deepEqual(yield* catalog.check, []);
    }),
);

it("S7.10: Users.add() fails with Busy when the lock stays, and the next one works", () =>
  Effect.gen(function* () {
    const dir = yield* tempDir;
    const { users } = yield* openIn(dir);
    const other = yield* connection({ kind: "file", file: `${dir}/sluice.db` }, "full");
    const trx = yield* attempt("test", () => other.startTransaction().execute());
    const write = yield* Effect.fork(Effect.either(users.add(user("bob"), operator)));
    while (Option.isNone(yield* Fiber.poll(write))) {
      yield* TestClock.adjust("250 millis");
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)));
    }
    const result = yield* Fiber.join(write);
    assert.ok(Either.isLeft(result));
    assert.equal(result.left.reason, "Busy");
    yield* attempt("test", () => trx.rollback().execute());
    yield* users.add(user("bob"), operator);
    assert.equal((yield* users.find("bob"))?.username, "bob");
  }));
