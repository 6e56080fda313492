import assert from "node:assert/strict";
import { Effect, TestClock } from "effect";
import { Identity } from "../../src/identity/identity.ts";
import type { UserFilters } from "../../src/model/user.ts";
import { it } from "../harness.ts";
import { World } from "./fixtures.ts";
import { alice, begin, lastReason, past, single, tag } from "./login_tries.ts";

const now = Date.UTC(2030, 0, 7, 12, 30); // a Monday
const day = 24 * 60 * 60 * 1000;
type Gate = readonly [string, Partial<UserFilters>, Record<string, unknown>?];
const shut: ReadonlyArray<Gate> = [
  ["the account is disabled", {}, { status: 0 }],
  ["the account has expired", {}, { expiration_date: now }],
  ["outside the allowed hours", { access_time: [{ day_of_week: 1, from: "08:00", to: "12:29" }] }],
  ["outside the allowed hours", { access_time: [{ day_of_week: 2, from: "00:00", to: "23:59" }] }],
  ["the protocol is denied", { denied_protocols: ["SSH"] }],
  ["anonymous users have no SSH", { is_anonymous: true }],
  ["the address is not allowed", { allowed_ip: ["192.168.0.0/16"] }],
  ["the address is not allowed", { denied_ip: ["10.0.0.0/8"] }],
  ["the address is not allowed", { allowed_ip: ["10.1.2.3/32"], denied_ip: ["10.1.2.3/32"] }],
  ["the password must be changed first", { require_password_change: true }],
  ["the password has expired", { password_expiration: 10 }, {
    last_password_change: now - 10 * day,
  }],
  ["a second factor is required and not set up", { two_factor_protocols: ["SSH"] }],
];
const open: ReadonlyArray<Gate> = [
  ["expires later", {}, { expiration_date: now + 1 }],
  ["within hours", { access_time: [{ day_of_week: 1, from: "08:00", to: "12:30" }] }],
  ["other protocols denied", { denied_protocols: ["FTP", "DAV", "HTTP"] }],
  ["allowed address", { allowed_ip: ["10.0.0.0/8"] }],
  ["another address denied", { denied_ip: ["10.0.0.1"] }],
  ["password still fresh", { password_expiration: 10 }, {
    last_password_change: now - 10 * day + 1,
  }],
  ["second factor for FTP only", { two_factor_protocols: ["FTP"] }],
];
for (const [gates, expected] of [[shut, "Refused"], [open, "Accepted"]] as const) {
  for (const [name, filters, account] of gates) {
    it(`AUTH-06: right credentials are ${expected} when ${name} ${JSON.stringify(filters)}`, () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(now);
        for (const method of Object.keys(single)) {
          yield* TestClock.setTime(now);
          const world = new World();
          world.add({ ...alice, ...account }, filters);
          assert.equal(tag(yield* past(single[method]!(yield* begin(world)))), expected, method);
          if (expected === "Refused") assert.equal(lastReason(world), name);
        }
      }));
  }
}

it("CONN-07: stillAllowed() follows status, expiry, hours and removal", () =>
  Effect.gen(function* () {
    yield* TestClock.setTime(now);
    const world = new World();
    const check = Effect.flatMap(Identity, (identity) => identity.stillAllowed("alice")).pipe(
      Effect.provide(world.layer()),
    );
    assert.equal(yield* check, false);
    world.add(alice);
    assert.equal(yield* check, true);
    world.add({ ...alice, status: 0 });
    assert.equal(yield* check, false);
    world.add({ ...alice, expiration_date: now - 1 });
    assert.equal(yield* check, false);
    world.add(alice, { access_time: [{ day_of_week: 1, from: "12:00", to: "12:30" }] });
    assert.equal(yield* check, true);
    yield* TestClock.adjust("1 minute");
    assert.equal(yield* check, false);
  }));

it("AUTH-16: anonymous users log in by FTP and WebDAV with any password, and by nothing else", () =>
  Effect.gen(function* () {
    const world = new World();
    world.add({ username: "all", password_hash: "plain:right" }, { is_anonymous: true });
    const by = (protocol: "SSH" | "FTP" | "DAV" | "HTTP", secret: string) =>
      Effect.flatMap(
        Identity,
        (identity) => identity.begin({ ip: "10.1.2.3", protocol, sessionId: "s1" }),
      ).pipe(
        Effect.provide(world.layer()),
        Effect.flatMap((login) => past(login.password("all", secret))),
      );
    for (const secret of ["", "me@example.com", "right", "x".repeat(2000)]) {
      assert.equal((yield* by("FTP", secret))._tag, "Accepted", secret);
      assert.equal((yield* by("DAV", secret))._tag, "Accepted", secret);
      assert.equal((yield* by("SSH", secret))._tag, "Refused", secret);
      assert.equal((yield* by("HTTP", secret))._tag, "Refused", secret);
    }
    world.add({ username: "all", status: 0 }, { is_anonymous: true });
    assert.equal((yield* by("FTP", ""))._tag, "Refused", "a disabled one is nobody");
    world.add({ username: "all" }, { is_anonymous: true, denied_protocols: ["DAV"] });
    assert.equal((yield* by("DAV", ""))._tag, "Refused");
  }));
