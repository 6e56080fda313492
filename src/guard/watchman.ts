import { Clock, Effect, Layer } from "effect";
import { type BanRule, type GuardSnapshot, GuardStore } from "../catalog/guard.ts";
import { Config, type Settings } from "../config/config.ts";
import type { CatalogError } from "../errors.ts";
import { Journal } from "../events/journal.ts";
import { covers, type GuardedProtocol, type IpListEntry, ipListTypes } from "../model/ip_list.ts";
import { canonicalAddress } from "./address.ts";
import { Guard, type Offence, type Visitor } from "./guard.ts";
import { IpTable } from "./ip_table.ts";
import { RateLimits } from "./rate.ts";
import { monotonicMillis } from "../monotonic.ts";

const minute = 60_000;
/** How soon what another node or process changed is seen, and growing bans are stored. */
const LOOK_EVERY = "2 seconds";
const PRUNE_EVERY = "10 minutes";
/** Admissions that may be kept waiting at a time, over all addresses. */
const MAY_WAIT = 1024;

/** What the defender's settings say, in milliseconds. */
const ruleOf = ({ defender }: Settings["common"]): BanRule => ({
  threshold: defender.threshold,
  observed: defender.observation_time * minute,
  banned: defender.ban_time * minute,
});

const pointsOf = ({ defender }: Settings["common"]): Record<Offence, number> => ({
  invalid: defender.score_invalid,
  valid: defender.score_valid,
  limit_exceeded: defender.score_limit_exceeded,
  no_auth: defender.score_no_auth,
});

/** Lists and bans as they were read last; a look is a few steps into maps. */
class Known {
  version = -1;
  /** Ends of bans by address. */
  bans = new Map<string, number>();
  /** Addresses whose ban grew and is not stored yet. */
  readonly grown = new Set<string>();
  #lists = new Map<number, IpTable<IpListEntry>>();

  take({ version, entries, bans }: GuardSnapshot): void {
    // What grew here and is not stored yet holds, as long as the ban itself does.
    const before = this.bans;
    this.bans = new Map(
      bans.map(({ ip, until }) =>
        [ip, this.grown.has(ip) ? Math.max(until, before.get(ip) ?? 0) : until] as const
      ),
    );
    if (version !== this.version) {
      this.#lists = new Map(
        Object.values(ipListTypes).map((type) => [
          type,
          new IpTable(entries.filter((e) => e.type === type).map((e) => [e.ipornet, e] as const)),
        ]),
      );
    }
    this.version = version;
  }

  mode(type: number, { ip, protocol }: Visitor): 1 | 2 | undefined {
    return this.#lists.get(type)?.find(ip, (e) => covers(e.protocols, protocol))?.mode;
  }
}

/** The one guard of a server, over the catalog. Runs in the main thread. */
export const watchman: Layer.Layer<
  Guard,
  CatalogError,
  Config | GuardStore | Journal
