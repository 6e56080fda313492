import { Buffer } from "node:buffer";
import { verify, type X509Certificate } from "node:crypto";

/** A list of certificates that their authority has taken back. */
export interface RevocationList {
  readonly issuer: X509Certificate;
  /** As {@linkcode serialOf} answers them. */
  readonly serials: ReadonlySet<string>;
}

/** The serial number of a certificate, hex without leading zeros. */
export const serialOf = (certificate: X509Certificate): string =>
  plain(certificate.serialNumber.toLowerCase());

/**
 * Reads all revocation lists of a file (RFC 5280 section 5), PEM or DER. Throws where there is
 * none, and for one that none of `authorities` has signed.
 *
 * What a list names stays revoked when its next issue is overdue. Extensions are not
 * looked at: a list that is for something else can only refuse too much.
 */
export const readRevocations = (
  file: Uint8Array,
  authorities: ReadonlyArray<X509Certificate>,
): ReadonlyArray<RevocationList> => {
  const text = new TextDecoder("latin1").decode(file);
  const pems = [...text.matchAll(/-----BEGIN X509 CRL-----([^-]+)-----END X509 CRL-----/g)];
  const ders = pems.map(([, base64 = ""]) => Buffer.from(base64, "base64"));
  if (ders.length === 0 && file[0] !== SEQUENCE) throw new Error("there is no list in it");
  return (ders.length > 0 ? ders : [file]).map((der) => readList(der, authorities));
};

const readList = (
  der: Uint8Array,
  authorities: ReadonlyArray<X509Certificate>,
): RevocationList => {
  const whole = element(der, 0, SEQUENCE);
  const body = element(der, whole.start, SEQUENCE);
  const algorithm = element(der, body.end, SEQUENCE);
  const signature = element(der, algorithm.end, BIT_STRING);
  const exact = whole.end === der.length && signature.end === whole.end;
  if (!exact || der[signature.start] !== 0) throw new Error("it is damaged");
  const oid = element(der, algorithm.start, OBJECT_IDENTIFIER);
  const hash = hashes[hex(der, oid.start, oid.end)];
  if (hash === undefined) throw new Error("it is signed in a way that is not supported");
  const signed = der.subarray(body.from, body.end);
  const proof = der.subarray(signature.start + 1, signature.end);
  const issuer = authorities.find(({ publicKey }) => {
    try {
      return verify(hash, signed, publicKey, proof);
    } catch {
      // A key of another kind.
      return false;
    }
  });
  if (!issuer) throw new Error("none of ca_certificates has signed it");
  const [named, ...rest] = parts(der, body).filter(({ tag }, i) => i > 0 || tag !== INTEGER);
  // Section 5.1.1.2: what is signed names the algorithm too.
  const same = named && hex(der, named.from, named.end) === hex(der, algorithm.from, algorithm.end);
  if (!same) throw new Error("it is damaged");
  // After the issuer and one or two times.
  const list = rest.find(({ tag }, i) => (i === 2 || i === 3) && tag === SEQUENCE);
  const entries = list ? parts(der, list) : [];
  const serials = entries.map(({ start }) => {
    const serial = element(der, start, INTEGER);
    return plain(hex(der, serial.start, serial.end));
  });
  return { issuer, serials: new Set(serials) };
};

const parts = (der: Uint8Array, { start, end }: Element): ReadonlyArray<Element> => {
  const found: Element[] = [];
  for (let at = start; at < end;) {
    const part = element(der, at);
    found.push(part);
    at = part.end;
  }
  return found;
};

const hex = (der: Uint8Array, from: number, end: number): string =>
  Buffer.from(der.subarray(from, end)).toString("hex");

const plain = (hex: string): string => hex.replace(/^0+(?=.)/, "");

const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OBJECT_IDENTIFIER = 0x06;
const SEQUENCE = 0x30;

/** Digests of the signature algorithms: RSA (RFC 4055), ECDSA (RFC 5758), Ed25519 (RFC 8410). */
const hashes: Readonly<Record<string, string | null>> = {
  "2a864886f70d01010b": "sha256",
  "2a864886f70d01010c": "sha384",
  "2a864886f70d01010d": "sha512",
  "2a8648ce3d040302": "sha256",
  "2a8648ce3d040303": "sha384",
  "2a8648ce3d040304": "sha512",
  "2b6570": null,
};

interface Element {
  readonly tag: number;
  /** Where its tag, its content and what follows it begin. */
  readonly from: number;
  readonly start: number;
  readonly end: number;
}

/** One DER element (X.690), which has to be whole. */
const element = (der: Uint8Array, from: number, wanted?: number): Element => {
  const tag = der[from];
  const first = der[from + 1];
  if (tag === undefined || first === undefined || wanted !== undefined && tag !== wanted) {
    throw new Error("it is damaged");
  }
  let length = first;
  let start = from + 2;
  if (first & 0x80) {
    length = 0;
    for (const end = start + (first & 0x7f); start < end; start++) {
      length = length * 256 + (der[start] ?? 0);
    }
  }
  const end = start + length;
  if (first === 0x80 || start > der.length || end > der.length) throw new Error("it is damaged");
  return { tag, from, start, end };
};
