import assert from "node:assert/strict";
import { Effect, Either, Layer, TestClock } from "effect";
import { sign } from "hono/jwt";
import { Users } from "../../src/catalog/catalog.ts";
import { TokenStore } from "../../src/identity/token_store.ts";
import { User } from "../../src/model/user.ts";
import { VfsFactory } from "../../src/vfs/vfs.ts";
import { bearerTokens } from "../../web/api/bearer.ts";
import { it, onlyWith } from "../harness.ts";

const key = new Uint8Array(32).fill(7);
const hexKey = "07".repeat(32);
const ann = User.make({ username: "ann", permissions: { "/": ["*"] }, password_hash: "x", id: 3 });

/** Tokens over one account, which the test may change. */
const setUp = Effect.gen(function* () {
  let user: User | undefined = ann;
  const revoked = new Set<string>();
  const users = onlyWith<typeof Users.Service>({ effective: () => Effect.succeed(user) });
  const services = Layer.mergeAll(
    Layer.succeed(Users, users),
    Layer.succeed(VfsFactory, VfsFactory.of({ forSession: () => Effect.die("not here") })),
    Layer.succeed(
      TokenStore,
      TokenStore.of({
        key,
        revoke: (id) => Effect.sync(() => revoked.add(id)),
        isRevoked: (id) => Effect.sync(() => revoked.has(id)),
      }),
    ),
  );
  yield* TestClock.setTime(Date.now());
  const tokens = yield* Effect.provide(bearerTokens, services);
  const good = (token: string, ip = "10.0.0.1") =>
    Effect.map(Effect.either(tokens.check(`Bearer ${token}`, ip)), Either.isRight);
  return { tokens, good, become: (next: User | undefined) => user = next };
});

it("a token is good from its address until it is given back", () =>
  Effect.gen(function* () {
    const { tokens, good } = yield* setUp;
    const { access_token } = yield* tokens.issue(ann, "10.0.0.1");
    const other = yield* tokens.issue(ann, "10.0.0.1");
    assert.equal(yield* good(access_token), true);
    assert.equal(yield* good(access_token, "10.0.0.2"), false);
    yield* tokens.revoke(yield* tokens.check(`bearer ${access_token}`, "10.0.0.1"));
    assert.equal(yield* good(access_token), false);
    assert.equal(yield* good(other.access_token), true);
  }));

it("a token ends after 20 minutes", () =>
  Effect.gen(function* () {
    const { tokens, good } = yield* setUp;
    const issueAgo = (minutes: number) =>
      Effect.andThen(
        TestClock.setTime(Date.now() - minutes * 60_000),
        Effect.map(tokens.issue(ann, "10.0.0.1"), ({ access_token }) => access_token),
      );
    const ended = yield* issueAgo(20.1);
    const living = yield* issueAgo(19);
    yield* TestClock.setTime(Date.now());
    assert.equal(yield* good(ended), false);
    assert.equal(yield* good(living), true);
  }));

it("a token ends with any change of the account that could matter", () =>
  Effect.gen(function* () {
    const { tokens, good, become } = yield* setUp;
    const { access_token } = yield* tokens.issue(ann, "10.0.0.1");
    const denied = { ...ann.filters, denied_protocols: ["HTTP" as const] };
    const changes: ReadonlyArray<User | undefined> = [
      undefined,
      { ...ann, updated_at: ann.updated_at + 1 },
      { ...ann, id: 4 },
      { ...ann, status: 0 },
      { ...ann, expiration_date: 1 },
      { ...ann, filters: denied },
      { ...ann, filters: { ...ann.filters, denied_ip: ["10.0.0.0/8"] } },
      { ...ann, filters: { ...ann.filters, two_factor_protocols: ["HTTP"] } },
    ];
    for (const change of changes) {
      become(change);
      assert.equal(yield* good(access_token), false, JSON.stringify(change));
    }
    become({ ...ann, last_login: 5, used_quota_size: 6 });
    assert.equal(yield* good(access_token), true);
  }));

it("a token of another audience, algorithm or key is none", () =>
  Effect.gen(function* () {
    const { tokens, good } = yield* setUp;
    const { access_token } = yield* tokens.issue(ann, "10.0.0.1");
    const claims = JSON.parse(atob(access_token.split(".")[1] ?? ""));
    const made = (change: object, secret = hexKey, algorithm: "HS256" | "HS512" = "HS256") =>
      Effect.promise(() => sign({ ...claims, ...change }, secret, algorithm));
    assert.equal(yield* good(yield* made({})), true);
    assert.equal(yield* good(yield* made({ aud: "sluice:api:admin" })), false);
    assert.equal(yield* good(yield* made({ aud: undefined })), false);
    assert.equal(yield* good(yield* made({}, "07")), false);
    assert.equal(yield* good(yield* made({}, hexKey, "HS512")), false);
    assert.equal(yield* good(yield* made({ iat: claims.iat + 100 })), false);
    for (
      const header of [null, "", "Bearer", `Basic ${access_token}`, `Bearer ${access_token}, x`]
    ) {
      assert.ok(Either.isLeft(yield* Effect.either(tokens.check(header, "10.0.0.1"))));
    }
  }));
