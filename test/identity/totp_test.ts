import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { Buffer } from "node:buffer";
import { Effect, Exit, Fiber, TestClock } from "effect";
import { disableTotp, enrolTotp } from "../../src/identity/enrolment.ts";
import { Identity } from "../../src/identity/identity.ts";
import { seal, unseal } from "../../src/identity/sealed.ts";
import { Totp, type TotpAlgorithm } from "../../src/identity/totp.ts";
import { layer as totpLayer } from "../../adapters/otp/totp.ts";
import type { LoginMethod } from "../../src/model/user.ts";
import { it } from "../harness.ts";
import { World } from "./fixtures.ts";

const start = 1_900_000_000_000 - (1_900_000_000_000 % 30_000);
const base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** RFC 6238 by itself, so that a mistake in the adapter cannot hide in the test. */
const codeAt = (secret: string, time: number, algorithm: TotpAlgorithm = "sha1"): string => {
  const bits = [...secret].map((c) => base32.indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g)!.map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(time / 30_000)));
  const digest = createHmac(algorithm, key).update(counter).digest();
  const offset = digest.at(-1)! & 15;
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, "0");
};

it("MFA-01: check() knows RFC 6238's examples for each hash", () =>
  Effect.gen(function* () {
    const totp = yield* Totp;
    // Appendix B gives 8 digits; the last six are the 6-digit code.
    const examples = [
      ["sha1", "12345678901234567890", 59, "287082"],
      ["sha1", "12345678901234567890", 1111111109, "081804"],
      ["sha256", "12345678901234567890123456789012", 1111111109, "084774"],
      ["sha512", "1234567890123456789012345678901234567890123456789012345678901234", 59, "693936"],
    ] as const;
    for (const [algorithm, ascii, seconds, code] of examples) {
      const bits = [...Buffer.from(ascii)].map((byte) => byte.toString(2).padStart(8, "0")).join(
        "",
      );
      const secret = bits.match(/.{1,5}/g)!.map((part) => base32[parseInt(part.padEnd(5, "0"), 2)])
        .join("");
      const step = yield* totp.check(secret, algorithm, code, seconds * 1000);
      assert.equal(step, Math.floor(seconds / 30), `${algorithm} ${seconds}`);
    }
  }).pipe(Effect.provide(totpLayer)));

it("MFA-01: check() takes the step before and after, and nothing but six digits", () =>
  Effect.gen(function* () {
    const totp = yield* Totp;
    const { secret, url } = yield* totp.generate({
      issuer: "Slu ice",
      algorithm: "sha256",
      username: "al ice",
    });
    assert.match(secret, /^[A-Z2-7]{32}$/);
    assert.match(
      url,
      /^otpauth:\/\/totp\/Slu%20ice:al%20ice\?secret=[A-Z2-7]{32}&issuer=Slu%20ice&algorithm=SHA256$/,
    );
    for (
      const [shift, known] of [[-2, false], [-1, true], [0, true], [1, true], [2, false]] as const
    ) {
      for (const inside of [0, 15_000, 29_999]) {
        const code = codeAt(secret, start + shift * 30_000, "sha256");
        const step = yield* totp.check(secret, "sha256", code, start + inside);
        assert.equal(step, known ? start / 30_000 + shift : undefined, `${shift} ${inside}`);
      }
    }
    const good = codeAt(secret, start, "sha256");
    for (
      const bad of ["", good.slice(1), `${good}0`, "abcdef", "１２３４５６", `${good.slice(0, 5)} `]
    ) {
      assert.equal(yield* totp.check(secret, "sha256", bad, start), undefined);
    }
  }).pipe(Effect.provide(totpLayer)));

/** Alice, enrolled, and a way to answer `Password:` and `Authentication code:`. */
const enrolled = (world: World) =>
  Effect.gen(function* () {
    yield* TestClock.setTime(start);
    const { secret } = yield* enrolTotp("alice").pipe(Effect.provide(world.layer()));
    return secret;
  });

const attempts = (world: World) =>
  Effect.map(
    Identity,
    (identity) => (asked: string[], ...answers: string[]) =>
      Effect.gen(function* () {
        const login = yield* identity.begin({ ip: "10.1.2.3", protocol: "SSH", sessionId: "s" });
        const left = [...answers];
        const fiber = yield* Effect.fork(
          login.keyboardInteractive("alice", (prompts) => {
            asked.push(...prompts.map(({ text, echo }) => `${text}${echo}`));
            return Effect.succeed(left.splice(0, 1));
          }),
        );
        yield* TestClock.adjust("2 seconds");
        return (yield* Fiber.join(fiber))._tag;
      }),
  ).pipe(Effect.provide(world.layer()));

const aliceWorld = (denied: ReadonlyArray<LoginMethod> = []) => {
  const world = new World();
  world.add({ username: "alice", password_hash: "plain:right" }, {
    denied_login_methods: [...denied],
  });
  return world;
};

it("AUTH-13, MFA-02: the code is asked after the right password, and works once", () =>
  Effect.gen(function* () {
    const world = aliceWorld();
    const secret = yield* enrolled(world);
    const attempt = yield* attempts(world);
    const asked: string[] = [];
    const code = codeAt(secret, start);
    assert.equal(yield* attempt(asked, "right", code), "Accepted");
    assert.deepEqual(asked, ["Password: false", "Authentication code: false"]);
    assert.equal(yield* attempt(asked, "right", code), "Refused", "used before");
    assert.match(world.events.at(-1)!.message!, /used before/);
    assert.equal(
      yield* attempt(asked, "right", codeAt(secret, start - 30_000)),
      "Refused",
      "older step",
    );
    assert.equal(yield* attempt(asked, "right", codeAt(secret, start + 30_000)), "Accepted");
    const few: string[] = [];
    assert.equal(yield* attempt(few, "wrong", code), "Refused");
    assert.deepEqual(few, ["Password: false"]);
    assert.equal(yield* attempt([], "right"), "Refused", "no code");
    yield* disableTotp("alice").pipe(Effect.provide(world.layer()));
    assert.equal(yield* attempt([], "right"), "Accepted", "turned off");
  }));

