import { Either } from "effect";
import { type Address, formatAddress, parseAddress } from "./address.ts";

/** A range of addresses. `value` has no bits set below the prefix. */
export interface Cidr extends Address {
  /** Bits that count: 0-32 or 0-128. */
  readonly prefix: number;
}

/**
 * Parses `10.0.0.0/8`, `2001:db8::/32` or a single address; the message says what is wrong.
 *
 * Bits below the prefix are cleared. An IPv4-mapped range of /96 or longer
 * becomes the IPv4 range it means.
 */
export const parseCidr = (text: string): Either.Either<Cidr, string> => {
  const bad = (why: string) => Either.left(`${JSON.stringify(text)} ${why}`);
  const [host = "", bits, ...rest] = text.trim().split("/");
  const address = parseAddress(host);
  if (!address || rest.length > 0) return bad("is not an IP address or a CIDR range");
  const width = address.version === 4 ? 32 : 128;
  if (bits === undefined) return Either.right({ ...address, prefix: width });
  if (!/^(0|[1-9]\d{0,2})$/.test(bits)) return bad("has a prefix length that is not a number");
  const isMapped = address.version === 4 && host.includes(":");
  const prefix = Number(bits) - (isMapped ? 96 : 0);
  if (prefix < 0 || prefix > width) return bad("has a prefix length out of range");
  const below = BigInt(width - prefix);
  return Either.right({
    version: address.version,
    value: (address.value >> below) << below,
    prefix,
  });
};

/** Whether `address` lies in `range`. IPv4 and IPv6 never match each other. */
export const contains = (range: Cidr, address: Address): boolean => {
  const below = BigInt((range.version === 4 ? 32 : 128) - range.prefix);
  return range.version === address.version && range.value >> below === address.value >> below;
};

/** The one spelling of a range; the prefix is always written. */
export const formatCidr = (range: Cidr): string => `${formatAddress(range)}/${range.prefix}`;
