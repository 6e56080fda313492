import { Effect, type Scope } from "effect";
import type { Refusal, Refused, Refusing } from "../actors/registry.ts";

/** A keep-alive client's next request may come before the end of its last one was counted. */
const LOOKS = 6;
const LOOK_AGAIN = "50 millis";

/** Tries again for a moment where only a place of the address or the user is missing. */
export const admitPatiently = <A>(
  admit: Effect.Effect<A, Refused, Scope.Scope>,
): Effect.Effect<A, Refused, Scope.Scope> =>
  Effect.retry(admit, {
    times: LOOKS,
    while: ({ refusal }) =>
      refusal === "per_host" || refusal === "per_user"
        ? Effect.as(Effect.sleep(LOOK_AGAIN), true)
        : Effect.succeed(false),
  });

/**
 * What a client that finds no place is told: to come again (BEHAVIOUR DAV-11,
 * RL-04), or that it may not (BEHAVIOUR DEF-05).
 */
export const refusalResponse = ({ refusal, retryIn = 1000 }: Refusing): Response => {
  const { status, text } = answers[refusal];
  const headers: Record<string, string> = status === 403
    ? {}
    : { "retry-after": String(Math.max(1, Math.ceil(retryIn / 1000))) };
  if (refusal === "rate_limited") headers["x-retry-in"] = `${(retryIn / 1000).toFixed(3)}s`;
  return new Response(`${text}\n`, { status, headers });
};

const busy = { status: 503, text: "the server is busy" };
const crowded = { status: 429, text: "too many connections" };
const barred = { status: 403, text: "requests from this address are refused" };

const answers = {
  total: busy,
  startups: busy,
  draining: busy,
  per_host: crowded,
  per_user: crowded,
  rate_limited: { status: 429, text: "too many requests" },
  banned: barred,
  not_listed: barred,
} satisfies Record<Refusal, { readonly status: number; readonly text: string }>;
