import { Either } from "effect";
import { type Address, parseAddress } from "./address.ts";
import { contains, parseCidr } from "./cidr.ts";

/**
 * Whether a user's lists let `ip` in: not denied, and allowed when anything is.
 *
 * Deny is looked at first (docs/decisions/0003-denied-ip-first.md). What cannot
 * be read closes the door: a broken deny entry denies all, a broken allow entry
 * allows none.
 */
export const addressAllowed = (
  lists: { readonly allowed: ReadonlyArray<string>; readonly denied: ReadonlyArray<string> },
  ip: string,
): boolean => {
  if (lists.allowed.length === 0 && lists.denied.length === 0) return true;
  const address = parseAddress(ip);
  if (!address) return false;
  if (lists.denied.some((entry) => matches(entry, address) !== false)) return false;
  return lists.allowed.length === 0 ||
    lists.allowed.some((entry) => matches(entry, address) === true);
};

/** Undefined when `entry` cannot be read. */
const matches = (entry: string, address: Address): boolean | undefined =>
  Either.match(parseCidr(entry), {
    onLeft: () => undefined,
    onRight: (range) => contains(range, address),
  });
