import { Effect, Layer } from "effect";
import { DavState } from "../src/dav/state.ts";
import { type Handlers, Hub } from "./rpc.ts";

/** What workers ask of locks and dead properties, which the main thread keeps for all. */
export const davHandlers: Effect.Effect<Handlers, never, DavState> = Effect.map(
  DavState,
  (state): Handlers => ({
    "dav.lock": state.lock,
    "dav.refresh": state.refresh,
    "dav.unlock": state.unlock,
    "dav.locks": state.locks,
    "dav.properties": state.properties,
    "dav.change": state.change,
    "dav.copied": state.copied,
    "dav.follow": state.follow,
    "dav.claim": state.claim,
  }),
);

/** In a worker: locks and dead properties of the main thread. */
export const remoteDavState: Layer.Layer<DavState, never, Hub> = Layer.effect(
  DavState,
  Effect.map(Hub, (hub) =>
    DavState.of({
      lock: (...args) => hub.call("dav.lock", ...args),
      refresh: (...args) => hub.call("dav.refresh", ...args),
      unlock: (...args) => hub.call("dav.unlock", ...args),
      locks: (...args) => hub.call("dav.locks", ...args),
      properties: (...args) => hub.call("dav.properties", ...args),
      change: (...args) => hub.call("dav.change", ...args),
      copied: (...args) => hub.call("dav.copied", ...args),
      follow: (owner) => hub.call("dav.follow", owner),
      claim: (...args) => hub.call("dav.claim", ...args),
      expire: Effect.dieMessage("dav.expire is the main thread's"),
    })),
);
