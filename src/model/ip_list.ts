import { Either, Schema as S } from "effect";
import { formatCidr, parseCidr } from "../guard/cidr.ts";

/** The lists (BEHAVIOUR IPL-01): who may connect, what the defender spares or bars, whom no rate limits. */
export const ipListTypes = { allow: 1, defender: 2, ratelimit: 3 } as const;
export type IpListType = typeof ipListTypes[keyof typeof ipListTypes];

/** The bits of `protocols`; 0 stands for all. */
export const protocolBits = { SSH: 1, FTP: 2, DAV: 4, HTTP: 8 } as const;
export type GuardedProtocol = keyof typeof protocolBits;

/** What an operator sends (API-V2.md, IPListEntry); the times are taken and ignored. */
export const IpListInput = S.Struct({
  ipornet: S.String,
  type: S.Literal(1, 2, 3),
  /** 1 allow, 2 deny; 2 for the defender's list only. */
  mode: S.optionalWith(S.Literal(1, 2), { default: () => 1 as const }),
  protocols: S.optionalWith(S.Int.pipe(S.between(0, 15)), { default: () => 0 }),
  description: S.optionalWith(S.String.pipe(S.maxLength(512)), { default: () => "" }),
  created_at: S.optionalWith(S.Int, { default: () => 0 }),
  updated_at: S.optionalWith(S.Int, { default: () => 0 }),
});
/** An entry as it is kept: `ipornet` in its one spelling, times in Unix milliseconds. */
export type IpListEntry = typeof IpListInput.Type;

/** The entry with its address in the one spelling, or what is wrong with it. */
export const checkEntry = (entry: IpListEntry): Either.Either<IpListEntry, string> =>
  Either.flatMap(
    Either.mapLeft(parseCidr(entry.ipornet), (what) => `ipornet: ${what}`),
    (range) =>
      entry.mode === 2 && entry.type !== ipListTypes.defender
        ? Either.left("mode: only the defender's list (type 2) has denied entries")
        : Either.right({ ...entry, ipornet: formatCidr(range) }),
  );

/** Whether an entry with these bits speaks of `protocol`. */
export const covers = (protocols: number, protocol: GuardedProtocol): boolean =>
  protocols === 0 || (protocols & protocolBits[protocol]) !== 0;
