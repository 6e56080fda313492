import assert from "node:assert/strict";
import { createHash, pbkdf2Sync } from "node:crypto";
import { hash as argon2 } from "@node-rs/argon2";
import { hash as bcrypt } from "@node-rs/bcrypt";
import { Effect, Layer, Schema } from "effect";
import { layer } from "../../adapters/passwords/passwords.ts";
import { Config, ConfigSchema } from "../../src/config/config.ts";
import { Passwords } from "../../src/identity/passwords.ts";
import { checkPassword } from "../../src/model/check_password.ts";
import { live } from "../harness.ts";

const cheap = { argon2_memory: 64, argon2_iterations: 1, argon2_parallelism: 1 };
const settings = Schema.decodeUnknownSync(ConfigSchema)({ data_provider: cheap });
const withPasswords = <A, E>(body: (passwords: typeof Passwords.Service) => Effect.Effect<A, E>) =>
  Effect.flatMap(Passwords, body).pipe(
    Effect.provide(Layer.provide(layer, Layer.succeed(Config, settings))),
  );

const openssl = async (...args: string[]): Promise<string> => {
  const { stdout } = await new Deno.Command("openssl", { args: ["passwd", ...args] }).output();
  return new TextDecoder().decode(stdout).trim();
};

const words = ["secret", "pässwörd ✓", "x".repeat(200)];
const kdf = (alg: string, salt: string | Uint8Array, plain: string) =>
  pbkdf2Sync(plain, salt, 1000, 32, alg).toString("base64");

const makers: Record<string, (plain: string) => string | Promise<string>> = {
  "argon2i": (p) => argon2(p, { algorithm: 1, memoryCost: 64, timeCost: 1, parallelism: 1 }),
  "argon2d": (p) => argon2(p, { algorithm: 0, memoryCost: 64, timeCost: 1, parallelism: 1 }),
  "bcrypt 2y": (p) => bcrypt(p.slice(0, 60), 4),
  "bcrypt 2a": async (p) => (await bcrypt(p.slice(0, 60), 4)).replace("$2y$", "$2a$"),
  "bcrypt 2b": async (p) => (await bcrypt(p.slice(0, 60), 4)).replace("$2y$", "$2b$"),
  "pbkdf2-sha1": (p) => `$pbkdf2-sha1$1000$E86a9YMX$${kdf("sha1", "E86a9YMX", p)}`,
  "pbkdf2-sha256": (p) => `$pbkdf2-sha256$1000$E86a9YMX$${kdf("sha256", "E86a9YMX", p)}`,
  "pbkdf2-sha512": (p) => `$pbkdf2-sha512$1000$E86a9YMX$${kdf("sha512", "E86a9YMX", p)}`,
  "pbkdf2-b64salt": (p) =>
    `$pbkdf2-b64salt-sha256$1000$AQIDBA==$${kdf("sha256", new Uint8Array([1, 2, 3, 4]), p)}`,
  "md5-crypt": (p) => openssl("-1", "-salt", "saltsalt", p),
  "apr1": (p) => openssl("-apr1", "-salt", "sal", p),
  "sha256-crypt": (p) => openssl("-5", "-salt", "saltstring", p),
  "sha512-crypt": (p) => openssl("-6", "-salt", "0123456789abcdef", p),
  "MD5": (p) => `{MD5}${createHash("md5").update(p).digest("hex")}`,
  "SHA256": (p) => `{SHA256}${createHash("sha256").update(p).digest("hex").toUpperCase()}`,
  "SHA512": (p) => `{SHA512}${createHash("sha512").update(p).digest("hex")}`,
};

for (const [name, make] of Object.entries(makers)) {
  live(
    `AUTH-08: verify() knows ${name} hashes made elsewhere`,
    () =>
      withPasswords((passwords) =>
        Effect.gen(function* () {
          for (const word of words) {
            const plain = name.startsWith("bcrypt") ? word.slice(0, 60) : word;
            const encoded = yield* Effect.promise(() => Promise.resolve(make(plain)));
            assert.ok(passwords.recognises(encoded), encoded);
            assert.deepEqual(yield* passwords.verify(encoded, plain), { ok: true, stale: true });
            assert.equal((yield* passwords.verify(encoded, `${plain}.`)).ok, false);
            assert.equal((yield* passwords.verify(encoded, "")).ok, false);
          }
        })
      ),
  );
}

