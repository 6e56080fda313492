/** An IP address as a number. IPv4-mapped IPv6 is IPv4 here, so one host has one spelling. */
export interface Address {
  readonly version: 4 | 6;
  readonly value: bigint;
}

const mapped = 0xffffn << 32n;

/**
 * Parses an IPv4 or IPv6 address without port; undefined when it is not one.
 *
 * Refuses octal, hex and short IPv4 forms, which resolvers and libraries read
 * differently, and IPv6 zones, which name an interface and not a host.
 */
export const parseAddress = (text: string): Address | undefined => {
  if (text.length > 45) return undefined;
  if (!text.includes(":")) {
    const value = parseIpv4(text);
    return value === undefined ? undefined : { version: 4, value };
  }
  const value = parseIpv6(text);
  if (value === undefined) return undefined;
  return value >> 32n === 0xffffn ? { version: 4, value: value - mapped } : { version: 6, value };
};

/** The one spelling of an address: dotted IPv4, or IPv6 as RFC 5952 writes it. */
export const formatAddress = ({ version, value }: Address): string => {
  if (version === 4) {
    return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".");
  }
  const groups = Array.from(
    { length: 8 },
    (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn),
  );
  const { from, length } = longestZeros(groups);
  const hex = (part: ReadonlyArray<number>) => part.map((group) => group.toString(16)).join(":");
  return length < 2
    ? hex(groups)
    : `${hex(groups.slice(0, from))}::${hex(groups.slice(from + length))}`;
};

/** The canonical spelling of `text`, or `text` itself when it is not an address. */
export const canonicalAddress = (text: string): string => {
  const address = parseAddress(text);
  return address ? formatAddress(address) : text;
};

const parseIpv4 = (text: string): bigint | undefined => {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = (value << 8n) | BigInt(part);
  }
  return value;
};

const parseIpv6 = (text: string): bigint | undefined => {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1]!, true) : [];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  return [...head, ...Array.from({ length: missing }, () => 0n), ...tail]
    .reduce((value, group) => (value << 16n) | group, 0n);
};

/** Groups of one side of `::`; only the last may be dotted IPv4 (RFC 4291 section 2.2). */
const parseGroups = (text: string, atEnd: boolean): ReadonlyArray<bigint> | undefined => {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: bigint[] = [];
  for (const [index, part] of parts.entries()) {
    if (part.includes(".") && atEnd && index === parts.length - 1) {
      const value = parseIpv4(part);
      if (value === undefined) return undefined;
      groups.push(value >> 16n, value & 0xffffn);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(BigInt(`0x${part}`));
    } else return undefined;
  }
  return groups;
};

const longestZeros = (groups: ReadonlyArray<number>) => {
  let best = { from: 0, length: 0 };
  for (let from = 0; from < groups.length; from += 1) {
    let length = 0;
    while (groups[from + length] === 0) length += 1;
    if (length > best.length) best = { from, length };
  }
  return best;
};
