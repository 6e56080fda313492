import { Effect, type Scope } from "effect";
import type { Refusal, Refused } from "../actors/registry.ts";

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

/** What a client that finds no place is told: to come again (BEHAVIOUR DAV-11). */
export const refusalResponse = (refusal: Refusal): Response => {
  const own = refusal === "per_host" || refusal === "per_user";
  return new Response(own ? "too many connections\n" : "the server is busy\n", {
    status: own ? 429 : 503,
    headers: { "retry-after": "1" },
  });
};
