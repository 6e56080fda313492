import { Array, Context, Effect, Layer, type Scope } from "effect";
import { Config } from "../src/config/config.ts";
import { Guard, type GuardShape } from "../src/guard/guard.ts";
import type { SessionInfo } from "../src/model/session.ts";
import {
  admitTo,
  capsOf,
  emptied,
  localSessions,
  Refused,
  Registry,
  type Sessions,
  takeGuarded,
} from "./registry.ts";
import { type Handlers, Hub, type Peer } from "./rpc.ts";
import { type Refusal, Seats } from "./seats.ts";

/** How workers take part in the registry of the main thread. */
export class Branches extends Context.Tag("sluice/Branches")<Branches, {
  /** What one worker may ask. Closing the scope gives back every seat it took. */
  readonly handlers: Effect.Effect<Handlers, never, Scope.Scope>;
  /** Lists, kicks and drains the sessions behind `peer` too, until the scope closes. */
  readonly join: (peer: Peer) => Effect.Effect<void, never, Scope.Scope>;
  /** Asks all that have joined; what one that goes away meanwhile would have said is left out. */
  readonly askAll: <A>(
    method: string,
    ...args: ReadonlyArray<unknown>
  ) => Effect.Effect<ReadonlyArray<A>>;
}>() {}

/** The registry of a main thread that serves nobody itself: all sessions are in the workers. */
export const hubRegistry: Layer.Layer<Registry | Branches, never, Config | Guard> = Layer
  .effectContext(
    Effect.map(Effect.all([Config, Guard]), ([settings, guard]) => {
      const seats = new Seats(capsOf(settings));
      const peers = new Set<Peer>();
      const all = overAll(peers);
      const refused = new Refused({ refusal: "draining" });
      return Context.make(
        Registry,
        Registry.of({
          ...all,
          admit: () => refused,
          enter: () => Effect.void,
          drain: (seconds) =>
            Effect.andThen(Effect.sync(() => seats.drain()), emptied(all, seconds)),
        }),
      ).pipe(Context.add(
        Branches,
        Branches.of({
          handlers: seatHandlers(seats, guard),
          join: (peer) =>
            Effect.asVoid(Effect.acquireRelease(
              Effect.sync(() => peers.add(peer)),
              () => Effect.sync(() => peers.delete(peer)),
            )),
          askAll: <A>(method: string, ...args: ReadonlyArray<unknown>) =>
            Effect.map(
              Effect.suspend(() =>
                Effect.forEach([...peers], (peer) => Effect.option(peer.ask<A>(method, ...args)), {
                  concurrency: "unbounded",
                })
              ),
              Array.getSomes,
            ),
        }),
      ));
    }),
  );

const seatHandlers = (
  seats: Seats,
  guard: GuardShape,
): Effect.Effect<Handlers, never, Scope.Scope> =>
  Effect.gen(function* () {
    const taken = new Set<string>();
    const take = takeGuarded(seats, guard);
    let gone = false;
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        gone = true;
        for (const id of taken) seats.leave(id);
      })
    );
    return {
      "registry.take": (ip: string, protocol: string) =>
        Effect.tap(take(ip, protocol), (answer) => {
          if (!("id" in answer)) return;
          // The guard may keep one waiting for longer than its worker lives.
          if (gone) seats.leave(answer.id);
          else taken.add(answer.id);
        }),
      "registry.login": (id: string, name: string, max: number) =>
        Effect.succeed(seats.login(id, name, max)),
      "registry.another": (id: string) => Effect.succeed(seats.another(id)),
      "registry.oneLess": (id: string) => Effect.succeed(seats.oneLess(id)),
      "registry.leave": (id: string) => {
        taken.delete(id);
        return Effect.succeed(seats.leave(id));
      },
    };
  });

/** A worker that goes away while it is asked has no sessions any more. */
const remoteSessions = (peer: Peer): Sessions => {
  const ask = <A>(gone: A, method: string, ...args: ReadonlyArray<unknown>) =>
    Effect.catchAll(peer.ask<A>(method, ...args), () => Effect.succeed(gone));
  return {
    list: ask<ReadonlyArray<SessionInfo>>([], "sessions.list"),
    kick: (id, why) => ask(false, "sessions.kick", id, why),
    kickUser: (username, why) => ask(0, "sessions.kickUser", username, why),
    closeAll: (why) => ask<void>(undefined, "sessions.closeAll", why),
  };
};

const overAll = (peers: ReadonlySet<Peer>): Sessions => {
  const each = <A>(ask: (sessions: Sessions) => Effect.Effect<A>) =>
    Effect.suspend(() =>
      Effect.forEach([...peers].map(remoteSessions), ask, { concurrency: "unbounded" })
    );
  return {
    list: Effect.map(each((sessions) => sessions.list), (lists) => lists.flat()),
    kick: (id, why) =>
      Effect.map(each((sessions) => sessions.kick(id, why)), (found) => found.includes(true)),
    kickUser: (username, why) =>
      Effect.map(
        each((sessions) => sessions.kickUser(username, why)),
        (counts) => counts.reduce((sum, count) => sum + count, 0),
      ),
    closeAll: (why) => Effect.asVoid(each((sessions) => sessions.closeAll(why))),
  };
};

/** What the main thread asks of a worker's sessions. */
export const sessionHandlers = (sessions: Sessions): Handlers => ({
  "sessions.list": () => sessions.list,
  "sessions.kick": sessions.kick,
  "sessions.kickUser": sessions.kickUser,
  "sessions.closeAll": sessions.closeAll,
});

/** A worker's sessions, as its own handlers need them. */
export class OwnSessions extends Context.Tag("sluice/OwnSessions")<OwnSessions, Sessions>() {}

/** The registry of a worker: seats are counted by the main thread, sessions are its own. */
export const workerRegistry: Layer.Layer<Registry | OwnSessions, never, Hub> = Layer.effectContext(
  Effect.map(Hub, (hub) => {
    const here = localSessions();
    const admit = admitTo({
      take: (ip, protocol) => hub.call("registry.take", ip, protocol),
      login: (id, name, max) => hub.call<Refusal | undefined>("registry.login", id, name, max),
      another: (id) => hub.call<Refusal | undefined>("registry.another", id),
      oneLess: (id) => Effect.sync(() => hub.send("registry.oneLess", id)),
      leave: (id) => Effect.sync(() => hub.send("registry.leave", id)),
    });
    return Context.make(
      Registry,
      Registry.of({
        ...here.sessions,
        enter: here.enter,
        admit,
        drain: (seconds) => emptied(here.sessions, seconds),
      }),
    ).pipe(Context.add(OwnSessions, here.sessions));
  }),
);
