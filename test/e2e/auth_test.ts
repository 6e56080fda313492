import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { makeKey, publicKey, ssh, type Target } from "./clients.ts";
import { addUser, type Server, sluiceMust } from "./server.ts";
import { type Connection, dial } from "./ssh2_client.ts";
import { makeWorld, type World } from "./world.ts";

const password = "correct horse battery";
/** Base32 secrets by user, as `user totp` gave them out. */
const totpSecrets: Record<string, string> = {};

const base32 = (text: string): Uint8Array => {
  const bits = [...text].map((c) =>
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")
  ).join("");
  return Uint8Array.from(bits.match(/.{8}/g) ?? [], (b) => parseInt(b, 2));
};

/** RFC 6238, six digits, SHA-1. `step` counts 30 s steps from now. */
const totp = (user: string, step = 0): string => {
  const counter = new Uint8Array(8);
  new DataView(counter.buffer).setBigUint64(0, BigInt(Math.floor(Date.now() / 30_000) + step));
  const mac = createHmac("sha1", base32(totpSecrets[user] ?? "")).update(counter).digest();
  const at = (mac.at(-1) ?? 0) & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
};

const allSsh = ["publickey", "password", "password-over-SSH", "keyboard-interactive"];
const keyThenPassword = [...allSsh, "publickey+keyboard-interactive"];
const keyThenAnswers = [...allSsh, "publickey+password"];

let world: World | undefined;
const keys: Record<string, string> = {};
const w = (): World => {
  assert.ok(world);
  return world;
};

const keyKinds: ReadonlyArray<readonly [string, ...string[]]> = [
  ["ed25519", "-t", "ed25519"],
  ["ecdsa256", "-t", "ecdsa", "-b", "256"],
  ["ecdsa384", "-t", "ecdsa", "-b", "384"],
  ["ecdsa521", "-t", "ecdsa", "-b", "521"],
  ["rsa2048", "-t", "rsa", "-b", "2048"],
  ["rsa3072", "-t", "rsa", "-b", "3072"],
  ["rsa4096", "-t", "rsa", "-b", "4096"],
];

Deno.test.beforeAll(async () => {
  const keyDir = await Deno.makeTempDir({ prefix: "sluice-keys-" });
  for (const [name, ...args] of keyKinds) keys[name] = await makeKey(keyDir, name, ...args);
  keys["stranger"] = await makeKey(keyDir, "stranger");
  const kinds = await Promise.all(keyKinds.map(([name]) => publicKey(keys[name] ?? "")));
  const pair = [await publicKey(keys["ed25519"] ?? "")];
  world = await makeWorld([
    { username: "pw", password, public_keys: [] },
    { username: "kinds", public_keys: kinds },
    { username: "any", password, public_keys: pair },
    {
      username: "keypw",
      password,
      public_keys: pair,
      filters: { denied_login_methods: keyThenPassword },
    },
    {
      username: "keykbd",
      password,
      public_keys: pair,
      filters: { denied_login_methods: keyThenAnswers },
    },
    {
      username: "keytotp",
      password,
      public_keys: pair,
      filters: { denied_login_methods: keyThenAnswers },
    },
    { username: "totp", password, public_keys: [] },
    { username: "nopw", password, filters: { denied_login_methods: ["password"] } },
    { username: "nokey", password, filters: { denied_login_methods: ["publickey"] } },
    { username: "off", password, status: 0 },
    { username: "expired", password, expiration_date: Date.now() - 60_000 },
    { username: "elsewhere", password, filters: { allowed_ip: ["10.0.0.0/8"] } },
    { username: "nothere", password, filters: { denied_ip: ["127.0.0.0/8"] } },
    { username: "here", password, filters: { allowed_ip: ["127.0.0.1/32"] } },
    { username: "nossh", password, filters: { denied_protocols: ["SSH"] } },
  ]);
  // Not by `user add`, which never writes a second factor (BEHAVIOUR USER-39).
  for (const user of ["keytotp", "totp"]) {
    const args = ["user", "totp", user, "enable", "--json"];
    totpSecrets[user] = JSON.parse(await sluiceMust(world.server.dataDir, args)).secret;
  }
});
Deno.test.afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
});

type Method = "none" | "password" | "publickey" | "keyboard-interactive";

interface Attempt {
  readonly methods: ReadonlyArray<Method>;
  readonly password?: string;
  readonly key?: string;
  /** What to type at each prompt, by a word of it. */
  readonly answers?: (prompt: string) => string;
}