> = Layer.scoped(
  Guard,
  Effect.gen(function* () {
    const { common } = yield* Config;
    const { defender } = common;
    const store = yield* GuardStore;
    const journal = yield* Journal;
    const limits = new RateLimits(common.rate_limiters);
    const rule = ruleOf(common);
    const points = pointsOf(common);
    const known = new Known();
    let waiting = 0;
    // Each offence adds one address at most, so between two looks the hard limit holds.
    const room = Math.max(1, defender.entries_hard_limit - defender.entries_soft_limit);
    let sinceTrim = 0;

    const reread = Effect.gen(function* () {
      known.take(yield* store.snapshot(yield* Clock.currentTimeMillis));
    });
    yield* store.trim(defender.entries_soft_limit);
    yield* reread;

    const storeGrown = Effect.suspend(() => {
      const bans = [...known.grown].flatMap((ip) => {
        const until = known.bans.get(ip);
        return until === undefined ? [] : [{ ip, until }];
      });
      known.grown.clear();
      if (bans.length === 0) return Effect.void;
      // A catalog that is away gets them with the next look.
      return Effect.tapError(store.extend(bans), () =>
        Effect.sync(() => {
          for (const { ip } of bans) known.grown.add(ip);
        }));
    });
    const look = Effect.gen(function* () {
      yield* storeGrown;
      if ((yield* store.version) !== known.version) yield* reread;
    });
    /** A catalog that is away for a while leaves what was read last. */
    const keepOn = (what: Effect.Effect<unknown, CatalogError>, every: string) =>
      what.pipe(
        Effect.catchTag("CatalogError", (error) => Effect.logWarning(`guard: ${error.message}`)),
        Effect.delay(every as "1 second"),
        Effect.forever,
        Effect.forkScoped,
      );
    yield* keepOn(look, LOOK_EVERY);
    const prune = Effect.flatMap(
      Clock.currentTimeMillis,
      (now) => store.prune(now - rule.observed),
    );
    yield* keepOn(prune, PRUNE_EVERY);
    yield* Effect.addFinalizer(() => Effect.ignore(storeGrown));

    const spelled = ({ ip, protocol }: Visitor): Visitor => ({
      ip: canonicalAddress(ip),
      protocol,
    });
    const inForce = (ip: string, now: number): number | undefined => {
      const until = known.bans.get(ip);
      if (until === undefined) return undefined;
      if (until > now) return until;
      known.bans.delete(ip);
      return undefined;
    };
    const grow = (ip: string, until: number, now: number): void => {
      if (defender.ban_time_increment === 0) return;
      const step = Math.max(rule.banned * defender.ban_time_increment / 100, minute);
      const longest = Math.max(now + defender.max_ban_time * minute, until);
      known.bans.set(ip, Math.min(Math.round(until + step), longest));
      known.grown.add(ip);
    };
    /** Whether the defender keeps the address out now. */
    const barred = (visitor: Visitor, now: number): boolean => {
      if (!defender.enabled) return false;
      const mode = known.mode(ipListTypes.defender, visitor);
      return mode === 2 || (mode !== 1 && inForce(visitor.ip, now) !== undefined);
    };

    const report = (visitor: Visitor, offence: Offence) =>
      Effect.gen(function* () {
        const { ip } = visitor;
        const now = yield* Clock.currentTimeMillis;
        if (!defender.enabled || points[offence] === 0 || inForce(ip, now) !== undefined) return;
        if (known.mode(ipListTypes.defender, visitor) !== undefined) return;
        if (++sinceTrim > room) {
          sinceTrim = 1;
          if (yield* store.trim(defender.entries_soft_limit)) yield* reread;
        }
        const until = yield* store.score(ip, points[offence], rule);
        if (until === undefined) return;
        known.bans.set(ip, until);
        const end = new Date(until).toISOString();
        yield* Effect.logWarning({ event: "banned", ip, until: end });
        yield* journal.record({
          action: "defender.banned",
          status: 1,
          username: "",
          ip,
          protocol: visitor.protocol,
          message: `banned until ${end}`,
        });
      }).pipe(
        Effect.catchTag("CatalogError", (error) =>
          Effect.logError(`guard: an offence was not kept: ${error.message}`)),
      );

    const throttle = (visitor: Visitor, elapsed: number) => {
      if (known.mode(ipListTypes.ratelimit, visitor) === 1) return Effect.succeed(undefined);
      const verdict = limits.take(visitor.ip, visitor.protocol, elapsed);
      if ("wait" in verdict && verdict.wait === 0) return Effect.succeed(undefined);
      if ("refused" in verdict || waiting >= MAY_WAIT) {
        const scores = "refused" in verdict && verdict.scores;
        const retryIn = "refused" in verdict ? verdict.retryIn : verdict.wait;
        return Effect.as(
          scores ? report(visitor, "limit_exceeded") : Effect.void,
          { refusal: "rate_limited", retryIn } as const,
        );
      }
      waiting += 1;
      return Effect.as(Effect.sleep(verdict.wait), undefined).pipe(
        Effect.ensuring(Effect.sync(() => waiting -= 1)),
      );
    };

    return {
      admit: (asked) =>
        Effect.gen(function* () {
          const visitor = spelled(asked);
          const now = yield* Clock.currentTimeMillis;
          if (barred(visitor, now)) {
            const until = inForce(visitor.ip, now);
            if (until !== undefined) grow(visitor.ip, until, now);
            return { refusal: "banned" } as const;
          }
          if (common.allowlist_status === 1 && known.mode(ipListTypes.allow, visitor) !== 1) {
            return { refusal: "not_listed" } as const;
          }
          return yield* throttle(visitor, yield* monotonicMillis);
        }),
      isBanned: (visitor) =>
        Effect.map(Clock.currentTimeMillis, (now) => barred(spelled(visitor), now)),
      report: (visitor, offence) => report(spelled(visitor), offence),
      refresh: Effect.catchTag(
        reread,
        "CatalogError",
        (error) => Effect.logWarning(`guard: ${error.message}`),
      ),
    };
  }),
);

/** The name that lists and limiters have for what a listener serves. */
export const guardedAs = (protocol: string): GuardedProtocol =>
  protocol === "FTP" || protocol === "DAV" || protocol === "HTTP"
    ? protocol
    : protocol === "WebDAV" || protocol === "WEBDAV"
    ? "DAV"
    : protocol === "FTPS"
    ? "FTP"
    : "SSH";
