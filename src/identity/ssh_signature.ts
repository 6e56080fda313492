import { Buffer } from "node:buffer";
import { createHash, verify } from "node:crypto";
import { verifyLargeRsa } from "./rsa.ts";
import type { KeyType, PublicKey } from "./ssh_key.ts";
import { WireReader } from "./wire.ts";

interface Rule {
  readonly type: KeyType;
  readonly hash: "sha256" | "sha384" | "sha512" | undefined;
}

/** Signature algorithms that may log in. SHA-1 `ssh-rsa` and `ssh-dss` are not among them. */
const rules: Readonly<Record<string, Rule>> = {
  "ssh-ed25519": { type: "ssh-ed25519", hash: undefined },
  "ecdsa-sha2-nistp256": { type: "ecdsa-sha2-nistp256", hash: "sha256" },
  "ecdsa-sha2-nistp384": { type: "ecdsa-sha2-nistp384", hash: "sha384" },
  "ecdsa-sha2-nistp521": { type: "ecdsa-sha2-nistp521", hash: "sha512" },
  "rsa-sha2-256": { type: "ssh-rsa", hash: "sha256" },
  "rsa-sha2-512": { type: "ssh-rsa", hash: "sha512" },
  "sk-ssh-ed25519@openssh.com": { type: "sk-ssh-ed25519@openssh.com", hash: undefined },
  "sk-ecdsa-sha2-nistp256@openssh.com": {
    type: "sk-ecdsa-sha2-nistp256@openssh.com",
    hash: "sha256",
  },
};

/** Flags of a security key's signature (PROTOCOL.u2f). */
const userPresent = 0x01;
const userVerified = 0x04;

const certificateSuffix = "-cert-v01@openssh.com";

/** Whether `algorithm` asks to log in with a certificate. */
export const isCertificate = (algorithm: string): boolean => algorithm.endsWith(certificateSuffix);

/** The signature algorithm behind a certificate's; other names are answered as they are. */
export const baseAlgorithm = (algorithm: string): string => {
  if (!isCertificate(algorithm)) return algorithm;
  const base = algorithm.slice(0, -certificateSuffix.length);
  return base.startsWith("sk-") ? `${base}@openssh.com` : base;
};

/** The key type that signs with `algorithm`; undefined when the algorithm may not log in. */
export const keyTypeOf = (algorithm: string): KeyType | undefined =>
  Object.hasOwn(rules, algorithm) ? rules[algorithm]?.type : undefined;

/**
 * Whether `signature` (the blob of RFC 4253 section 6.6 and RFC 8332) over
 * `signed` was made by `key` with exactly `algorithm`, a plain name.
 *
 * Anything odd is false: another algorithm inside, bytes missing or left over,
 * a security key that nobody touched, an exception of the crypto library.
 */
export const verifySignature = (
  key: PublicKey,
  algorithm: string,
  signature: Uint8Array,
  signed: Uint8Array,
  options: { readonly userVerified: boolean } = { userVerified: false },
): boolean => {
  try {
    const rule = Object.hasOwn(rules, algorithm) ? rules[algorithm] : undefined;
    if (!rule || rule.type !== key.type) return false;
    const read = new WireReader(signature);
    if (read.text() !== algorithm) return false;
    const raw = read.string();
    if (!raw || raw.length === 0) return false;
    if (!key.type.startsWith("sk-")) {
      return read.done && verifyRaw(key, rule, raw, signed) === true;
    }
    const flags = read.byte();
    const counter = read.uint32();
    if (!read.done || flags === undefined || counter === undefined) return false;
    const needed = userPresent | (options.userVerified ? userVerified : 0);
    // Keys made for web pages name a domain here; OpenSSH's begin with "ssh:".
    if ((flags & needed) !== needed || !key.application?.startsWith("ssh:")) return false;
    return verifyRaw(key, rule, raw, securityKeyMessage(key, flags, counter, signed)) === true;
  } catch {
    return false;
  }
};

/** What a security key signs: hash of application, flags, counter, hash of the message. */
const securityKeyMessage = (
  key: PublicKey,
  flags: number,
  counter: number,
  signed: Uint8Array,
): Uint8Array => {
  const middle = Buffer.alloc(5);
  middle.writeUInt8(flags, 0);
  middle.writeUInt32BE(counter, 1);
  const hash = (data: string | Uint8Array) => createHash("sha256").update(data).digest();
  return Buffer.concat([hash(key.application ?? ""), middle, hash(signed)]);
};

const verifyRaw = (
  key: PublicKey,
  { hash }: Rule,
  raw: Uint8Array,
  signed: Uint8Array,
): boolean => {
  if (hash === undefined) {
    return key.key !== undefined && raw.length === 64 &&
      verify(null, signed, key.key, raw) === true;
  }
  if (key.rsa) {
    if (raw.length > key.rsa.length || hash === "sha384") return false;
    // Some clients drop leading zeros.
    const full = new Uint8Array(key.rsa.length);
    full.set(raw, key.rsa.length - raw.length);
    return key.key
      ? verify(hash, signed, key.key, full) === true
      : verifyLargeRsa(key.rsa, hash, signed, full);
  }
  const der = ecdsaToDer(raw);
  return key.key !== undefined && der !== undefined &&
    verify(hash, signed, key.key, der) === true;
};

/** From two mpints (RFC 5656 section 3.1.2) to the DER that the crypto library reads. */
const ecdsaToDer = (raw: Uint8Array): Uint8Array | undefined => {
  const read = new WireReader(raw);
  const r = read.positive();
  const s = read.positive();
  if (!r || !s || !read.done || r.length > 66 || s.length > 66) return undefined;
  const body = Buffer.concat([derInteger(r), derInteger(s)]);
  const head = body.length < 0x80 ? [0x30, body.length] : [0x30, 0x81, body.length];
  return Buffer.concat([Buffer.from(head), body]);
};

const derInteger = (magnitude: Uint8Array): Uint8Array => {
  const sign = magnitude[0]! >= 0x80 ? [0] : [];
  return Buffer.from([2, magnitude.length + sign.length, ...sign, ...magnitude]);
};