/** Whether the attempt logs in; the methods are tried in the order given, and no other. */
const logsIn = async (server: Server, user: string, attempt: Attempt): Promise<boolean> => {
  const privateKey = attempt.key === undefined ? undefined : await Deno.readTextFile(attempt.key);
  const left = [...attempt.methods];
  const connection: Connection = await dial({ port: server.port, user }, {
    authHandler: (_left: unknown, _partial: unknown, next: (method: unknown) => void) => {
      const method = left.shift();
      if (method === undefined) return next(false);
      if (method === "password") {
        return next({ type: method, username: user, password: attempt.password });
      }
      if (method === "publickey") return next({ type: method, username: user, key: privateKey });
      if (method === "none") return next({ type: method, username: user });
      next({
        type: method,
        username: user,
        prompt: (
          _name: string,
          _instructions: string,
          _lang: string,
          prompts: ReadonlyArray<{ prompt: string }>,
          finish: (answers: ReadonlyArray<string>) => void,
        ) => finish(prompts.map((p) => attempt.answers?.(p.prompt) ?? "")),
      });
    },
  });
  await using _ = connection;
  const ready = new Promise<boolean>((resolve) =>
    connection.client.on("ready", () => resolve(true))
  );
  return await Promise.race([ready, connection.closed.then(() => false)]);
};

const types = (pw: string, code?: string) => (prompt: string) =>
  /code/i.test(prompt) ? code ?? "" : pw;

interface Case {
  readonly why: string;
  readonly user: string;
  readonly ok: boolean;
  readonly attempt: () => Attempt;
}
const ed = () => keys["ed25519"] ?? "";
const stranger = () => keys["stranger"] ?? "";

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

for (const [name] of keyKinds) {
  Deno.test(`Must show 3b: OpenSSH logs in with ${name}`, async () => {
    const target: Target = { port: w().server.port, user: "kinds", key: keys[name] ?? "" };
    const { code, stderr } = await ssh(target, ["pwd"]);
    assert.equal(code, 0, stderr);
  });
}

for (const algorithm of ["rsa-sha2-256", "rsa-sha2-512"]) {
  Deno.test(`Must show 3b: an RSA key logs in when the client may only use ${algorithm}`, async () => {
    const target: Target = { port: w().server.port, user: "kinds", key: keys["rsa3072"] ?? "" };
    const { code, stderr } = await ssh(target, ["pwd"], [
      "-o",
      `PubkeyAcceptedAlgorithms=${algorithm}`,
    ]);
    assert.equal(code, 0, stderr);
  });
}

Deno.test("Must show 3b: an RSA key with SHA-1 is refused", async () => {
  const target: Target = { port: w().server.port, user: "kinds", key: keys["rsa3072"] ?? "" };
  const { code } = await ssh(target, ["pwd"], ["-o", "PubkeyAcceptedAlgorithms=ssh-rsa"]);
  assert.notEqual(code, 0);
});

Deno.test("Must show 3b: weak and broken keys cannot be given to a user", async () => {
  const { dir, server } = w();
  const weak = await makeKey(dir, "rsa1024", "-t", "rsa", "-b", "1024");
  for (const line of [await publicKey(weak), "ssh-ed25519 AAAA", "hello"]) {
    await assert.rejects(
      addUser(server.dataDir, { username: "weak", public_keys: [line] }),
      /exit [124]/,
      line,
    );
  }
  assert.equal((await server.sluice("user", "show", "weak")).code, 3);
});

Deno.test("Must show 3b: OpenSSH logs in with password, keyboard-interactive and both steps", async () => {
  const { server } = w();
  const pw: Target = { port: server.port, user: "pw", password };
  for (const method of ["password", "keyboard-interactive"]) {
    const { code, stderr } = await ssh(pw, ["pwd"], ["-o", `PreferredAuthentications=${method}`]);
    assert.equal(code, 0, `${method}: ${stderr}`);
    const wrong = await ssh({ ...pw, password: "wrong" }, ["pwd"], [
      ...["-o", `PreferredAuthentications=${method}`, "-o", "NumberOfPasswordPrompts=1"],
    ]);
    assert.notEqual(wrong.code, 0);
  }
  for (const user of ["keypw", "keykbd"]) {
    const both: Target = { port: server.port, user, key: ed(), password };
    const { code, stderr } = await ssh(both, ["pwd"]);
    assert.equal(code, 0, `${user}: ${stderr}`);
  }
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
