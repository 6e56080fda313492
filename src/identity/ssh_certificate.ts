import { Buffer } from "node:buffer";
import { Either } from "effect";
import { parsePublicKey, type PublicKey } from "./ssh_key.ts";
import { baseAlgorithm, isCertificate, verifySignature } from "./ssh_signature.ts";
import { WireReader } from "./wire.ts";

const userCertificate = 1;
const mostPrincipals = 256;

/** An OpenSSH certificate (PROTOCOL.certkeys) whose authority's signature is right. */
export interface Certificate {
  /** The key that the client signs with. */
  readonly key: PublicKey;
  readonly authority: PublicKey;
  readonly serial: bigint;
  readonly keyId: string;
  readonly principals: ReadonlyArray<string>;
  /** Unix seconds: from `validAfter`, before `validBefore`. */
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  /** Addresses it may be used from; undefined means any. */
  readonly sourceAddresses?: ReadonlyArray<string>;
  /** A security key has to have checked a PIN or a finger. */
  readonly verifyRequired: boolean;
}

/** How many wire strings hold the key material of each type. */
const keyFields: Readonly<Record<string, number>> = {
  "ssh-ed25519": 1,
  "ssh-rsa": 2,
  "ecdsa-sha2-nistp256": 2,
  "ecdsa-sha2-nistp384": 2,
  "ecdsa-sha2-nistp521": 2,
  "sk-ssh-ed25519@openssh.com": 2,
  "sk-ecdsa-sha2-nistp256@openssh.com": 3,
};

/**
 * Reads a user certificate and verifies its authority's signature.
 *
 * Refuses host certificates, certificates signed by certificates, SHA-1
 * signatures, and critical options it does not know, `force-command` included:
 * to ignore one would give more than the authority granted. Who may use it,
 * where and when is for the caller to check.
 */
export const parseCertificate = (
  blob: Uint8Array,
  /** Asked before any signature is computed: strangers must not choose how long that takes. */
  isTrusted: (authority: Uint8Array) => boolean,
): Either.Either<Certificate, string> => {
  const malformed = Either.left("the certificate is malformed");
  const read = new WireReader(blob);
  const type = read.text();
  if (type === undefined || !isCertificate(type)) return malformed;
  const base = baseAlgorithm(type);
  const fields = Object.hasOwn(keyFields, base) ? keyFields[base] : undefined;
  if (fields === undefined) return Either.left(`certificate type ${type} is not supported`);

  read.string(); // nonce
  const keyFrom = read.offset;
  for (let index = 0; index < fields; index += 1) read.string();
  const keyTo = read.offset;
  const serial = read.uint64();
  const kind = read.uint32();
  const keyId = read.text();
  const principals = readAll(read.string(), (list) => list.text());
  const validAfter = read.uint64();
  const validBefore = read.uint64();
  const critical = readAll(read.string(), readOption);
  const extensions = readAll(read.string(), readOption);
  read.string(); // reserved
  const authorityBlob = read.string();
  const signedTo = read.offset;
  const signature = read.string();
  if (
    !read.done || serial === undefined || keyId === undefined || !principals || !extensions ||
    validAfter === undefined || validBefore === undefined || !critical || !authorityBlob ||
    !signature || principals.length > mostPrincipals
  ) return malformed;
  if (kind !== userCertificate) return Either.left("this is not a user certificate");
  if (!isTrusted(authorityBlob)) return Either.left("the certificate's authority is not trusted");

  const key = parsePublicKey(
    Buffer.concat([wireString(base), blob.subarray(keyFrom, keyTo)]),
  );
  if (Either.isLeft(key)) return Either.left(key.left);
  const authority = parsePublicKey(authorityBlob);
  if (Either.isLeft(authority)) return Either.left(`authority: ${authority.left}`);
  const algorithm = new WireReader(signature).text() ?? "";
  const signed = blob.subarray(0, signedTo);
  if (verifySignature(authority.right, algorithm, signature, signed) !== true) {
    return Either.left("the authority's signature is wrong");
  }
  return Either.map(readCritical(critical), (options) => ({
    key: key.right,
    authority: authority.right,
    serial,
    keyId,
    principals,
    validAfter,
    validBefore,
    ...options,
  }));
};

interface Option {
  readonly name: string;
  readonly data: Uint8Array;
}

const readCritical = (
  options: ReadonlyArray<Option>,
): Either.Either<Pick<Certificate, "sourceAddresses" | "verifyRequired">, string> => {
  let sourceAddresses: ReadonlyArray<string> | undefined;
  let verifyRequired = false;
  const seen = new Set<string>();
  for (const { name, data } of options) {
    if (seen.has(name)) return Either.left("the certificate repeats a critical option");
    seen.add(name);
    if (name === "source-address") {
      const inner = new WireReader(data);
      const list = inner.text();
      if (list === undefined || !inner.done) return Either.left("source-address is malformed");
      sourceAddresses = list.split(",");
    } else if (name === "verify-required" && data.length === 0) {
      verifyRequired = true;
    } else {
      return Either.left(`critical option ${JSON.stringify(name)} is not supported`);
    }
  }
  return Either.right({ verifyRequired, ...(sourceAddresses ? { sourceAddresses } : {}) });
};

const readOption = (read: WireReader): Option | undefined => {
  const name = read.text();
  const data = read.string();
  return name !== undefined && data ? { name, data } : undefined;
};

/** Reads items until the end of `packed`; undefined when one is cut short. */
const readAll = <A>(
  packed: Uint8Array | undefined,
  item: (read: WireReader) => A | undefined,
): ReadonlyArray<A> | undefined => {
  if (!packed) return undefined;
  const read = new WireReader(packed);
  const items: A[] = [];
  while (!read.done) {
    const next = item(read);
    if (next === undefined) return undefined;
    items.push(next);
  }
  return items;
};

const wireString = (text: string): Uint8Array => {
  const bytes = Buffer.from(text);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(bytes.length, 0);
  return Buffer.concat([head, bytes]);
};
