import { Buffer } from "node:buffer";
import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import { Either } from "effect";
import { WireReader } from "./wire.ts";

/** Least and most RSA modulus, in bits. More costs the server time with every signature. */
const rsaBits = { least: 2048, most: 16384 } as const;

/** Deno 2.9 loads no RSA key beyond this. */
const nativeRsaBytes = 4096 / 8;

const curves = {
  "ecdsa-sha2-nistp256": { name: "nistp256", jwk: "P-256", size: 32 },
  "ecdsa-sha2-nistp384": { name: "nistp384", jwk: "P-384", size: 48 },
  "ecdsa-sha2-nistp521": { name: "nistp521", jwk: "P-521", size: 66 },
  "sk-ecdsa-sha2-nistp256@openssh.com": { name: "nistp256", jwk: "P-256", size: 32 },
} as const;

/** Key types that may log in, as the blob names them. */
export type KeyType =
  | keyof typeof curves
  | "ssh-ed25519"
  | "sk-ssh-ed25519@openssh.com"
  | "ssh-rsa";

/** An RSA public key as numbers, and its length in bytes. */
export interface RsaNumbers {
  readonly modulus: bigint;
  readonly exponent: bigint;
  readonly length: number;
}

/** A public key that passed every check but the signature. */
export interface PublicKey {
  readonly type: KeyType;
  readonly blob: Uint8Array;
  /** Absent for RSA keys over 4096 bits, which the runtime cannot load. */
  readonly key?: KeyObject;
  /** RSA keys only. */
  readonly rsa?: RsaNumbers;
  /** Security keys only: the application the key was made for. */
  readonly application?: string;
}

/** A key as `authorized_keys` files hold it. */
export interface KeyLine {
  readonly algorithm: string;
  readonly blob: Uint8Array;
  readonly comment: string;
}

/**
 * Parses one line of OpenSSH `authorized_keys` style, without options.
 *
 * Refuses DSA, RSA under 2048 bits, certificates and anything that is not a
 * well-formed key (BEHAVIOUR AUTH-07); the message says what is wrong.
 */
export const parsePublicKeyLine = (line: string): Either.Either<KeyLine, string> => {
  const text = line.trim();
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x08\x0a-\x1f\x7f]/.test(text)) {
    return Either.left("a key is one line without control characters");
  }
  if (text.startsWith("-----BEGIN")) {
    return Either.left("this is a PEM file; give the line of the .pub file");
  }
  const [algorithm = "", encoded = "", ...words] = text.split(/[ \t]+/);
  if (algorithm === "") return Either.left("the key is empty");
  if (!/^[a-z0-9@.-]+$/.test(algorithm) || encoded === "") {
    return Either.left("expected `algorithm base64 comment`, without options in front");
  }
  const refused = refusal(algorithm);
  if (refused) return Either.left(refused);
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded) || encoded.length % 4 !== 0) {
    return Either.left("the key is not valid base64");
  }
  const blob = new Uint8Array(Buffer.from(encoded, "base64"));
  return Either.flatMap(
    parsePublicKey(blob),
    (key) =>
      key.type === algorithm
        ? Either.right({ algorithm, blob, comment: words.join(" ") })
        : Either.left(`the line says ${algorithm}, the key itself says ${key.type}`),
  );
};

/** Parses a public key blob (RFC 4253 section 6.6, RFC 5656, RFC 8709, PROTOCOL.u2f). */
export const parsePublicKey = (blob: Uint8Array): Either.Either<PublicKey, string> => {
  const read = new WireReader(blob);
  const type = read.text();
  if (type === undefined) return Either.left("the key is cut short");
  const refused = refusal(type);
  if (refused) return Either.left(refused);
  const parsed = type === "ssh-rsa"
    ? readRsa(read)
    : type === "ssh-ed25519" || type === "sk-ssh-ed25519@openssh.com"
    ? readEd25519(read)
    : readEcdsa(read, curves[type as keyof typeof curves]);
  if (Either.isLeft(parsed)) return Either.left(parsed.left);
  const application = type.startsWith("sk-") ? read.text() : undefined;
  if (!read.done) return Either.left("the key is cut short or has bytes left over");
  const { jwk, rsa } = parsed.right;
  const key = rsa && rsa.length > nativeRsaBytes ? undefined : toKeyObject(jwk);
  if (!key && !(rsa && rsa.length > nativeRsaBytes)) {
    return Either.left("the key is not a valid key of its type");
  }
  return Either.right({
    type: type as KeyType,
    blob,
    ...(key ? { key } : {}),
    ...(rsa ? { rsa } : {}),
    ...(application === undefined ? {} : { application }),
  });
};

