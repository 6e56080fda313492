import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from "node:crypto";
import { Effect, Either } from "effect";
import { parsePublicKey, parsePublicKeyLine, type PublicKey } from "../../src/identity/ssh_key.ts";
import { baseAlgorithm, verifySignature } from "../../src/identity/ssh_signature.ts";
import { live, tempDir } from "../harness.ts";
import { blobOf, keygen, mpint, wireString } from "./fixtures.ts";

const message = Buffer.from("session identifier and request");

/** What OpenSSH itself signs: the bytes under an SSHSIG and the signature blob in it. */
const opensshSignature = async (dir: string, key: string) => {
  const file = `${dir}/message`;
  await Deno.writeFile(file, message);
  await Deno.remove(`${file}.sig`).catch(() => undefined);
  await keygen("-Y", "sign", "-f", key, "-n", "test", file);
  const armor = await Deno.readTextFile(`${file}.sig`);
  const raw = Buffer.from(
    armor.split("\n").filter((l) => !l.startsWith("-----")).join(""),
    "base64",
  );
  let at = 10; // magic and version
  const next = () => {
    const length = raw.readUInt32BE(at);
    at += 4 + length;
    return raw.subarray(at - length, at);
  };
  next(); // public key
  const [namespace, reserved, hash, signature] = [next(), next(), next(), next()];
  const digest = createHash(hash.toString()).update(message).digest();
  const signed = Buffer.concat([
    Buffer.from("SSHSIG"),
    ...[namespace, reserved, hash, digest].map((part) => wireString(part)),
  ]);
  return { signed, signature };
};

const right = <A>(either: Either.Either<A, string>): A => Either.getOrThrowWith(either, Error);

const kinds: ReadonlyArray<readonly [string, string, string]> = [
  ["ed25519", "", "ssh-ed25519"],
  ["ecdsa", "256", "ecdsa-sha2-nistp256"],
  ["ecdsa", "384", "ecdsa-sha2-nistp384"],
  ["ecdsa", "521", "ecdsa-sha2-nistp521"],
  ["rsa", "2048", "rsa-sha2-512"],
];

/** Every change that must turn a right signature into a wrong one. */
const refusals = (key: PublicKey, algorithm: string, signature: Buffer, signed: Buffer): void => {
  const no = (what: string, sig: Uint8Array, data: Uint8Array = signed, name = algorithm) =>
    assert.equal(verifySignature(key, name, sig, data), false, `${algorithm}: ${what}`);
  no("other data", signature, Buffer.concat([signed, Buffer.from("x")]));
  no("empty signature", Buffer.alloc(0));
  no("truncated", signature.subarray(0, -1));
  no("cut in the middle", signature.subarray(0, signature.length >> 1));
  no("bytes left over", Buffer.concat([signature, Buffer.from([0])]));
  no("garbage", Buffer.from("garbage"));
  no("empty inner signature", Buffer.concat([wireString(algorithm), wireString("")]));
  const flipped = Buffer.from(signature);
  flipped[flipped.length - 7]! ^= 1;
  no("one bit flipped", flipped);
  for (
    const other of ["ssh-rsa", "ssh-dss", "ssh-ed25519", "rsa-sha2-256", "none", "constructor"]
  ) {
    if (other !== algorithm) no(`asked as ${other}`, signature, signed, other);
  }
};

for (const [type, bits, algorithm] of kinds) {
  live(
    `verifySignature() takes OpenSSH's ${algorithm} ${bits} and nothing near it`,
    () =>
      Effect.gen(function* () {
        const dir = yield* tempDir;
        yield* Effect.promise(async () => {
          const path = `${dir}/key`;
          await keygen("-t", type, ...(bits ? ["-b", bits] : []), "-N", "", "-C", "", "-f", path);
          const key = right(parsePublicKey(blobOf(await Deno.readTextFile(`${path}.pub`))));
          // Several times: lengths of ECDSA numbers and leading zeros vary.
          for (let round = 0; round < (type === "ecdsa" ? 6 : 1); round += 1) {
            const { signed, signature } = await opensshSignature(dir, path);
            assert.equal(verifySignature(key, algorithm, signature, signed), true);
            refusals(key, algorithm, signature, signed);
          }
          const { signed, signature } = await opensshSignature(dir, path);
          const stranger = generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" });
          const other = right(parsePublicKey(
            Buffer.concat([
              wireString("ssh-ed25519"),
              wireString(Buffer.from(stranger.x!, "base64url")),
            ]),
          ));
          assert.equal(verifySignature(other, algorithm, signature, signed), false);
        });
      }),
  );
}

