import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { Effect, Stream } from "effect";
import { live, tempDir } from "../harness.ts";
import { hranaServer } from "./hrana_server.ts";
import { openIn, operator, user } from "./world.ts";

live(
  "the catalog works on an http:// libSQL server, with two nodes on it",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const url = yield* hranaServer(`${dir}/remote.db`);
      const one = yield* openIn(`${dir}/one`, { url });
      const two = yield* openIn(`${dir}/two`, { url });
      yield* one.users.add(user("anna", { password: "secret" }), operator);
      assert.equal((yield* Effect.flip(two.users.add(user("anna"), operator))).reason, "Duplicate");
      yield* two.users.setUsage("anna", { bytes: 2 ** 53 - 1, files: 1 });
      assert.equal((yield* one.users.find("anna"))?.used_quota_size, 2 ** 53 - 1);

      const intent = { kind: "make", username: "anna", key: "d" } as const;
      const event = { action: "mkdir", status: 1, username: "anna", virtual_path: "/d" } as const;
      const quota = { username: "anna", bytes: -1, files: 1 };
      const prepared = yield* one.journal.prepare(event, intent, quota);
      yield* prepared.settle({}, quota);
      yield* one.journal.flush;
      const seen = yield* Stream.runCollect(Stream.take(two.journal.follow({ after: 0 }), 2));
      assert.deepEqual([...seen].map((e) => e.action), ["provider.add", "mkdir"]);
      assert.equal((yield* two.users.find("anna"))?.used_quota_files, 2);
      assert.match((yield* Effect.flip(one.catalog.backup(`${dir}/copy`))).detail, /remote/);
    }),
);

live(
  "prepared operations of another node are not this node's to settle",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const url = yield* hranaServer(`${dir}/remote.db`);
      const intent = { kind: "make", username: "anna", key: "d" } as const;
      const event = { action: "mkdir", status: 1, username: "anna" } as const;
      yield* Effect.scoped(Effect.gen(function* () {
        const { journal } = yield* openIn(`${dir}/one`, { url });
        yield* journal.prepare(event, intent);
      }));
      const other = yield* openIn(`${dir}/two`, { url });
      assert.equal((yield* other.journal.unsettled).length, 0);
      const same = yield* openIn(`${dir}/one`, { url });
      assert.equal((yield* same.journal.unsettled).length, 1);
    }),
);

live(
  "a write waits while somebody else holds the libSQL server's lock",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const url = yield* hranaServer(`${dir}/remote.db`);
      const { users } = yield* openIn(`${dir}/one`, { url });
      const other = new DatabaseSync(`${dir}/remote.db`);
      other.exec("BEGIN IMMEDIATE");
      const held = performance.now();
      const timer = setTimeout(() => other.exec("COMMIT"), 300);
      yield* Effect.addFinalizer(() => Effect.sync(() => (clearTimeout(timer), other.close())));
      yield* users.add(user("anna"), operator);
      assert.ok(performance.now() - held >= 290);
      assert.equal((yield* users.find("anna"))?.username, "anna");
    }),
);

live("open() says so when the libSQL server is not there", () =>
  Effect.gen(function* () {
    const dir = yield* tempDir;
    const url = yield* Effect.scoped(hranaServer(`${dir}/remote.db`));
    const error = yield* Effect.flip(Effect.scoped(openIn(dir, { url })));
    assert.equal(error.reason, "Unavailable");
    assert.match(error.message, /database did not take the request/);
  }));
