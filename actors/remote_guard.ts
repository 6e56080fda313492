import { Effect, Layer } from "effect";
import { Guard, type Offence, type TurnedAway, type Visitor } from "../src/guard/guard.ts";
import { type Handlers, Hub } from "./rpc.ts";

/** What workers ask of the main thread's guard. */
export const guardHandlers: Effect.Effect<Handlers, never, Guard> = Effect.map(Guard, (guard) => ({
  "guard.admit": guard.admit,
  "guard.isBanned": guard.isBanned,
  "guard.report": guard.report,
}));

/** In a worker: the guard of the main thread. */
export const remoteGuard: Layer.Layer<Guard, never, Hub> = Layer.effect(
  Guard,
  Effect.map(Hub, (hub) => ({
    admit: (visitor: Visitor) => hub.call<TurnedAway | undefined>("guard.admit", visitor),
    isBanned: (visitor: Visitor) => hub.call<boolean>("guard.isBanned", visitor),
    report: (visitor: Visitor, offence: Offence) =>
      hub.call<void>("guard.report", visitor, offence),
    refresh: Effect.void,
  })),
);