live(
  "AUTH-08: verify() computes sha-crypt with rounds of its own",
  () =>
    withPasswords((passwords) =>
      Effect.gen(function* () {
        const drepper =
          "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.";
        assert.equal((yield* passwords.verify(drepper, "Hello world!")).ok, true);
      })
    ),
);

live(
  "AUTH-09: verify() calls argon2id stale only when its work is below the configured",
  () =>
    withPasswords((passwords) =>
      Effect.gen(function* () {
        const fresh = yield* passwords.hash("secret");
        assert.match(fresh, /^\$argon2id\$v=19\$m=64,t=1,p=1\$/);
        assert.deepEqual(yield* passwords.verify(fresh, "secret"), { ok: true, stale: false });
        const weak = yield* Effect.promise(() =>
          argon2("secret", { algorithm: 2, memoryCost: 32, timeCost: 1, parallelism: 1 })
        );
        assert.deepEqual(yield* passwords.verify(weak, "secret"), { ok: true, stale: true });
        assert.deepEqual(yield* passwords.verify(weak, "wrong"), { ok: false, stale: false });
      })
    ),
);

live(
  "verify() refuses a password over 72 bytes against bcrypt, which ignores the rest",
  () =>
    withPasswords((passwords) =>
      Effect.gen(function* () {
        const encoded = yield* Effect.promise(() => bcrypt("a".repeat(72), 4));
        assert.equal((yield* passwords.verify(encoded, "a".repeat(72))).ok, true);
        assert.equal((yield* passwords.verify(encoded, `${"a".repeat(72)}b`)).ok, false);
      })
    ),
);

live(
  "verify() answers no for hashes that are unknown, broken or too expensive",
  () =>
    withPasswords((passwords) =>
      Effect.gen(function* () {
        const salt = "CgsuKzRoqKslwVPrQADjsQ$7thR+1M2rWRUJie3dKknaJaw7TGdKcLtvaQyW2H";
        for (
          const encoded of [
            "",
            "secret",
            "$y$j9T$abc$def",
            "$argon2id$junk",
            `$argon2id$v=19$m=99999999,t=2,p=1$${salt}`,
            `$argon2id$v=19$m=64,t=9999,p=1$${salt}`,
            "$2a$31$" + "a".repeat(53),
            "$pbkdf2-sha256$99999999$salt$AAAAAAAAAAAAAAAAAAAAAA==",
            "$6$rounds=999999999$salt$" + "a".repeat(86),
            "{MD5}",
            "{MD5}abc",
          ]
        ) {
          assert.equal(passwords.recognises(encoded), false, encoded);
          assert.deepEqual(yield* passwords.verify(encoded, "secret"), { ok: false, stale: false });
        }
      })
    ),
);

live(
  "verify() keeps the event loop turning while hashes are computed",
  () =>
    withPasswords((passwords) =>
      Effect.gen(function* () {
        const encoded = yield* Effect.promise(() => openssl("-6", "-salt", "salt", "secret"));
        let turns = 0;
        const timer = setInterval(() => (turns += 1), 0);
        yield* passwords.verify(encoded, "secret");
        clearInterval(timer);
        assert.ok(turns >= 5, `${turns} turns`);
      })
    ),
);

Deno.test("AUTH-08: checkPassword() refuses hashes that nobody could log in with", () => {
  const rules = { minEntropy: 0, recognises: (text: string) => text.startsWith("$6$") };
  const refused = ["$y$j9T$abc$def", "$argon2id$junk", "$2a$31$x", `{SSHA}${"a".repeat(32)}`];
  for (const text of refused) assert.equal(checkPassword("password", text, rules).length, 1, text);
  const taken = ["$6$salt$hash", "$ecret", "{curly}", "$1", "$10 bill", "{ABC}", undefined, ""];
  for (const text of taken) assert.deepEqual(checkPassword("password", text, rules), []);
});

live(
  "verify() and waste() refuse a flood at once instead of queueing it",
  () =>
    withPasswords((passwords) =>
      Effect.gen(function* () {
        const encoded = yield* passwords.hash("secret");
        const all = Array.from({ length: 300 }, () => passwords.verify(encoded, "secret"));
        const answers = yield* Effect.all(all, { concurrency: "unbounded" });
        assert.equal(answers.filter(({ ok }) => ok).length, 256);
        assert.equal((yield* passwords.verify(encoded, "secret")).ok, true, "the flood is over");
      })
    ),
);
