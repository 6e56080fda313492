import { Context, Effect, Layer } from "effect";
import type { GuardedProtocol } from "../model/ip_list.ts";

/** Why an address is turned away before anything else is looked at. */
export type GuardRefusal = "banned" | "not_listed" | "rate_limited";

/** What an address did (BEHAVIOUR DEF-01): the settings say how many points it costs. */
export type Offence = "invalid" | "valid" | "limit_exceeded" | "no_auth";

/** How an address is turned away. */
export interface TurnedAway {
  readonly refusal: GuardRefusal;
  /** Milliseconds after which it would be let in, where that is known (BEHAVIOUR RL-04). */
  readonly retryIn?: number;
}

/** Where a client comes from, and to what. */
export interface Visitor {
  readonly ip: string;
  readonly protocol: GuardedProtocol;
}

/**
 * Who may connect at all: bans, IP lists and rates of admission.
 *
 * One guard decides for all threads, in the main thread: the admission of a
 * connection goes there anyway, for its seat.
 */
export class Guard extends Context.Tag("sluice/Guard")<Guard, GuardShape>() {
  /** Lets everybody in and counts nothing: for tests that are about something else. */
  static readonly open: Layer.Layer<Guard> = Layer.sync(Guard, () => openToAll);
}

export interface GuardShape {
  /**
   * Once for each connection, or each request of HTTP and DAV. A banned address
   * stays banned for longer; one that is too fast is kept waiting, or refused.
   */
  readonly admit: (visitor: Visitor) => Effect.Effect<TurnedAway | undefined>;
  /** Whether the address is banned now, without counting against it. */
  readonly isBanned: (visitor: Visitor) => Effect.Effect<boolean>;
  /** Counts an offence; answers when it is kept. Never for an address that is spared. */
  readonly report: (visitor: Visitor, offence: Offence) => Effect.Effect<void>;
  /** Reads lists and bans again: they were changed by another process. */
  readonly refresh: Effect.Effect<void>;
}

const openToAll: GuardShape = {
  admit: () => Effect.succeed(undefined),
  isBanned: () => Effect.succeed(false),
  report: () => Effect.void,
  refresh: Effect.void,
};
