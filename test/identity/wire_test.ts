import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { generateKeyPairSync } from "node:crypto";
import { Either } from "effect";
import fc from "fast-check";
import { parseCertificate } from "../../src/identity/ssh_certificate.ts";
import { parsePublicKey, parsePublicKeyLine } from "../../src/identity/ssh_key.ts";
import { verifySignature } from "../../src/identity/ssh_signature.ts";
import { WireReader } from "../../src/identity/wire.ts";
import { mpint, wireString } from "./fixtures.ts";

const { n } = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({
  format: "jwk",
});
const modulus = Buffer.from(n!, "base64url");
const rsaBlob = (e: Uint8Array, m: Uint8Array) =>
  Buffer.concat([wireString("ssh-rsa"), wireString(e), m]);
const exponent = Buffer.from([1, 0, 1]);
const good = rsaBlob(exponent, mpint(modulus));
const key = Either.getOrThrow(parsePublicKey(good));

Deno.test("parsers of SSH bytes answer, and never throw, whatever they get", () => {
  const anyBytes = fc.uint8Array({ maxLength: 400 });
  const mutated = fc.tuple(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length)).map(
    ([at, value, end]) => {
      const copy = Uint8Array.from(good);
      copy[at] = value;
      return copy.subarray(0, end);
    },
  );
  const typed = fc.tuple(
    fc.constantFrom(
      "ssh-ed25519",
      "ecdsa-sha2-nistp521",
      "sk-ecdsa-sha2-nistp256@openssh.com",
      "ssh-ed25519-cert-v01@openssh.com",
      "ssh-rsa-cert-v01@openssh.com",
      "__proto__",
      "constructor-cert-v01@openssh.com",
    ),
    fc.array(anyBytes, { maxLength: 14 }),
  ).map(([type, parts]) =>
    Buffer.concat([wireString(type), ...parts.map((part) => wireString(part))])
  );
  fc.assert(
    fc.property(fc.oneof(anyBytes, mutated, typed), (bytes) => {
      parsePublicKey(bytes);
      assert.ok(Either.isLeft(parseCertificate(bytes, () => true)));
      for (const name of ["rsa-sha2-256", "ssh-ed25519", "toString"]) {
        assert.equal(verifySignature(key, name, bytes, bytes), false);
      }
      parsePublicKeyLine(Buffer.from(bytes).toString());
      assert.ok(
        Either.isLeft(parsePublicKeyLine(`ssh-ed25519 ${Buffer.from(bytes).toString("base64")}x`)),
      );
    }),
    { numRuns: 2000 },
  );
});

Deno.test("WireReader stays broken after a short read and reads nothing past the end", () => {
  const read = new WireReader(Buffer.from([0, 0, 0, 9, 1, 2, 3]));
  assert.equal(read.string(), undefined);
  assert.equal(read.byte(), undefined);
  assert.equal(read.done, false);
  assert.equal(new WireReader(Buffer.from([255, 255, 255, 255])).string(), undefined);
  assert.equal(new WireReader(wireString(Buffer.from([0xff, 0xfe]))).text(), undefined);
  assert.equal(new WireReader(wireString(Buffer.from([0x80]))).positive(), undefined);
  assert.equal(new WireReader(wireString(Buffer.from([0, 0]))).positive(), undefined);
});

Deno.test("parsePublicKey() refuses RSA numbers that make forging easy, and absurd sizes", () => {
  const refused = (e: Uint8Array, m: Uint8Array) => {
    const parsed = parsePublicKey(rsaBlob(e, m));
    return Either.isLeft(parsed) ? parsed.left : "accepted";
  };
  assert.match(refused(Buffer.from([1]), mpint(modulus)), /unsafe/);
  assert.match(refused(Buffer.from([2]), mpint(modulus)), /unsafe/);
  assert.match(refused(Buffer.alloc(5, 1), mpint(modulus)), /unsafe/);
  const even = Buffer.from(modulus);
  even[even.length - 1]! &= 0xfe;
  assert.match(refused(exponent, mpint(even)), /unsafe/);
  assert.match(refused(exponent, mpint(Buffer.alloc(2049, 0x7f))), /at most 16384/);
  assert.match(refused(exponent, mpint(modulus.subarray(1))), /at least 2048/);
  assert.match(refused(exponent, wireString(Buffer.alloc(300))), /cut short/);
});
