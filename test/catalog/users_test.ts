import assert from "node:assert/strict";
import { Effect, Either, Schema as S, Stream, TestClock } from "effect";
import { AdminInput } from "../../src/model/admin.ts";
import { it, live, tempDir } from "../harness.ts";
import { encode, openIn, operator, user } from "./world.ts";

live(
  "Users.add() stores a user that find() answers, with its event in the journal",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const { users, journal } = yield* openIn(dir);
      const added = yield* users.add(
        user(" Anna ", { password: "secret", quota_size: 5 }),
        operator,
      );
      assert.equal(added.username, "Anna");
      assert.equal(added.password_hash, encode("secret"));
      assert.equal(added.home_dir, `${dir}/users/Anna`);
      assert.ok(added.created_at > 0 && added.last_password_change === added.created_at);
      assert.deepEqual(yield* users.find("Anna"), added);
      assert.equal(yield* users.find("nobody"), undefined);
      const events = [...yield* Stream.runCollect(journal.query({ kinds: ["provider"] }))];
      assert.deepEqual(
        events.map(({ action, username, object_type, object_name, ip }) => ({
          action,
          username,
          object_type,
          object_name,
          ip,
        })),
        [{
          action: "provider.add",
          username: "root",
          object_type: "user",
          object_name: "Anna",
          ip: "127.0.0.1",
        }],
      );
      assert.doesNotMatch(JSON.stringify(events), /secret|SHA256/);
    }),
);

live(
  "Users.add() fails with Duplicate and leaves no event when the name is taken",
  () =>
    Effect.gen(function* () {
      const { users, journal } = yield* openIn(yield* tempDir);
      yield* users.add(user("anna"), operator);
      const again = yield* Effect.either(users.add(user("anna"), operator));
      assert.ok(Either.isLeft(again));
      assert.equal(again.left.reason, "Duplicate");
      assert.match(again.left.message, /username: user "anna" exists already/);
      assert.equal((yield* Stream.runCollect(journal.query({}))).length, 1);
    }),
);

live(
  "USER-42: Users.update() replaces settings and keeps counters, password and dates",
  () =>
    Effect.gen(function* () {
      const { users, journal } = yield* openIn(yield* tempDir);
      const anna = yield* users.add(
        user("anna", { password: "one", description: "old" }),
        operator,
      );
      yield* users.setUsage("anna", { bytes: 2 ** 53 - 1, files: 3 });
      const updated = yield* users.update("anna", user("ignored", { max_sessions: 4 }), operator);
      assert.deepEqual(
        [updated.username, updated.description, updated.max_sessions, updated.password_hash],
        ["anna", "", 4, encode("one")],
      );
      assert.deepEqual([updated.used_quota_size, updated.used_quota_files], [2 ** 53 - 1, 3]);
      assert.equal(updated.created_at, anna.created_at);
      assert.equal(updated.last_password_change, anna.last_password_change);
      const cleared = yield* users.update("anna", user("anna", { password: "" }), operator);
      assert.equal(cleared.password_hash, "");
      const hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g";
      const given = yield* users.update("anna", user("anna", { password: hash }), operator);
      assert.equal(given.password_hash, hash);
      const missing = yield* Effect.flip(users.update("bob", user("bob"), operator));
      assert.equal(missing.reason, "NotFound");
      const events = [...yield* Stream.runCollect(journal.query({ actions: ["provider.update"] }))];
      assert.equal(events.length, 3);
    }),
);

live(
  "Users.remove() forgets the user, and fails with NotFound the second time",
  () =>
    Effect.gen(function* () {
      const { users, journal } = yield* openIn(yield* tempDir);
      yield* users.add(user("anna"), operator);
      yield* users.remove("anna", operator);
      assert.equal(yield* users.find("anna"), undefined);
      assert.equal((yield* Effect.flip(users.remove("anna", operator))).reason, "NotFound");
      const events = [...yield* Stream.runCollect(journal.query({}))];
      assert.deepEqual(events.map((e) => e.action), ["provider.add", "provider.delete"]);
    }),
);

live(
  "Users.setPasswordHash() writes no event and no date for a rehash",
  () =>
    Effect.gen(function* () {
      const { users, journal } = yield* openIn(yield* tempDir);
      const anna = yield* users.add(user("anna", { password: "one" }), operator);
      yield* users.setPasswordHash("anna", "better", { rehash: true });
      const after = yield* users.find("anna");
      assert.equal(after?.password_hash, "better");
      assert.equal(after?.last_password_change, anna.last_password_change);
      assert.equal((yield* Stream.runCollect(journal.query({}))).length, 1);
      yield* users.setPasswordHash("anna", "other", { rehash: false });
      assert.equal((yield* Stream.runCollect(journal.query({}))).length, 2);
    }),
);

