import assert from "node:assert/strict";
import { Effect, Either } from "effect";
import { adminToJson, userToJson } from "../../src/model/json.ts";
import { decodeAdmin, decodeUser } from "../../src/model/problems.ts";
import { live, tempDir } from "../harness.ts";
import { openIn, operator, user } from "./world.ts";

live("userToJson() and adminToJson() hold no secret", () =>
  Effect.gen(function* () {
    const { users, admins } = yield* openIn(yield* tempDir);
    yield* users.add(user("anna", { password: "secret" }), operator);
    const secret = { status: "Plain", payload: "JBSWY3DP", key: "", additional_data: "", mode: 0 };
    yield* users.setTotp("anna", {
      enabled: true,
      config_name: "Default",
      secret: { ...secret, status: "Plain" },
      protocols: ["SSH"],
    });
    const anna = yield* users.find("anna");
    assert.equal(anna?.filters.totp_config?.secret?.payload, "JBSWY3DP");
    const json = userToJson(anna!);
    assert.equal(json.has_password, true);
    assert.equal(json.filters.totp_config?.enabled, true);
    assert.doesNotMatch(JSON.stringify(json), /SHA256|JBSWY|password_hash|recovery/);
    // What the API answers, the API takes back, and the second factor stays.
    const again = decodeUser(JSON.parse(JSON.stringify(json)));
    assert.ok(Either.isRight(again), "its own answer was refused");
    yield* users.update("anna", again.right, operator);
    assert.deepEqual((yield* users.find("anna"))?.filters.totp_config, anna?.filters.totp_config);
    assert.equal((yield* users.find("anna"))?.password_hash, anna?.password_hash);
    const input = decodeAdmin({ username: "root", permissions: ["*"], password: "secret" });
    assert.ok(Either.isRight(input));
    const root = yield* admins.add(input.right, operator);
    assert.doesNotMatch(JSON.stringify(adminToJson(root)), /SHA256|password_hash|recovery/);
  }));

live("SQL in names is refused or comes back exactly as it was", () =>
  Effect.gen(function* () {
    const { users, admins, journal } = yield* openIn(yield* tempDir);
    const corpus = [
      "' or '1'='1",
      "'; drop table users; --",
      '" or ""="',
      "a' union select password_hash from users --",
      "x'); delete from users where ('1'='1",
      "%",
      "_",
      "a\\'b",
      "0x414141",
      "NULL",
      "1; PRAGMA writable_schema=1",
      "?1",
      ":name",
      "@p",
      "$1",
      "{{7*7}}",
      "${7*7}",
      "rowid",
      "Ａdmin",
      "a\u0000' --",
    ];
    let stored = 0;
    for (const name of corpus) {
      const result = yield* Effect.either(
        users.add(user(name, { description: name, additional_info: name }), operator),
      );
      if (Either.isLeft(result)) {
        assert.equal(result.left.reason, "Invalid", result.left.message);
        continue;
      }
      stored += 1;
      const found = yield* users.find(name);
      assert.deepEqual([found?.username, found?.description], [name, name]);
      yield* journal.record({ action: "login.failed", status: 2, username: name });
      yield* users.setUsage(name, { bytes: stored, files: 1 });
      assert.equal(yield* admins.find(name), undefined);
    }
    assert.ok(stored >= 10);
    const all = yield* users.list({ limit: 100, offset: 0 });
    assert.equal(all.length, stored);
    assert.equal(new Set(all.map((u) => u.used_quota_size)).size, stored);
    for (const found of all) yield* users.remove(found.username, operator);
    assert.deepEqual(yield* users.list({ limit: 100, offset: 0 }), []);
  }));
