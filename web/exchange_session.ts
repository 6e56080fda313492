import { Deferred, Effect, Option } from "effect";
import type { Exchange } from "../actors/exchange.ts";
import { Refused, type Registry, type Seat } from "../actors/registry.ts";
import type { Wheel } from "../actors/session.ts";
import { trackTransfers } from "../actors/transfer.ts";
import { admitPatiently } from "./refusals.ts";
import { monotonic, unixTime } from "../src/monotonic.ts";

interface Place {
  readonly registry: Registry["Type"];
  readonly wheel: Wheel;
  readonly seat: Seat;
  readonly request: Request;
  readonly ip: string;
  readonly port: number;
  readonly idleMinutes: number;
  /** Ends the exchange; its scope closes soon after. */
  readonly hangUp: Effect.Effect<unknown>;
  /** Whether the user may stay (BEHAVIOUR CONN-07). */
  readonly mayStay: (username: string) => Effect.Effect<boolean, unknown>;
  readonly fork: (effect: Effect.Effect<unknown>) => void;
}

/** Milliseconds between looks at whether the user of a long exchange may stay. */
const POLICY_EVERY = 60_000;

/**
 * Makes one exchange a session of its user. Requests are no `session.opened`
 * events: the journal holds the login that they rest on, and what they did.
 */
export const enterExchange = (place: Place): Exchange["enter"] => (user, protocol) =>
  Effect.gen(function* () {
    const { registry, wheel, seat, request, ip, port, idleMinutes, hangUp, mayStay, fork } = place;
    const { username } = user;
    yield* admitPatiently(Effect.flatMap(
      seat.login(username, user.max_sessions),
      Option.match({
        onNone: () => Effect.void,
        onSome: (refusal) => Effect.fail(new Refused({ refusal })),
      }),
    ));
    const id = `${protocol}_${seat.id}`;
    const started = Date.now();
    let lastActivity = monotonic();
    const active = () => {
      lastActivity = monotonic();
    };
    const transfers = trackTransfers(active);
    const ended = yield* Effect.acquireRelease(
      Deferred.make<void>(),
      (ended) => Deferred.succeed(ended, undefined),
    );
    yield* registry.enter({
      id,
      rows: () => [{
        connection_id: id,
        username,
        client_version: (request.headers.get("user-agent") ?? "").slice(0, 255),
        remote_address: ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`,
        connection_time: started,
        last_activity: unixTime(lastActivity),
        protocol,
        command: request.method,
        active_transfers: transfers.list(),
      }],
      close: () => Effect.andThen(hangUp, Deferred.await(ended)),
    });
    const idleAfter = idleMinutes * 60_000;
    const policy = Effect.flatMap(
      Effect.orElseSucceed(mayStay(username), () => true),
      (stays) => stays ? Effect.void : hangUp,
    );
    let nextPolicy = lastActivity + POLICY_EVERY;
    yield* wheel.every((now) => {
      if (idleAfter > 0 && now - lastActivity > idleAfter) Effect.runSync(hangUp);
      else if (now >= nextPolicy) {
        nextPolicy = now + POLICY_EVERY;
        fork(policy);
      }
    });
    return { principal: { sessionId: id, username, protocol, ip }, observer: transfers.observer };
  });
