import assert from "node:assert/strict";
import { Effect, TestClock } from "effect";
import type { LoginMethod } from "../../src/model/user.ts";
import { it } from "../harness.ts";
import { World } from "./fixtures.ts";
import { alice, begin, goodKey, lastReason, past, single, tag, wrongs } from "./login_tries.ts";

it("AUTH-18: a login within ten minutes of the stored one writes nothing", () =>
  Effect.gen(function* () {
    const world = new World();
    yield* TestClock.adjust("1 hour");
    world.add({ ...alice, last_login: 55 * 60_000 });
    assert.equal(tag(yield* (yield* begin(world)).publicKey("alice", goodKey)), "Accepted");
    assert.deepEqual(world.touched, []);
    yield* TestClock.adjust("5 minutes");
    assert.equal(tag(yield* (yield* begin(world)).publicKey("alice", goodKey)), "Accepted");
    assert.deepEqual(world.touched, ["alice"]);
  }));

for (const method of Object.keys(single)) {
  it(`AUTH-01: ${method} logs in when right, and is refused when wrong`, () =>
    Effect.gen(function* () {
      const world = new World();
      world.add(alice);
      const login = yield* begin(world);
      const refused = yield* past(wrongs[method]!(login));
      assert.deepEqual(refused, {
        _tag: "Refused",
        next: ["publickey", "password", "keyboard-interactive"],
        exhausted: false,
      });
      assert.equal(world.events.at(-1)?.action, "login.failed");
      const accepted = yield* past(single[method]!(login));
      assert.equal(tag(accepted), "Accepted");
      const event = world.events.at(-1)!;
      assert.equal(event.action, "login.succeeded");
      assert.equal(event.method, method);
      assert.equal(event.ip, "10.1.2.3");
      assert.equal(event.session_id, "s1");
      assert.deepEqual(world.touched, ["alice"]);
      if (method === "publickey") assert.match(event.message!, /^SHA256:\S{43} alice's laptop$/);
      assert.equal(tag(yield* past(single[method]!(login))), "Refused", "a login happens once");
    }));

  it(`AUTH-02: a denied ${method} is refused although it is right`, () =>
    Effect.gen(function* () {
      const world = new World();
      world.add(alice, { denied_login_methods: [method as LoginMethod] });
      const login = yield* begin(world);
      assert.equal(tag(yield* past(single[method]!(login))), "Refused");
      assert.equal(lastReason(world), "the login method is denied");
      for (const other of Object.keys(single).filter((name) => name !== method)) {
        assert.equal(tag(yield* past(single[other]!(yield* begin(world)))), "Accepted", other);
      }
    }));

  it(`MOVEit CVE-2024-5806: ${method} is refused when any of its steps breaks`, () =>
    Effect.gen(function* () {
      const steps = [
        "find",
        "verify",
        "waste",
        "hash",
        "setPasswordHash",
        "touchLastLogin",
        "record",
      ];
      for (const step of steps) {
        const world = new World();
        world.add({ ...alice, password_hash: "old:right" });
        world.broken.add(step);
        const login = yield* begin(world);
        const outcome = yield* past(single[method]!(login));
        const isUsed = method !== "publickey" ||
          !["verify", "hash", "setPasswordHash"].includes(step);
        assert.equal(tag(outcome), isUsed && step !== "waste" ? "Refused" : "Accepted", step);
      }
    }));
}

it("AUTH-02: password-over-SSH denies the password here", () =>
  Effect.gen(function* () {
    const world = new World();
    world.add(alice, { denied_login_methods: ["password-over-SSH"] });
    assert.equal(tag(yield* past((yield* begin(world)).password("alice", "right"))), "Refused");
  }));

const denySingle: ReadonlyArray<LoginMethod> = ["publickey", "password", "keyboard-interactive"];

for (const second of ["password", "keyboard-interactive"] as const) {
  it(`AUTH-03: a key and then ${second} log in, in this order and only together`, () =>
    Effect.gen(function* () {
      const world = new World();
      world.add(alice, { denied_login_methods: [...denySingle] });
      for (const alone of Object.keys(single).filter((name) => name !== "publickey")) {
        assert.equal(tag(yield* past(single[alone]!(yield* begin(world)))), "Refused", alone);
      }
      const login = yield* begin(world);
      assert.deepEqual(yield* past(single.publickey!(login)), {
        _tag: "Partial",
        next: ["password", "keyboard-interactive"],
      });
      assert.equal(world.touched.length, 0);
      const refused = yield* past(wrongs[second]!(login));
      assert.deepEqual(refused, {
        _tag: "Refused",
        next: ["password", "keyboard-interactive"],
        exhausted: false,
      });
      const accepted = yield* past(single[second]!(login));
      assert.equal(accepted._tag === "Accepted" && accepted.method, `publickey+${second}`);
    }));

  it(`AUTH-03: a wrong key leaves ${second} refused`, () =>
    Effect.gen(function* () {
      const world = new World();
      world.add(alice, { denied_login_methods: [...denySingle] });
      const login = yield* begin(world);
      assert.equal(tag(yield* past(wrongs.publickey!(login))), "Refused");
      assert.equal(tag(yield* past(single[second]!(login))), "Refused");
    }));

  it(`AUTH-03: publickey+${second} denied leaves the other as the only second step`, () =>
    Effect.gen(function* () {
      const world = new World();
      const other = second === "password" ? "keyboard-interactive" : "password";
      world.add(alice, { denied_login_methods: [...denySingle, `publickey+${second}`] });
      const login = yield* begin(world);
      const half = yield* past(single.publickey!(login));
      assert.deepEqual(half, { _tag: "Partial", next: [other] });
      assert.equal(tag(yield* past(single[second]!(login))), "Refused");
      assert.equal(tag(yield* past(single[other]!(login))), "Accepted");
    }));
}

it("AUTH-03: one single step that is allowed turns two steps off", () =>
  Effect.gen(function* () {
    for (const allowed of denySingle) {
      const world = new World();
      world.add(alice, { denied_login_methods: denySingle.filter((name) => name !== allowed) });
      const key = yield* past(single.publickey!(yield* begin(world)));
      assert.equal(tag(key), allowed === "publickey" ? "Accepted" : "Refused", allowed);
      assert.equal(tag(yield* past(single[allowed]!(yield* begin(world)))), "Accepted", allowed);
    }
  }));

it("AUTH-04: another user name forgets the key that was passed", () =>
  Effect.gen(function* () {
    const world = new World();
    world.add(alice, { denied_login_methods: [...denySingle] });
    world.add({ username: "bob", password_hash: "plain:bob" }, {
      denied_login_methods: [...denySingle],
    });
    const login = yield* begin(world);
    assert.equal(tag(yield* past(single.publickey!(login))), "Partial");
    assert.equal(tag(yield* past(login.password("bob", "bob"))), "Refused");
    assert.equal(tag(yield* past(single.password!(login))), "Refused");
  }));

it("SSH-14: a method that the server turned off is neither offered nor taken", () =>
  Effect.gen(function* () {
    const world = new World();
    world.add(alice);
    const off = {
      sftpd: { password_authentication: false, keyboard_interactive_authentication: false },
    };
    const login = yield* begin(world, off);
    assert.deepEqual(yield* login.methods, ["publickey"]);
    assert.equal(tag(yield* past(single.password!(login))), "Refused");
    assert.equal(tag(yield* past(single["keyboard-interactive"]!(login))), "Refused");
    assert.equal(world.hashes, 0);
    world.add(alice, { denied_login_methods: [...denySingle] });
    assert.equal(tag(yield* past(single.publickey!(login))), "Refused", "no second step is left");
  }));

it("AUTH-09: a login with an older hash replaces it, others leave it alone", () =>
  Effect.gen(function* () {
    const world = new World();
    world.add({ ...alice, password_hash: "old:right" });
    yield* past((yield* begin(world)).password("alice", "wrong"));
    assert.equal(world.users.get("alice")!.password_hash, "old:right");
    yield* past((yield* begin(world)).password("alice", "right"));
    assert.equal(world.users.get("alice")!.password_hash, "plain:right");
  }));

it("AUTH-26: the login name follows the naming rules", () =>
  Effect.gen(function* () {
    const world = new World();
    world.add(alice);
    const attempt = (name: string, rules: number) =>
      Effect.flatMap(
        begin(world, { data_provider: { naming_rules: rules } }),
        (login) => past(login.password(name, "right")),
      );
    assert.equal(tag(yield* attempt(" alice\t", 5)), "Accepted");
    assert.equal(tag(yield* attempt("Alice", 5)), "Refused");
    assert.equal(tag(yield* attempt("Alice", 7)), "Accepted");
    assert.equal(tag(yield* attempt(" alice", 1)), "Refused");
    for (const name of ["", "alice\0", "al\nice", "\ud800", "a".repeat(300)]) {
      assert.equal(tag(yield* attempt(name, 7)), "Refused", JSON.stringify(name));
      assert.doesNotMatch(world.events.at(-1)!.username, /\p{Cc}/u);
    }
  }));