live(
  "SECURITY 6.13: verifySignature() refuses SHA-1 and takes rsa-sha2-256, also beyond 4096 bits",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      yield* Effect.promise(async () => {
        for (const bits of ["2048", "4608"]) {
          const path = `${dir}/rsa${bits}`;
          await keygen("-t", "rsa", "-b", bits, "-m", "PEM", "-N", "", "-C", "", "-f", path);
          const key = right(parsePublicKey(blobOf(await Deno.readTextFile(`${path}.pub`))));
          const { signed, signature } = await opensshSignature(dir, path);
          assert.equal(verifySignature(key, "rsa-sha2-512", signature, signed), true);
          refusals(key, "rsa-sha2-512", signature, signed);
          if (bits !== "2048") continue;
          const secret = createPrivateKey(await Deno.readTextFile(path));
          const made = (name: string, hash: string) =>
            Buffer.concat([wireString(name), wireString(sign(hash, message, secret))]);
          assert.equal(
            verifySignature(key, "rsa-sha2-256", made("rsa-sha2-256", "sha256"), message),
            true,
          );
          assert.equal(verifySignature(key, "ssh-rsa", made("ssh-rsa", "sha1"), message), false);
          assert.equal(
            verifySignature(key, "rsa-sha2-256", made("ssh-rsa", "sha1"), message),
            false,
          );
          assert.equal(
            verifySignature(key, "rsa-sha2-256", made("rsa-sha2-256", "sha1"), message),
            false,
          );
          assert.equal(
            verifySignature(key, "rsa-sha2-512", made("rsa-sha2-256", "sha256"), message),
            false,
          );
        }
      });
    }),
);

const present = 0x01;
const hash = (data: string | Uint8Array) => createHash("sha256").update(data).digest();

/** A security key in software (PROTOCOL.u2f). */
const securityKey = (type: "ed25519" | "ecdsa", application = "ssh:") => {
  const pair = type === "ed25519"
    ? generateKeyPairSync("ed25519")
    : generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = pair.publicKey.export({ format: "jwk" });
  const name = type === "ed25519"
    ? "sk-ssh-ed25519@openssh.com"
    : "sk-ecdsa-sha2-nistp256@openssh.com";
  const point = (part: string | undefined) => Buffer.from(part!, "base64url");
  const material = type === "ed25519" ? [wireString(point(jwk.x))] : [
    wireString("nistp256"),
    wireString(Buffer.concat([Buffer.from([4]), point(jwk.x), point(jwk.y)])),
  ];
  const blob = Buffer.concat([wireString(name), ...material, wireString(application)]);
  const signed = (flags: number, secret: KeyObject = pair.privateKey, app = application) => {
    const middle = Buffer.from([flags, 0, 0, 0, 7]);
    const data = Buffer.concat([hash(app), middle, hash(message)]);
    const raw = type === "ed25519"
      ? sign(null, data, secret)
      : ecdsaWire(sign("sha256", data, secret));
    return Buffer.concat([wireString(name), wireString(raw), middle]);
  };
  return { name, blob, signed };
};

/** From DER to two mpints. */
const ecdsaWire = (der: Buffer): Buffer => {
  const r = der.subarray(4, 4 + der[3]!);
  const s = der.subarray(4 + r.length + 2);
  return Buffer.concat([mpint(r), mpint(s)]);
};

