import { Effect, Layer, TestClock } from "effect";
import assert from "node:assert/strict";
import { Guard, type GuardShape, type Offence } from "../../src/guard/guard.ts";
import { Identity } from "../../src/identity/identity.ts";
import { it } from "../harness.ts";
import { wireString, World } from "./fixtures.ts";

/** A guard that writes down what it hears. */
const listening = (banned = false) => {
  const heard: Array<Offence> = [];
  const guard: GuardShape = {
    admit: () => Effect.succeed(undefined),
    isBanned: () => Effect.succeed(banned),
    report: (_, offence) => Effect.sync(() => void heard.push(offence)),
    refresh: Effect.void,
  };
  return { heard, guard };
};

const begin = (guard: GuardShape) => {
  const world = new World();
  world.add({ username: "alice", password_hash: "plain:right" });
  return Effect.flatMap(
    Identity,
    (identity) => identity.begin({ ip: "10.1.2.3", protocol: "SSH", sessionId: "s1" }),
  ).pipe(Effect.provide(world.layer({}, Layer.succeed(Guard, guard))));
};

const past = <A, E>(attempt: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(attempt);
    yield* TestClock.adjust("2 seconds");
    return yield* fiber;
  });

const key = (text: string) => ({
  algorithm: "ssh-ed25519",
  blob: Uint8Array.from([...wireString("ssh-ed25519"), ...wireString(text.padEnd(32, "x"))]),
});

it("DEF-01: wrong passwords are reported at once, by whether the user exists", () =>
  Effect.gen(function* () {
    const { heard, guard } = listening();
    const login = yield* begin(guard);
    yield* past(login.password("alice", "wrong"));
    yield* past(login.password("nobody", "wrong"));
    assert.deepEqual(heard, ["valid", "invalid"]);
    assert.equal((yield* login.password("alice", "right"))._tag, "Accepted");
    assert.equal(heard.length, 2);
  }));

it("DEF-06: several refused keys count once, when the client leaves without a login", () =>
  Effect.gen(function* () {
    const { heard, guard } = listening();
    const first = yield* begin(guard);
    yield* first.publicKey("alice", key("a"));
    yield* first.publicKey("alice", key("b"));
    assert.deepEqual(heard, []);
    yield* first.abandoned;
    assert.deepEqual(heard, ["valid"]);
    const second = yield* begin(guard);
    yield* second.publicKey("alice", key("a"));
    assert.equal((yield* second.password("alice", "right"))._tag, "Accepted");
    yield* second.abandoned;
    assert.deepEqual(heard, ["valid"], "a login clears what came before it");
  }));

it("DEF-01: a client that tries nothing is reported as such", () =>
  Effect.gen(function* () {
    const { heard, guard } = listening();
    yield* (yield* begin(guard)).abandoned;
    assert.deepEqual(heard, ["no_auth"]);
  }));

it("SECURITY 6.12: the right password is refused once the address is banned", () =>
  Effect.gen(function* () {
    const { guard } = listening(true);
    const login = yield* begin(guard);
    assert.equal((yield* past(login.password("alice", "right")))._tag, "Refused");
  }));
