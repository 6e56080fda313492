import assert from "node:assert/strict";
import { keyOf, password, serveAll, totp, w } from "./auth_world.ts";
import { type Attempt, logsIn, type Method, types } from "./ssh_login.ts";

serveAll();

interface Case {
  readonly why: string;
  readonly user: string;
  readonly ok: boolean;
  readonly attempt: () => Attempt;
}
const ed = () => keyOf("ed25519");
const stranger = () => keyOf("stranger");

const cases: ReadonlyArray<Case> = [
  { why: "nothing but none", user: "any", ok: false, attempt: () => ({ methods: ["none"] }) },
  ...(["pw", "any", "totp", "nokey", "here"] as const).map((user) => ({
    why: "the right password",
    user,
    ok: true,
    attempt: () => ({ methods: ["password"], password } as Attempt),
  })),
  ...[
    "keypw",
    "keykbd",
    "nopw",
    "off",
    "expired",
    "elsewhere",
    "nothere",
    "nossh",
    "kinds",
    "nobody",
  ]
    .map((user) => ({
      why: "a password that cannot be enough",
      user,
      ok: false,
      attempt: () => ({ methods: ["password"], password } as Attempt),
    })),
  ...["wrong", "", `${password} `, password.toUpperCase(), `${password}\0`, "x".repeat(1_000_000)]
    .map((
      wrong,
    ) => ({
      why: `a password of ${wrong.length} other characters`,
      user: "pw",
      ok: false,
      attempt: () => ({ methods: ["password"], password: wrong } as Attempt),
    })),
  {
    why: "a right key",
    user: "any",
    ok: true,
    attempt: () => ({ methods: ["publickey"], key: ed() }),
  },
  {
    why: "a strange key",
    user: "any",
    ok: false,
    attempt: () => ({ methods: ["publickey"], key: stranger() }),
  },
  {
    why: "a right key alone",
    user: "keypw",
    ok: false,
    attempt: () => ({ methods: ["publickey"], key: ed() }),
  },
  {
    why: "a right key alone",
    user: "keykbd",
    ok: false,
    attempt: () => ({ methods: ["publickey"], key: ed() }),
  },
  {
    why: "a denied key",
    user: "nokey",
    ok: false,
    attempt: () => ({ methods: ["publickey"], key: ed() }),
  },
  {
    why: "a key of another user",
    user: "pw",
    ok: false,
    attempt: () => ({ methods: ["publickey"], key: ed() }),
  },
  {
    why: "the right answer",
    user: "pw",
    ok: true,
    attempt: () => ({ methods: ["keyboard-interactive"], answers: types(password) }),
  },
  {
    why: "a wrong answer",
    user: "pw",
    ok: false,
    attempt: () => ({ methods: ["keyboard-interactive"], answers: types("wrong") }),
  },
  {
    why: "the right answer and a wrong code",
    user: "totp",
    ok: false,
    attempt: () => ({ methods: ["keyboard-interactive"], answers: types(password, "000000") }),
  },
  {
    why: "a wrong answer and the right code",
    user: "totp",
    ok: false,
    attempt: () => ({ methods: ["keyboard-interactive"], answers: types("wrong", totp("totp")) }),
  },
  {
    why: "key, then password",
    user: "keypw",
    ok: true,
    attempt: () => ({ methods: ["publickey", "password"], key: ed(), password }),
  },
  {
    why: "key, then a wrong password",
    user: "keypw",
    ok: false,
    attempt: () => ({ methods: ["publickey", "password"], key: ed(), password: "wrong" }),
  },
  {
    why: "a strange key, then the password",
    user: "keypw",
    ok: false,
    attempt: () => ({ methods: ["publickey", "password"], key: stranger(), password }),
  },
  {
    why: "password before key, and nothing after",
    user: "keypw",
    ok: false,
    attempt: () => ({ methods: ["password", "publickey"], key: ed(), password }),
  },
  {
    why: "password, key, password",
    user: "keypw",
    ok: true,
    attempt: () => ({ methods: ["password", "publickey", "password"], key: ed(), password }),
  },
  {
    why: "key twice",
    user: "keypw",
    ok: false,
    attempt: () => ({ methods: ["publickey", "publickey"], key: ed() }),
  },
  {
    why: "key, then answers where a password is asked",
    user: "keypw",
    ok: false,
    attempt: () => ({
      methods: ["publickey", "keyboard-interactive"],
      key: ed(),
      answers: types(password),
    }),
  },
  {
    why: "key, then the right answer",
    user: "keykbd",
    ok: true,
    attempt: () => ({
      methods: ["publickey", "keyboard-interactive"],
      key: ed(),
      answers: types(password),
    }),
  },
  {
    why: "key, then a wrong answer",
    user: "keykbd",
    ok: false,
    attempt: () => ({
      methods: ["publickey", "keyboard-interactive"],
      key: ed(),
      answers: types("wrong"),
    }),
  },
  {
    why: "key, then a password where answers are asked",
    user: "keykbd",
    ok: false,
    attempt: () => ({ methods: ["publickey", "password"], key: ed(), password }),
  },
  {
    why: "answers before key, and nothing after",
    user: "keykbd",
    ok: false,
    attempt: () => ({
      methods: ["keyboard-interactive", "publickey"],
      key: ed(),
      answers: types(password),
    }),
  },
  {
    why: "key, then a wrong code",
    user: "keytotp",
    ok: false,
    attempt: () => ({
      methods: ["publickey", "keyboard-interactive"],
      key: ed(),
      answers: types(password, "000000"),
    }),
  },
];

for (const { why, user, ok, attempt } of cases) {
  Deno.test(`Must show 3b: ${user} with ${why} is ${ok ? "let in" : "refused"}`, async () => {
    assert.equal(await logsIn(w().server, user, attempt()), ok);
  });
}

Deno.test("Must show 3b: a code is asked after the password or the key, and counts once", async () => {
  const codes: Record<string, string> = { totp: totp("totp"), keytotp: totp("keytotp") };
  const withCode = (user: string, methods: ReadonlyArray<Method>) =>
    logsIn(w().server, user, { methods, key: ed(), answers: types(password, codes[user]) });
  assert.equal(await withCode("totp", ["keyboard-interactive"]), true);
  assert.equal(await withCode("totp", ["keyboard-interactive"]), false, "the same code again");
  assert.equal(await withCode("keytotp", ["publickey", "keyboard-interactive"]), true);
  assert.equal(await withCode("keytotp", ["publickey", "keyboard-interactive"]), false);
});

Deno.test("Must show 3b: every login and refusal is in the journal", async () => {
  const { server } = w();
  await logsIn(server, "pw", { methods: ["password"], password });
  await logsIn(server, "off", { methods: ["password"], password });
  const good = await server.events("--action", "login.succeeded", "--user", "pw");
  const bad = await server.events("--action", "login.failed", "--user", "off");
  assert.ok(good.length > 0 && good.every((e) => e["ip"] === "127.0.0.1" && e["method"]));
  assert.ok(bad.length > 0 && bad.every((e) => e["ip"] === "127.0.0.1"));
  assert.ok(!server.stderr.includes(password), "no password in the log");
});