for (const type of ["ed25519", "ecdsa"] as const) {
  Deno.test(`verifySignature() takes a touched ${type} security key only`, () => {
    const { name, blob, signed } = securityKey(type);
    const key = right(parsePublicKey(blob));
    assert.equal(verifySignature(key, name, signed(present), message), true);
    refusals(key, name, signed(present), message);
    assert.equal(verifySignature(key, name, signed(0), message), false, "nobody touched it");
    const forged = signed(0);
    forged[forged.length - 5] = present;
    assert.equal(verifySignature(key, name, forged, message), false, "flag changed afterwards");
    const replayed = signed(present);
    replayed[replayed.length - 1]! ^= 1;
    assert.equal(verifySignature(key, name, replayed, message), false, "counter changed");
    const wanted = { userVerified: true };
    assert.equal(verifySignature(key, name, signed(present), message, wanted), false);
    assert.equal(verifySignature(key, name, signed(present | 4), message, wanted), true);
    const plain = name.startsWith("sk-ssh") ? "ssh-ed25519" : "ecdsa-sha2-nistp256";
    assert.equal(verifySignature(key, plain, signed(present), message), false);
    const web = securityKey(type, "example.com");
    const webKey = right(parsePublicKey(web.blob));
    assert.equal(verifySignature(webKey, name, web.signed(present), message), false);
  });
}

Deno.test("baseAlgorithm() names what a certificate's key signs with", () => {
  const pairs = {
    "ssh-ed25519-cert-v01@openssh.com": "ssh-ed25519",
    "rsa-sha2-512-cert-v01@openssh.com": "rsa-sha2-512",
    "sk-ssh-ed25519-cert-v01@openssh.com": "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com": "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-256": "rsa-sha2-256",
  };
  for (const [name, base] of Object.entries(pairs)) assert.equal(baseAlgorithm(name), base);
});

live(
  "AUTH-07: parsePublicKeyLine() takes what ssh-keygen writes, and refuses weak keys",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      yield* Effect.promise(async () => {
        await keygen("-t", "ed25519", "-N", "", "-C", "alice at home", "-f", `${dir}/good`);
        const line = await Deno.readTextFile(`${dir}/good.pub`);
        const parsed = right(parsePublicKeyLine(line));
        assert.equal(parsed.algorithm, "ssh-ed25519");
        assert.equal(parsed.comment, "alice at home");
        assert.deepEqual(Buffer.from(parsed.blob), Buffer.from(blobOf(line)));
        const refused = (text: string) =>
          Either.match(parsePublicKeyLine(text), {
            onLeft: (why) => why,
            onRight: () => "accepted",
          });
        await keygen("-t", "rsa", "-b", "1024", "-N", "", "-f", `${dir}/weak`);
        assert.match(
          refused(await Deno.readTextFile(`${dir}/weak.pub`)),
          /at least 2048 bits.*1024/,
        );
        await keygen("-t", "dsa", "-N", "", "-f", `${dir}/dsa`).catch(() => undefined);
        assert.match(refused("ssh-dss AAAAB3NzaC1kc3MAAACBAA=="), /DSA/);
        const [type, base64] = line.split(" ");
        assert.match(refused(""), /empty/);
        assert.match(refused("ssh-ed25519"), /expected/);
        assert.match(refused(`restrict,command="ls" ${line}`), /options/);
        assert.match(refused(`${type} ${base64!.slice(0, -4)}`), /32 bytes|cut short/);
        assert.match(refused(`${type} not*base64`), /base64/);
        assert.match(refused(`ecdsa-sha2-nistp256 ${base64}`), /the key itself says ssh-ed25519/);
        assert.match(refused(await Deno.readTextFile(`${dir}/good`)), /one line|PEM/);
        assert.match(refused(`${type} ${base64} a\u0000b`), /control/);
        assert.match(refused(`ssh-ed25519-cert-v01@openssh.com ${base64}`), /certificate/);
        const off = Buffer.concat([
          wireString("ecdsa-sha2-nistp256"),
          wireString("nistp256"),
          wireString(Buffer.concat([Buffer.from([4]), Buffer.alloc(64, 1)])),
        ]);
        assert.match(refused(`ecdsa-sha2-nistp256 ${off.toString("base64")}`), /not a valid key/);
      });
    }),
);
