import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { RsaNumbers } from "./ssh_key.ts";

/** DER of `DigestInfo` up to the digest (RFC 8017 section 9.2, note 1). */
const prefixes = {
  sha256: "3031300d060960864801650304020105000420",
  sha512: "3051300d060960864801650304020305000440",
} as const;

/**
 * Verifies an RSASSA-PKCS1-v1_5 signature by building the only encoding that
 * is right and comparing (RFC 8017 section 8.2.2). For keys over 4096 bits,
 * which the runtime cannot load. Public numbers only, so time tells nothing.
 */
export const verifyLargeRsa = (
  { modulus, exponent, length }: RsaNumbers,
  hash: keyof typeof prefixes,
  signed: Uint8Array,
  signature: Uint8Array,
): boolean => {
  if (signature.length !== length) return false;
  const value = BigInt(`0x${Buffer.from(signature).toString("hex")}`);
  if (value >= modulus) return false;
  const digest = createHash(hash).update(signed).digest("hex");
  const tail = `00${prefixes[hash]}${digest}`;
  const padding = "ff".repeat(length - 2 - tail.length / 2);
  return power(value, exponent, modulus) === BigInt(`0x0001${padding}${tail}`);
};

const power = (base: bigint, exponent: bigint, modulus: bigint): bigint => {
  let result = 1n;
  for (const bit of exponent.toString(2)) {
    result = (result * result) % modulus;
    if (bit === "1") result = (result * base) % modulus;
  }
  return result;
};
