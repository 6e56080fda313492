import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Effect, Fiber, TestClock } from "effect";
import { it } from "../harness.ts";
import { World } from "./fixtures.ts";
import {
  alice,
  answers,
  begin,
  blob,
  goodKey,
  keyLine,
  lastReason,
  past,
  question,
  single,
  tag,
  wrongs,
} from "./login_tries.ts";

it("SSH-05: the sixth wrong try ends it, over all methods together", () =>
  Effect.gen(function* () {
    const world = new World();
    world.add(alice);
    const login = yield* begin(world);
    assert.deepEqual(yield* login.none("alice"), {
      _tag: "Refused",
      next: ["publickey", "password", "keyboard-interactive"],
      exhausted: false,
    });
    const mixed = [
      wrongs.publickey!(login),
      wrongs.password!(login),
      wrongs["keyboard-interactive"]!(login),
      login.none("alice"),
      login.password("nobody", "x"),
    ];
    for (const attempt of mixed) {
      const outcome = yield* past(attempt);
      assert.equal(outcome._tag === "Refused" && outcome.exhausted, false);
    }
    const sixth = yield* past(wrongs.publickey!(login));
    assert.equal(sixth._tag === "Refused" && sixth.exhausted, true);
    const hashes = world.hashes;
    assert.equal(tag(yield* past(single.password!(login))), "Refused", "right, but too late");
    assert.equal(world.hashes, hashes);
  }));

it("SSH-05: a negative limit never ends it, but key questions stay bounded", () =>
  Effect.gen(function* () {
    const world = new World();
    world.add(alice);
    const login = yield* begin(world, { sftpd: { max_auth_tries: -1 } });
    for (let round = 0; round < 20; round += 1) {
      const outcome = yield* past(wrongs.password!(login));
      assert.equal(outcome._tag === "Refused" && outcome.exhausted, false);
    }
    let last = yield* login.publicKey("alice", question);
    assert.equal(tag(last), "KeyUsable");
    for (let round = 0; round < 32; round += 1) last = yield* login.publicKey("alice", question);
    assert.equal(last._tag === "Refused", false);
    assert.equal(tag(yield* login.publicKey("alice", question)), "Refused");
  }));

it("a question about a key is not a login and counts no try", () =>
  Effect.gen(function* () {
    const world = new World();
    world.add(alice);
    const login = yield* begin(world, { sftpd: { max_auth_tries: 1 } });
    assert.equal(tag(yield* login.publicKey("alice", question)), "KeyUsable");
    assert.equal(tag(yield* login.publicKey("nobody", question)), "Refused");
    assert.equal(tag(yield* login.publicKey("alice", question)), "KeyUsable");
    assert.equal(world.events.length, 0);
    assert.equal(tag(yield* login.publicKey("alice", goodKey)), "Accepted");
  }));

it("SECURITY 6.13: a key that signed nothing, other bytes or another algorithm is refused", () =>
  Effect.gen(function* () {
    const world = new World();
    world.add(alice);
    const { signed: _, ...unsigned } = goodKey;
    for (
      const key of [
        unsigned,
        { ...goodKey, signed: Buffer.alloc(0) },
        { ...goodKey, signature: Buffer.alloc(0) },
        { ...goodKey, algorithm: "ssh-rsa" },
        { ...goodKey, algorithm: "rsa-sha2-512" },
        { ...goodKey, algorithm: "ssh-ed25519-cert-v01@openssh.com" },
        { ...goodKey, blob: Buffer.concat([blob, Buffer.from([0])]) },
        { ...goodKey, blob: Buffer.alloc(0) },
      ]
    ) assert.equal(tag(yield* past((yield* begin(world)).publicKey("alice", key))), "Refused");
    const only = { sftpd: { public_key_algorithms: ["rsa-sha2-512"] } };
    assert.equal(
      tag(yield* past((yield* begin(world, only)).publicKey("alice", goodKey))),
      "Refused",
    );
  }));

