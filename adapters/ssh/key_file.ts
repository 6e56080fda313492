import { Buffer } from "node:buffer";
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
  sign,
} from "node:crypto";
import { promisify } from "node:util";
import type { HostKey } from "./patches.ts";
import { Fields } from "./wire.ts";

export type KeyKind = "rsa" | "ecdsa" | "ed25519";

/** A new key pair in OpenSSH's file formats. */
export interface KeyFiles {
  readonly privateKey: string;
  readonly publicKey: string;
}

const generate = promisify(generateKeyPair) as (
  type: string,
  options: object,
) => Promise<{ publicKey: KeyObject; privateKey: KeyObject }>;

/** Makes a host key: RSA 3072, ECDSA P-256 or Ed25519. Takes up to some seconds for RSA. */
export const generateKey = async (kind: KeyKind, comment: string): Promise<KeyFiles> => {
  const options = kind === "rsa" ? { modulusLength: 3072 } : { namedCurve: "P-256" };
  const pair = await generate(kind === "ecdsa" ? "ec" : kind, options);
  const jwk = pair.privateKey.export({ format: "jwk" });
  const part = (name: "n" | "e" | "d" | "p" | "q" | "qi" | "x" | "y") =>
    Buffer.from(jwk[name] ?? "", "base64url");
  let type: string, open: Buffer[], secret: Buffer[];
  if (kind === "ed25519") {
    type = "ssh-ed25519";
    open = [string(part("x"))];
    secret = [string(part("x")), string(Buffer.concat([part("d"), part("x")]))];
  } else if (kind === "ecdsa") {
    type = "ecdsa-sha2-nistp256";
    const point = Buffer.concat([Buffer.from([4]), pad(part("x"), 32), pad(part("y"), 32)]);
    open = [string("nistp256"), string(point)];
    secret = [...open, mpint(part("d"))];
  } else {
    type = "ssh-rsa";
    open = [mpint(part("e")), mpint(part("n"))];
    secret = ["n", "e", "d", "qi", "p", "q"].map((name) => mpint(part(name as "n")));
  }
  const blob = Buffer.concat([string(type), ...open]);
  return {
    privateKey: armour(blob, Buffer.concat([string(type), ...secret, string(comment)])),
    publicKey: `${type} ${blob.toString("base64")} ${comment}\n`,
  };
};

/**
 * Parses a private key file, in OpenSSH's format or PEM. An Error says what is wrong with it.
 *
 * Not ssh2's parser: under Deno its ECDSA keys cannot sign when the secret number has its top bit set.
 */
