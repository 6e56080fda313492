import { Buffer } from "node:buffer";
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";

/** A certificate and its private key, as PEM text. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

const years = 10;

/**
 * Makes an ECDSA P-256 key and a certificate for `localhost` that it signs itself
 * (RFC 5280): for a first start, until the operator brings a real one.
 *
 * @param now Unix milliseconds; valid from the day before, for ten years.
 */
export const makeSelfSigned = (now: number): KeyPair => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const name = sequence(set(sequence(oid(commonName), tlv(0x0c, Buffer.from("sluice")))));
  const from = new Date(now - 24 * 3600 * 1000);
  const until = new Date(from);
  until.setUTCFullYear(until.getUTCFullYear() + years);
  const serial = randomBytes(16);
  // Positive, and without a leading zero byte (section 4.1.2.2).
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  const algorithm = sequence(oid(ecdsaWithSha256));
  const body = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, serial),
    algorithm,
    name,
    sequence(time(from), time(until)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    tlv(0xa3, sequence(sequence(oid(subjectAltName), tlv(0x04, names())))),
  );
  const signature = sign("sha256", body, privateKey);
  const whole = sequence(body, algorithm, tlv(0x03, Buffer.concat([Buffer.from([0]), signature])));
  const lines = whole.toString("base64").replace(/.{64}/g, "$&\n").trimEnd();
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: String(privateKey.export({ type: "pkcs8", format: "pem" })),
  };
};

const commonName = [0x55, 0x04, 0x03];
const subjectAltName = [0x55, 0x1d, 0x11];
const ecdsaWithSha256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

const tlv = (tag: number, ...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const content = Buffer.concat(parts);
  const length = content.length < 0x80
    ? [content.length]
    : content.length < 0x100
    ? [0x81, content.length]
    : [0x82, content.length >> 8, content.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
};
const sequence = (...parts: ReadonlyArray<Uint8Array>) => tlv(0x30, ...parts);
const set = (...parts: ReadonlyArray<Uint8Array>) => tlv(0x31, ...parts);
const oid = (bytes: ReadonlyArray<number>) => tlv(0x06, Buffer.from(bytes));
/** UTCTime; all years here are before 2050 (section 4.1.2.5). */
const time = (at: Date) => {
  const text = at.toISOString().replace(/\.\d+Z$/, "Z").replace(/[-:T]/g, "");
  const generalized = at.getUTCFullYear() >= 2050;
  return tlv(generalized ? 0x18 : 0x17, Buffer.from(generalized ? text : text.slice(2)));
};
const names = () =>
  sequence(
    tlv(0x82, Buffer.from("localhost")),
    tlv(0x87, Buffer.from([127, 0, 0, 1])),
    tlv(0x87, Buffer.concat([Buffer.alloc(15), Buffer.from([1])])),
  );
