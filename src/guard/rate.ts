import type { Settings } from "../config/config.ts";
import type { GuardedProtocol } from "../model/ip_list.ts";

type Limiter = Settings["common"]["rate_limiters"][number];

/** Addresses that one limiter remembers; the one asked for longest ago is forgotten first. */
const MOST_HOSTS = 10_000;
/** The longest that an admission is put off, in milliseconds (BEHAVIOUR RL-04). */
const LONGEST = 10_000;

/**
 * Token buckets of one limiter, each kept as the time at which it is full again.
 * A request that is put off has taken its token already, so requests are
 * admitted in the order in which they came.
 */
class Buckets {
  readonly #fullAt = new Map<string, number>();
  readonly #cost: number;

  constructor(readonly limiter: Limiter) {
    this.#cost = limiter.period / limiter.average;
  }

  /** Milliseconds to wait; a refusal, which takes nothing, says when waiting would do. */
  take(ip: string, now: number): { readonly wait: number } | { readonly retryIn: number } {
    const key = this.limiter.type === 1 ? "" : ip;
    const fullAt = Math.max(this.#fullAt.get(key) ?? 0, now) + this.#cost;
    const wait = fullAt - now - this.#cost * this.limiter.burst;
    const longest = Math.min(this.#cost / 2, LONGEST);
    if (wait > longest) return { retryIn: Math.ceil(wait - longest) };
    this.#fullAt.delete(key);
    this.#fullAt.set(key, fullAt);
    if (this.#fullAt.size > MOST_HOSTS) {
      this.#fullAt.delete(this.#fullAt.keys().next().value as string);
    }
    return { wait: Math.max(0, wait) };
  }
}

/** What the limiters say of one request. */
export type RateVerdict =
  | { readonly wait: number }
  | {
    readonly refused: true;
    /** Milliseconds until a request is let in, if no other comes before it. */
    readonly retryIn: number;
    /** It counts against its address. */
    readonly scores: boolean;
  };

/** All limiters of the settings: each request passes every one that speaks of its protocol. */
export class RateLimits {
  readonly #buckets: ReadonlyArray<Buckets>;

  constructor(limiters: ReadonlyArray<Limiter>) {
    this.#buckets = limiters.filter(({ average }) => average > 0).map((l) => new Buckets(l));
  }

  take(ip: string, protocol: GuardedProtocol, now: number): RateVerdict {
    let wait = 0;
    for (const buckets of this.#buckets) {
      const { protocols, type, generate_defender_events } = buckets.limiter;
      if (!protocols.includes(protocol)) continue;
      const one = buckets.take(ip, now);
      if ("retryIn" in one) {
        const scores = generate_defender_events && type === 2;
        return { refused: true, retryIn: one.retryIn, scores };
      }
      wait = Math.max(wait, one.wait);
    }
    return { wait };
  }
}