export const readPrivateKey = (text: string): HostKey | Error => {
  try {
    const match = ARMOUR.exec(text);
    const key = match?.[1]
      ? createPrivateKey({ key: unarmour(Buffer.from(match[1], "base64")), format: "jwk" })
      : createPrivateKey(text);
    const host = hostKey(key);
    const proof = host.sign(PROBE);
    return proof instanceof Error ? proof : host;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
};

const ARMOUR =
  /^\s*-----BEGIN OPENSSH PRIVATE KEY-----\s([A-Za-z0-9+/=\s]+)-----END OPENSSH PRIVATE KEY-----\s*$/;
const PROBE = Buffer.from("sluice host key probe");
/** Bytes of a coordinate, by SSH's name of the curve. */
const CURVES: Record<string, { name: string; crv: string; size: number; hash: string }> = {
  "P-256": { name: "nistp256", crv: "P-256", size: 32, hash: "sha256" },
  "P-384": { name: "nistp384", crv: "P-384", size: 48, hash: "sha384" },
  "P-521": { name: "nistp521", crv: "P-521", size: 66, hash: "sha512" },
};

const hostKey = (key: KeyObject): HostKey => {
  const jwk = createPublicKey(key as never).export({ format: "jwk" });
  const part = (text: string | undefined) => Buffer.from(text ?? "", "base64url");
  const made = (type: string, hash: string | null, ...open: Buffer[]): HostKey => {
    const blob = Buffer.concat([string(type), ...open]);
    return {
      type,
      getPublicSSH: () => blob,
      sign: (data, wanted) => {
        try {
          return sign(wanted ?? hash, data, key);
        } catch (error) {
          return error instanceof Error ? error : new Error(String(error));
        }
      },
    };
  };
  const curve = CURVES[jwk.crv ?? ""];
  if (jwk.kty === "OKP" && jwk.crv === "Ed25519") {
    return made("ssh-ed25519", null, string(part(jwk.x)));
  }
  if (jwk.kty === "EC" && curve) {
    const { name, size, hash } = curve;
    const point = [Buffer.from([4]), pad(part(jwk.x), size), pad(part(jwk.y), size)];
    return made(`ecdsa-sha2-${name}`, hash, string(name), string(Buffer.concat(point)));
  }
  if (jwk.kty === "RSA") {
    if (part(jwk.n).length < 256) throw new Error("RSA keys need at least 2048 bits");
    return made("ssh-rsa", "sha512", mpint(part(jwk.e)), mpint(part(jwk.n)));
  }
  throw new Error(`its type ${jwk.kty} ${jwk.crv ?? ""} is not supported`);
};

/** The first key of an OpenSSH private key file, as a JSON web key. */
const unarmour = (body: Buffer): JsonWebKey => {
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error("its content is damaged");
  const outer = new Fields(body, MAGIC.length);
  if (outer.text() !== "none") throw new Error("it is encrypted; remove its passphrase");
  outer.string();
  outer.string();
  outer.uint32();
  outer.string();
  const secret = new Fields(outer.string());
  if (secret.uint32() !== secret.uint32()) throw new Error("its content is damaged");
  const type = secret.text();
  const next = () => secret.string();
  const text = (bytes: Buffer) => bytes.toString("base64url");
  if (type === "ssh-ed25519") {
    const open = next();
    return { kty: "OKP", crv: "Ed25519", x: text(open), d: text(next().subarray(0, 32)) };
  }
  if (type === "ssh-rsa") {
    const [n, e, d, qi, p, q] = [next(), next(), next(), next(), next(), next()].map(plain);
    if (!n || !e || !d || !qi || !p || !q) throw new Error("its content is damaged");
    const number = (bytes: Buffer) => BigInt(`0x${bytes.toString("hex")}`);
    const reduced = (prime: Buffer) => {
      const digits = (number(d) % (number(prime) - 1n)).toString(16);
      return text(Buffer.from(digits.padStart(digits.length + digits.length % 2, "0"), "hex"));
    };
    const primes = { p: text(p), q: text(q), dp: reduced(p), dq: reduced(q), qi: text(qi) };
    return { kty: "RSA", n: text(n), e: text(e), d: text(d), ...primes };
  }
  const curve = Object.values(CURVES).find(({ name }) => type === `ecdsa-sha2-${name}`);
  if (!curve) throw new Error(`its type ${type} is not supported`);
  next();
  const point = next();
  return {
    kty: "EC",
    crv: curve.crv,
    x: text(point.subarray(1, 1 + curve.size)),
    y: text(point.subarray(1 + curve.size)),
    d: text(pad(plain(next()), curve.size)),
  };
};

const MAGIC = Buffer.from("openssh-key-v1\0");

/** A number without the zero byte that may lead it. */
const plain = (bytes: Buffer): Buffer => bytes[0] === 0 ? bytes.subarray(1) : bytes;

/** PROTOCOL.key of OpenSSH: the private section, unencrypted, between its armour. */
const armour = (blob: Buffer, secret: Buffer): string => {
  const check = randomBytes(4);
  let section = Buffer.concat([check, check, secret]);
  const padding = (8 - section.length % 8) % 8;
  section = Buffer.concat([section, Buffer.from([1, 2, 3, 4, 5, 6, 7].slice(0, padding))]);
  const count = Buffer.from([0, 0, 0, 1]);
  const body = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    string("none"),
    string("none"),
    string(""),
    count,
    string(blob),
    string(section),
  ]);
  const lines = body.toString("base64").replace(/.{70}/g, "$&\n").trimEnd();
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`;
};

const string = (value: string | Uint8Array): Buffer => {
  const bytes = typeof value === "string" ? Buffer.from(value) : Buffer.from(value);
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(bytes.length, 0);
  return Buffer.concat([length, bytes]);
};

/** RFC 4251 section 5: no leading zero bytes, but one where the top bit is set. */
const mpint = (bytes: Buffer): Buffer => {
  let from = 0;
  while (from < bytes.length && bytes[from] === 0) from++;
  const rest = bytes.subarray(from);
  const negative = rest.length > 0 && ((rest[0] ?? 0) & 0x80) !== 0;
  return string(negative ? Buffer.concat([Buffer.from([0]), rest]) : rest);
};

const pad = (bytes: Buffer, length: number): Buffer =>
  Buffer.concat([Buffer.alloc(Math.max(0, length - bytes.length)), bytes]);
