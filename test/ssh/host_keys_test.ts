import assert from "node:assert/strict";
import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { Effect } from "effect";
import { chooseAlgorithms } from "../../adapters/ssh/algorithms.ts";
import { loadHostKeys } from "../../adapters/ssh/host_keys.ts";
import { generateKey, readPrivateKey } from "../../adapters/ssh/key_file.ts";
import { Config, ConfigSchema } from "../../src/config/config.ts";
import { ConfigError } from "../../src/errors.ts";
import { live, tempDir } from "../harness.ts";
import { Schema } from "effect";

const later = <A>(promise: Promise<A>) => Effect.promise(() => promise);
const PLAIN = ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512"];
const load = (dataDir: string, files: string[] = [], certificates: string[] = []) =>
  loadHostKeys({ dataDir, files, certificates, algorithms: PLAIN });
const settings = (sftpd: object): Config["Type"]["sftpd"] =>
  Schema.decodeUnknownSync(ConfigSchema)({ sftpd }).sftpd;

live(
  "SSH-06: loadHostKeys() makes three keys once, for their owner only",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const keys = yield* load(dir);
      assert.deepEqual([...keys.keys()], PLAIN);
      for (const name of ["id_ed25519", "id_ecdsa", "id_rsa"]) {
        assert.equal((yield* later(stat(`${dir}/${name}`))).mode & 0o777, 0o600);
        const [type, blob] = (yield* later(readFile(`${dir}/${name}.pub`, "utf8"))).split(" ");
        const algorithm = type === "ssh-rsa" ? "rsa-sha2-512" : type ?? "";
        assert.equal(keys.get(algorithm)?.key.getPublicSSH().toString("base64"), blob);
      }
      const again = yield* load(dir);
      const blob = (loaded: typeof keys) => loaded.get("ssh-ed25519")?.key.getPublicSSH();
      assert.deepEqual(blob(again), blob(keys));
      const names = [...Deno.readDirSync(dir)].map(({ name }) => name);
      assert.equal(names.length, 6, names.join());
    }),
);

live(
  "SSH-06: a key that others can read is refused, naming the file and the fix",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const key = yield* later(generateKey("ed25519", "x"));
      yield* later(writeFile(`${dir}/id_ed25519`, key.privateKey));
      yield* later(chmod(`${dir}/id_ed25519`, 0o640));
      const error = yield* Effect.flip(load(dir, ["id_ed25519"]));
      assert.match(error.message, /id_ed25519: .*mode 640.*chmod 600/);
    }),
);

live(
  "SSH-06: a broken, encrypted or missing key is refused, naming the file",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const key = yield* later(generateKey("ed25519", "x"));
      yield* later(writeFile(`${dir}/broken`, key.privateKey.slice(0, 200), { mode: 0o600 }));
      yield* later(writeFile(`${dir}/public`, key.publicKey, { mode: 0o600 }));
      for (const name of ["broken", "public", "missing"]) {
        const error = yield* Effect.flip(load(dir, [name]));
        assert.ok(error instanceof ConfigError);
        assert.match(error.message, new RegExp(`${name}: `));
      }
      const keygen = new Deno.Command("ssh-keygen", {
        args: ["-q", "-t", "ed25519", "-N", "secret phrase", "-f", `${dir}/encrypted`],
      });
      yield* later(keygen.output());
      assert.match((yield* Effect.flip(load(dir, ["encrypted"]))).message, /remove its passphrase/);
    }),
);

live(
  "generateKey() makes keys that parse and sign, whatever their numbers",
  () =>
    Effect.gen(function* () {
      for (let round = 0; round < 40; round++) {
        for (const kind of ["ed25519", "ecdsa"] as const) {
          const made = yield* later(generateKey(kind, "x"));
          const key = readPrivateKey(made.privateKey);
          assert.ok(!(key instanceof Error), String(key));
          assert.ok(key.sign(new Uint8Array(3)) instanceof Uint8Array);
          assert.equal(made.publicKey.split(" ")[1], key.getPublicSSH().toString("base64"));
        }
      }
    }),
);

live(
  "readPrivateKey() takes what ssh-keygen writes, in both formats",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const kinds = [["ed25519"], ["ecdsa", "384"], ["ecdsa", "521"], ["rsa", "2048"]];
      for (const [type, bits] of kinds) {
        for (const format of type === "ed25519" ? ["RFC4716"] : ["RFC4716", "PEM"]) {
          const file = `${dir}/${type}${bits}${format}`;
          const more = bits ? ["-b", bits] : [];
          const args = ["-q", "-t", type ?? "", ...more, "-m", format, "-N", "", "-f", file];
          yield* later(new Deno.Command("ssh-keygen", { args }).output());
          const key = readPrivateKey(Deno.readTextFileSync(file));
          assert.ok(!(key instanceof Error), `${file}: ${key}`);
          const blob = Deno.readTextFileSync(`${file}.pub`).split(" ")[1];
          assert.equal(key.getPublicSSH().toString("base64"), blob);
        }
      }
    }),
);

live(
  "chooseAlgorithms() names every unknown algorithm and where it was set",
  () =>
    Effect.sync(() => {
      const error = chooseAlgorithms(settings({
        kex_algorithms: ["ecdh-sha2-nistp521", "curve25519-sha256"],
        ciphers: ["aes128-ctr", "rot13"],
        host_key_algorithms: ["ssh-dss"],
      }));
      assert.ok(error instanceof ConfigError);
      assert.deepEqual(error.problems.map(({ where }) => where), [
        "sftpd.kex_algorithms",
        "sftpd.host_key_algorithms",
        "sftpd.ciphers",
      ]);
      assert.match(error.message, /ecdh-sha2-nistp521/);
      assert.match(error.message, /rot13/);
    }),
);

live(
  "SECURITY 3.1 (11, 12, 14): the safe lists leave out what does not work",
  () =>
    Effect.sync(() => {
      const lists = chooseAlgorithms(settings({}));
      assert.ok(!(lists instanceof ConfigError));
      for (const name of lists.kex) assert.doesNotMatch(name, /nistp521|group-exchange|sha1$/);
      for (const name of lists.mac) assert.doesNotMatch(name, /sha1|md5/);
      for (const name of lists.cipher) assert.doesNotMatch(name, /cbc|arcfour|3des/);
      for (const name of lists.publicKey) assert.doesNotMatch(name, /^ssh-rsa|dss/);
    }),
);