it("AUTH-18: Users.touchLastLogin() stores at most one login in ten minutes", () =>
  Effect.gen(function* () {
    const { users } = yield* openIn(yield* tempDir);
    yield* TestClock.adjust("1 hour");
    yield* users.add(user("anna"), operator);
    const logins: number[] = [];
    for (const minutes of [0, 9, 2]) {
      yield* TestClock.adjust(`${minutes} minutes`);
      yield* users.touchLastLogin("anna");
      logins.push((yield* users.find("anna"))!.last_login / 60_000);
    }
    assert.deepEqual(logins, [60, 60, 71]);
  }));

live(
  "Users.find() answers the same object until the row changes, whatever changes it",
  () =>
    Effect.gen(function* () {
      const { users, database } = yield* openIn(yield* tempDir);
      yield* users.add(user("anna", { quota_files: 1 }), operator);
      const first = yield* users.find("anna");
      assert.equal(yield* users.find("anna"), first);
      yield* users.update("anna", user("anna", { quota_files: 2 }), operator);
      assert.equal((yield* users.find("anna"))?.quota_files, 2);
      // Another process, or another node on the same database.
      yield* Effect.promise(() =>
        database.write.updateTable("users").set({ status: 0 }).where("username", "=", "anna")
          .execute()
      );
      assert.equal((yield* users.find("anna"))?.status, 0);
      yield* users.remove("anna", operator);
      assert.equal(yield* users.find("anna"), undefined);
    }),
);

live("Users.touchFirst() sets the date once", () =>
  Effect.gen(function* () {
    const { users } = yield* openIn(yield* tempDir);
    yield* users.add(user("anna"), operator);
    yield* users.touchFirst("anna", "first_upload");
    const first = (yield* users.find("anna"))!;
    assert.ok(first.first_upload > 0 && first.first_download === 0);
    yield* users.touchFirst("anna", "first_upload");
    assert.equal((yield* users.find("anna"))!.first_upload, first.first_upload);
    yield* users.touchFirst("nobody", "first_upload");
  }));

live(
  "S7.12: Users.useTotpStep() takes a step once and never an earlier one",
  () =>
    Effect.gen(function* () {
      const { users } = yield* openIn(yield* tempDir);
      yield* users.add(user("anna"), operator);
      const taken = yield* Effect.forEach(
        Array.from({ length: 8 }),
        () => users.useTotpStep("anna", 100),
        { concurrency: "unbounded" },
      );
      assert.equal(taken.filter(Boolean).length, 1);
      assert.equal(yield* users.useTotpStep("anna", 99), false);
      assert.equal(yield* users.useTotpStep("anna", 101), true);
      assert.equal(yield* users.useTotpStep("nobody", 101), false);
    }),
);

live(
  "Users.setTotp() refuses an unknown profile or a missing secret",
  () =>
    Effect.gen(function* () {
      const { users } = yield* openIn(yield* tempDir);
      yield* users.add(user("anna"), operator);
      const totp = { enabled: true, config_name: "Nope", protocols: [] };
      const error = yield* Effect.flip(users.setTotp("anna", totp));
      assert.match(error.detail, /config_name: "Nope".*filters\.totp_config\.secret: is needed/);
      assert.equal((yield* Effect.flip(users.setTotp("bob", undefined))).reason, "NotFound");
    }),
);

live(
  "Users.find() fails with Corrupt, and not with no user, when the row cannot be read",
  () =>
    Effect.gen(function* () {
      const { users, database } = yield* openIn(yield* tempDir);
      yield* users.add(user("anna"), operator);
      for (const settings of ["{", '{"permissions":7}']) {
        yield* Effect.promise(() =>
          database.write.updateTable("users").set({ settings }).execute()
        );
        const error = yield* Effect.flip(users.find("anna"));
        assert.equal(error.reason, "Corrupt");
        assert.match(error.detail, /"anna"/);
      }
    }),
);

live("Admins keep at least a password, and count what is stored", () =>
  Effect.gen(function* () {
    const { admins, journal } = yield* openIn(yield* tempDir);
    assert.equal(yield* admins.count, 0);
    const input = S.decodeUnknownSync(AdminInput)({ username: "root", permissions: ["*"] });
    assert.match((yield* Effect.flip(admins.add(input, operator))).detail, /^password: /);
    const added = yield* admins.add({ ...input, password: "pw" }, operator);
    assert.equal(added.password_hash, encode("pw"));
    assert.equal(
      (yield* admins.add({ ...input, password: "pw" }, operator).pipe(Effect.flip)).reason,
      "Duplicate",
    );
    const updated = yield* admins.update("root", { ...input, email: "a@b.example" }, operator);
    assert.deepEqual([updated.email, updated.password_hash], ["a@b.example", encode("pw")]);
    assert.equal(yield* admins.count, 1);
    assert.deepEqual(yield* admins.list({ limit: 5, offset: 0 }), [updated]);
    yield* admins.remove("root", operator);
    assert.equal(yield* admins.count, 0);
    const events = [...yield* Stream.runCollect(journal.query({ kinds: ["provider"] }))];
    assert.deepEqual(events.map((e) => [e.action, e.object_type]), [
      ["provider.add", "admin"],
      ["provider.update", "admin"],
      ["provider.delete", "admin"],
    ]);
  }));