it("MFA-05: a plain password logs in unless a second factor is required", () =>
  Effect.gen(function* () {
    for (const required of [false, true]) {
      const world = aliceWorld();
      const secret = yield* enrolled(world);
      const user = world.users.get("alice")!;
      const two = required ? ["SSH"] as const : [];
      world.add(user, { ...user.filters, two_factor_protocols: two });
      const login = Effect.flatMap(
        Identity,
        (identity) => identity.begin({ ip: "10.1.2.3", protocol: "SSH", sessionId: "s" }),
      );
      const plain = yield* Effect.fork(
        Effect.flatMap(login, (l) => l.password("alice", "right")).pipe(
          Effect.provide(world.layer()),
        ),
      );
      yield* TestClock.adjust("2 seconds");
      assert.equal((yield* Fiber.join(plain))._tag, required ? "Refused" : "Accepted");
      const attempt = yield* attempts(world);
      assert.equal(yield* attempt([], "right", codeAt(secret, start)), "Accepted");
    }
  }));

it("Cerberus: ten wrong codes over any connections lock the second factor for a while", () =>
  Effect.gen(function* () {
    const world = aliceWorld();
    const secret = yield* enrolled(world);
    yield* Effect.gen(function* () {
      const attempt = yield* attempts(world);
      const right = Effect.flatMap(
        Effect.clockWith((clock) => clock.currentTimeMillis),
        (time) => attempt([], "right", codeAt(secret, time)),
      );
      for (let round = 0; round < 9; round += 1) {
        assert.equal(yield* attempt([], "right", "12345x"), "Refused");
      }
      assert.equal(yield* right, "Accepted", "nine are forgiven");
      for (let round = 0; round < 10; round += 1) yield* attempt([], "right", "12345x");
      yield* TestClock.adjust("1 minute");
      assert.equal(yield* right, "Refused");
      assert.match(world.events.at(-1)!.message!, /locked/);
      yield* TestClock.adjust("15 minutes");
      assert.equal(yield* right, "Accepted");
    });
  }));

it("a code is refused when a step of its check breaks or its secret cannot be opened", () =>
  Effect.gen(function* () {
    const world = aliceWorld();
    const secret = yield* enrolled(world);
    const attempt = yield* attempts(world);
    world.broken.add("useTotpStep");
    assert.equal(yield* attempt([], "right", codeAt(secret, start)), "Refused");
    world.broken.clear();
    const user = world.users.get("alice")!;
    const { totp_config, ...filters } = user.filters;
    const stolen = { ...totp_config!.secret!, additional_data: "mallory" };
    world.add(user, {
      ...filters,
      totp_config: { ...totp_config!, secret: { ...stolen, payload: "AAAA" } },
    });
    assert.equal(yield* attempt([], "right", codeAt(secret, start)), "Refused");
    world.add(user, { ...filters, totp_config: { ...totp_config!, config_name: "gone" } });
    assert.equal(yield* attempt([], "right", codeAt(secret, start)), "Refused");
    world.add(user, filters);
    assert.equal(yield* attempt([], "right"), "Accepted", "no second factor any more");
  }));

it("enrolTotp() fails for unknown users and profiles, and stores no plain secret", () =>
  Effect.gen(function* () {
    const world = aliceWorld();
    const layer = world.layer();
    const missing = yield* Effect.exit(enrolTotp("nobody").pipe(Effect.provide(layer)));
    assert.ok(Exit.isFailure(missing));
    const profile = yield* Effect.exit(
      enrolTotp("alice", { profile: "x" }).pipe(Effect.provide(layer)),
    );
    assert.ok(Exit.isFailure(profile));
    assert.equal(world.users.get("alice")!.filters.totp_config, undefined);
    const { secret } = yield* enrolTotp("alice", { protocols: ["SSH", "FTP"] }).pipe(
      Effect.provide(layer),
    );
    const stored = world.users.get("alice")!.filters.totp_config!;
    assert.deepEqual(stored.protocols, ["SSH", "FTP"]);
    assert.doesNotMatch(JSON.stringify(stored), new RegExp(secret));
  }));

Deno.test("KMS-06: unseal() opens for its owner and key only", () => {
  const key = { id: "a", bytes: new Uint8Array(32).fill(1) };
  const sealed = seal(key, "ABC ✓", "alice");
  assert.equal(unseal(key, sealed, "alice"), "ABC ✓");
  assert.notEqual(seal(key, "ABC ✓", "alice").payload, sealed.payload);
  assert.equal(unseal(key, sealed, "bob"), undefined);
  assert.equal(unseal({ ...key, bytes: new Uint8Array(32) }, sealed, "alice"), undefined);
  assert.equal(unseal({ ...key, id: "b" }, sealed, "alice"), undefined);
  const raw = Buffer.from(sealed.payload, "base64");
  for (let at = 0; at < raw.length; at += 1) {
    const changed = Buffer.from(raw);
    changed[at]! ^= 1;
    const payload = changed.toString("base64");
    assert.equal(unseal(key, { ...sealed, payload }, "alice"), undefined);
    const cut = raw.subarray(0, at).toString("base64");
    assert.equal(unseal(key, { ...sealed, payload: cut }, "alice"), undefined);
  }
});
