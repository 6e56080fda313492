import assert from "node:assert/strict";
import { Effect, Either, Stream } from "effect";
import { live, tempDir } from "../harness.ts";
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
