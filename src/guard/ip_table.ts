import { Either } from "effect";
import { parseAddress } from "./address.ts";
import { parseCidr } from "./cidr.ts";

/**
 * Ranges of addresses with a value each; the most specific one that holds an
 * address, and that `fits`, answers for it. A look costs one step into a map for
 * each prefix length in use, however many entries there are.
 */
export class IpTable<V> {
  readonly #byPrefix = {
    4: new Map<number, Map<bigint, V>>(),
    6: new Map<number, Map<bigint, V>>(),
  };
  readonly #prefixes: Record<4 | 6, ReadonlyArray<number>>;

  /** Entries that cannot be read are left out: storing refuses them. */
  constructor(entries: Iterable<readonly [ipornet: string, value: V]>) {
    for (const [text, value] of entries) {
      const range = Either.getOrUndefined(parseCidr(text));
      if (!range) continue;
      const lengths = this.#byPrefix[range.version];
      const known = lengths.get(range.prefix);
      const shift = BigInt((range.version === 4 ? 32 : 128) - range.prefix);
      if (known) known.set(range.value >> shift, value);
      else lengths.set(range.prefix, new Map([[range.value >> shift, value]]));
    }
    const longestFirst = (lengths: Map<number, unknown>) =>
      [...lengths.keys()].sort((a, b) => b - a);
    this.#prefixes = {
      4: longestFirst(this.#byPrefix[4]),
      6: longestFirst(this.#byPrefix[6]),
    };
  }

  find(ip: string, fits: (value: V) => boolean): V | undefined {
    const address = parseAddress(ip);
    if (!address) return undefined;
    const { version, value } = address;
    for (const prefix of this.#prefixes[version]) {
      const key = value >> BigInt((version === 4 ? 32 : 128) - prefix);
      const found = this.#byPrefix[version].get(prefix)?.get(key);
      if (found !== undefined && fits(found)) return found;
    }
    return undefined;
  }
}