/** The fingerprint as OpenSSH prints it: `SHA256:` and base64 without padding. */
export const fingerprint = (blob: Uint8Array): string =>
  `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;

/** Compares key blobs, which are public, so plainly. */
export const sameBytes = (one: Uint8Array, other: Uint8Array): boolean =>
  Buffer.compare(one, other) === 0;

const supported: ReadonlySet<string> = new Set([
  ...Object.keys(curves),
  "ssh-ed25519",
  "sk-ssh-ed25519@openssh.com",
  "ssh-rsa",
]);

const refusal = (type: string): string | undefined => {
  if (supported.has(type)) return undefined;
  if (type === "ssh-dss") return "DSA keys are too weak; use ed25519";
  if (type.includes("-cert-v0")) return "this is a certificate; give the plain public key";
  return `key type ${JSON.stringify(type)} is not supported`;
};

interface Material {
  readonly jwk: JsonWebKey;
  readonly rsa?: RsaNumbers;
}

const readRsa = (read: WireReader): Either.Either<Material, string> => {
  const exponent = read.positive();
  const modulus = read.positive();
  if (!exponent || !modulus) return Either.left("the key is cut short");
  const bits = modulus.length * 8 - Math.clz32(modulus[0]!) + 24;
  if (bits < rsaBits.least) {
    return Either.left(`RSA keys need at least ${rsaBits.least} bits, this one has ${bits}`);
  }
  if (bits > rsaBits.most) {
    return Either.left(`RSA keys may have at most ${rsaBits.most} bits, this one has ${bits}`);
  }
  // Even exponents or moduli and e = 1 make forged signatures easy.
  const odd = (exponent.at(-1)! & 1) === 1 && (modulus.at(-1)! & 1) === 1;
  if (!odd || exponent.length > 4 || (exponent.length === 1 && exponent[0]! < 3)) {
    return Either.left("the RSA key has an unsafe exponent or modulus");
  }
  const jwk = { kty: "RSA", n: base64url(modulus), e: base64url(exponent) };
  const rsa = { modulus: toBigInt(modulus), exponent: toBigInt(exponent), length: modulus.length };
  return Either.right({ jwk, rsa });
};

const readEd25519 = (read: WireReader): Either.Either<Material, string> => {
  const point = read.string();
  if (point?.length !== 32) return Either.left("an ed25519 key has 32 bytes");
  return Either.right({
    jwk: { kty: "OKP", crv: "Ed25519", x: base64url(point) },
  });
};

const readEcdsa = (
  read: WireReader,
  curve: (typeof curves)[keyof typeof curves],
): Either.Either<Material, string> => {
  const name = read.text();
  const point = read.string();
  if (name !== curve.name) return Either.left("the key names another curve than its type");
  // 0x04: the only form OpenSSH writes, uncompressed (SEC 1 section 2.3.3).
  if (point?.length !== 1 + 2 * curve.size || point[0] !== 4) {
    return Either.left("the elliptic curve point is malformed");
  }
  return Either.right({
    jwk: {
      kty: "EC",
      crv: curve.jwk,
      x: base64url(point.subarray(1, 1 + curve.size)),
      y: base64url(point.subarray(1 + curve.size)),
    },
  });
};

/** The runtime checks points and numbers here; it throws where they are wrong. */
const toKeyObject = (jwk: JsonWebKey): KeyObject | undefined => {
  try {
    return createPublicKey({ key: jwk as Record<string, string>, format: "jwk" });
  } catch {
    return undefined;
  }
};

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url");

const toBigInt = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