it("CVE-2018-15473: unknown users, users without password and wrong passwords cost one hash and one time", () =>
  Effect.gen(function* () {
    const world = new World();
    world.add(alice);
    world.add({ username: "keyonly", public_keys: [keyLine] });
    world.add({ ...alice, username: "disabled", status: 0 });
    for (const name of ["alice", "keyonly", "nobody", "disabled", "bad\0name"]) {
      for (const method of ["password", "keyboard-interactive"]) {
        const before = world.hashes;
        const login = yield* begin(world);
        const attempt = method === "password"
          ? login.password(name, "wrong")
          : login.keyboardInteractive(name, answers("wrong"));
        const fiber = yield* Effect.fork(attempt);
        yield* TestClock.adjust("1249 millis");
        assert.equal(yield* Fiber.poll(fiber).pipe(Effect.map((exit) => exit._tag)), "None", name);
        yield* TestClock.adjust("1 millis");
        assert.deepEqual(yield* Fiber.join(fiber), {
          _tag: "Refused",
          next: ["publickey", "password", "keyboard-interactive"],
          exhausted: false,
        });
        assert.equal(world.hashes - before, 1, `${name} ${method}`);
      }
    }
  }));

it("SECURITY 6.14: empty, long, NUL and non-text passwords are refused without a hash", () =>
  Effect.gen(function* () {
    const world = new World();
    world.add(alice);
    const notText = { oldPassword: "right", newPassword: "x" } as unknown as string;
    const bad = ["", "x".repeat(1025), "é".repeat(513), "x".repeat(1 << 20), "right\0", notText];
    for (const plain of bad) {
      for (const name of ["alice", "nobody"]) {
        assert.equal(tag(yield* past((yield* begin(world)).password(name, plain))), "Refused");
        const login = yield* begin(world);
        assert.equal(tag(yield* past(login.keyboardInteractive(name, answers(plain)))), "Refused");
      }
    }
    assert.equal(world.hashes, 0);
    world.add({ ...alice, password_hash: `plain:${"x".repeat(1024)}` });
    const login = yield* begin(world);
    assert.equal(tag(yield* past(login.password("alice", "x".repeat(1024)))), "Accepted");
  }));

it("keyboardInteractive() is refused when the client goes away or answers too much", () =>
  Effect.gen(function* () {
    const world = new World();
    world.add(alice);
    const attempts = [
      () => Effect.fail("gone"),
      () => Effect.succeed([]),
      () => Effect.succeed(["right", "right"]),
      () => Effect.die("broken"),
    ];
    for (const ask of attempts) {
      const login = yield* begin(world);
      assert.equal(tag(yield* past(login.keyboardInteractive("alice", ask))), "Refused");
    }
    assert.equal(world.hashes, 0);
  }));

it("SSH-04: a client that leaves without a try is recorded once, with no name", () =>
  Effect.gen(function* () {
    const world = new World();
    world.add(alice);
    const silent = yield* begin(world);
    yield* silent.none("alice");
    yield* silent.abandoned;
    yield* silent.abandoned;
    assert.equal(world.events.length, 1);
    assert.deepEqual([world.events[0]!.method, world.events[0]!.username], ["no_auth_tried", ""]);
    const tried = yield* begin(world);
    yield* past(wrongs.password!(tried));
    yield* tried.abandoned;
    assert.equal(world.events.length, 2);
    const asking = yield* begin(world);
    yield* asking.publicKey("alice", { ...question, blob: Buffer.alloc(3) });
    yield* asking.publicKey("alice", question);
    yield* asking.abandoned;
    const { method, username, message } = world.events.at(-1)!;
    assert.deepEqual([method, username], ["publickey", "alice"]);
    assert.match(message!, /2 keys/);
  }));

it("an attempt whose client goes away is recorded as failed and logs nobody in", () =>
  Effect.gen(function* () {
    const world = new World();
    world.add(alice);
    const login = yield* begin(world);
    const fiber = yield* Effect.fork(login.keyboardInteractive("alice", () => Effect.never));
    yield* TestClock.adjust("1 second");
    yield* Fiber.interrupt(fiber);
    yield* login.abandoned;
    assert.equal(world.events.length, 1);
    assert.match(lastReason(world)!, /went away/);
    assert.equal(tag(yield* past(single.password!(login))), "Accepted", "the turn is free again");
  }));

it("events never hold what the client gave as a secret", () =>
  Effect.gen(function* () {
    const world = new World();
    world.add(alice);
    const login = yield* begin(world);
    yield* past(login.password("alice", "hunter2-secret"));
    yield* past(login.keyboardInteractive("alice", answers("hunter2-secret")));
    yield* past(login.password("nobody", "hunter2-secret"));
    assert.doesNotMatch(JSON.stringify(world.events), /hunter2/);
  }));
