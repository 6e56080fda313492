import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { generateKeyPairSync, sign } from "node:crypto";
import { Effect, Fiber, TestClock } from "effect";
import { Identity, type Login, type LoginOutcome } from "../../src/identity/identity.ts";
import type { LoginMethod, UserFilters } from "../../src/model/user.ts";
import { it } from "../harness.ts";
import { wireString, World } from "./fixtures.ts";

const pair = generateKeyPairSync("ed25519");
const point = Buffer.from(pair.publicKey.export({ format: "jwk" }).x!, "base64url");
const blob = Buffer.concat([wireString("ssh-ed25519"), wireString(point)]);
const keyLine = `ssh-ed25519 ${blob.toString("base64")} alice's laptop`;
const signed = Buffer.from("request");
const question = { algorithm: "ssh-ed25519", blob };
const goodKey = {
  ...question,
  signed,
  signature: Buffer.concat([
    wireString("ssh-ed25519"),
    wireString(sign(null, signed, pair.privateKey)),
  ]),
};
const badKey = { ...goodKey, signed: Buffer.from("another request") };

const alice = { username: "alice", password_hash: "plain:right", public_keys: [keyLine] };
const answers = (...given: string[]) => {
  const left = [...given];
  return () => Effect.succeed(left.splice(0, 1));
};

/** Starts a login from 10.1.2.3 and gives it to `body`. */
const begin = (world: World, settings: Record<string, unknown> = {}, ip = "10.1.2.3") =>
  Effect.flatMap(Identity, (identity) => identity.begin({ ip, protocol: "SSH", sessionId: "s1" }))
    .pipe(Effect.provide(world.layer(settings)));

/** Runs one attempt with the clock moved past any delay. */
const past = <A, E>(attempt: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(attempt);
    yield* TestClock.adjust("2 seconds");
    return yield* Fiber.join(fiber);
  });

const tag = (outcome: LoginOutcome | { readonly _tag: "KeyUsable" }) => outcome._tag;
const lastReason = (world: World) => world.events.at(-1)?.message;

const single: Readonly<
  Record<string, (login: Login) => Effect.Effect<LoginOutcome | { readonly _tag: "KeyUsable" }>>
> = {
  "publickey": (login) => login.publicKey("alice", goodKey),
  "password": (login) => login.password("alice", "right"),
  "keyboard-interactive": (login) => login.keyboardInteractive("alice", answers("right")),
};
const wrongs: typeof single = {
  "publickey": (login) => login.publicKey("alice", badKey),
  "password": (login) => login.password("alice", "wrong"),
  "keyboard-interactive": (login) => login.keyboardInteractive("alice", answers("wrong")),
};

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
