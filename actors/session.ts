import { Deferred, Effect, type Exit, type Scope } from "effect";
import type { ActorBusy } from "../src/errors.ts";
import { endThread } from "../src/escapes.ts";
import { Journal } from "../src/events/journal.ts";
import { fault } from "../src/failpoint.ts";
import { Identity } from "../src/identity/identity.ts";
import type { Principal, Protocol, SessionInfo } from "../src/model/session.ts";
import type { TransferObserver } from "../src/vfs/vfs.ts";
import { type Actor, spawn } from "./actor.ts";
import { Registry, type Seat } from "./registry.ts";
import { trackTransfers, type Transfers } from "./transfer.ts";
import { monotonic, stopwatch, unixTime } from "../src/monotonic.ts";

/** Control operations that may wait in one session's mailbox. */
const MAILBOX = 256;
/** Milliseconds between looks at whether the user may stay (BEHAVIOUR CONN-07). */
const POLICY_EVERY = 60_000;

/** What ticks once a second for everybody, so that no connection needs timers of its own. */
export interface Wheel {
  /** Calls `tick` with the time of {@linkcode monotonic} until the scope closes. */
  readonly every: (tick: (now: number) => void) => Effect.Effect<void, never, Scope.Scope>;
}

/** Starts a wheel; it stops with the scope. */
export const makeWheel: Effect.Effect<Wheel, never, Scope.Scope> = Effect.gen(function* () {
  const ticks = new Set<(now: number) => void>();
  const turn = Effect.gen(function* () {
    yield* Effect.sleep("1 second");
    const now = yield* Effect.sync(monotonic);
    for (const tick of ticks) {
      yield* Effect.catchAllCause(
        Effect.sync(() => tick(now)),
        (cause) => Effect.logError("a timer failed", cause),
      );
    }
  });
  yield* Effect.forkScoped(Effect.forever(turn));
  return {
    every: (tick) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          ticks.add(tick);
        }),
        () => Effect.sync(() => ticks.delete(tick)),
      ),
  };
});

/** Who has logged in, and how to reach the connection underneath. */
export interface SessionOptions {
  readonly seat: Seat;
  readonly username: string;
  /** The connection's own protocol; its channels may have others. */
  readonly protocol: Protocol;
  readonly ip: string;
  readonly remoteAddress: string;
  readonly clientVersion: string;
  /** Minutes; 0 never (BEHAVIOUR CONN-06). */
  readonly idleMinutes: number;
  /** Closes the socket. The session's scope is expected to close soon after. */
  readonly hangUp: (why: string) => Effect.Effect<void>;
  readonly wheel: Wheel;
  /** Where timers start effects; ends with the scope. */
  readonly fork: (effect: Effect.Effect<void>) => void;
}

/** One channel's place in a session. */
export interface Lane {
  readonly principal: Principal;
  readonly observer: TransferObserver;
}

/** A logged-in session: ready, then draining, then closed. Its end is the end of its scope. */
export interface Session {
  readonly id: string;
  /** Runs one control operation, after those before it; ActorBusy when too many wait. */
  readonly control: <A, E>(operation: Effect.Effect<A, E>) => Effect.Effect<A, E | ActorBusy>;
  /** The same for callbacks: `done` hears once how it ended. */
  readonly submit: <A, E>(
    operation: Effect.Effect<A, E>,
    done: (exit: Exit.Exit<A, E | ActorBusy>) => void,
  ) => void;
  /** Opens a lane, listed until the scope closes. */
  readonly lane: (
    protocol: Protocol,
    command: string,
  ) => Effect.Effect<Lane, never, Scope.Scope>;
  /** Notes that the client did something. Cheap: called for every packet. */
  readonly active: () => void;
  readonly state: () => "ready" | "draining" | "closed";
  /** Ends the session; the first reason given is the one recorded. */
  readonly end: (why: string) => Effect.Effect<void>;
}

interface ListedLane {
  readonly id: string;
  readonly protocol: Protocol;
  readonly command: string;
  readonly since: number;
  readonly transfers: Transfers;
}

/**
 * Opens a session for a user who has just logged in: its mailbox, its place in
 * the registry, its timers, and its two events. A defect in a control operation
 * ends this session and no other.
 */
export const openSession = (
  options: SessionOptions,
): Effect.Effect<Session, never, Scope.Scope | Journal | Identity | Registry> =>
  Effect.gen(function* () {
    const journal = yield* Journal;
    const identity = yield* Identity;
    const registry = yield* Registry;
    const { username, protocol, ip, seat } = options;
    const id = `${protocol}_${seat.id}`;
    const started = Date.now();
    const elapsed = stopwatch();
    const lanes = new Map<string, ListedLane>();
    const ended = yield* Deferred.make<void>();
    let lastActivity = monotonic();
    let lanesOpened = 0;
    let nextPolicy = lastActivity + POLICY_EVERY;
    let state: "ready" | "draining" | "closed" = "ready";
    let reason = "the client disconnected";
    const active = () => {
      lastActivity = monotonic();
    };

    yield* journal.record({
      action: "session.opened",
      status: 1,
      username,
      ip,
      protocol,
      session_id: id,
    });
    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        Effect.suspend(() => {
          state = "closed";
          return journal.record({
            action: "session.ended",
            status: 1,
            username,
            ip,
            protocol,
            session_id: id,
            elapsed: elapsed(),
            message: reason,
          });
        }),
        Deferred.succeed(ended, undefined),
      )
    );

    const end = (why: string) =>
      Effect.suspend(() => {
        if (state === "ready") {
          state = "draining";
          reason = why;
        }
        return options.hangUp(why);
      });

    const row = (lane: ListedLane | undefined): SessionInfo => ({
      connection_id: lane?.id ?? id,
      username,
      client_version: options.clientVersion,
      remote_address: options.remoteAddress,
      connection_time: lane?.since ?? started,
      last_activity: unixTime(lastActivity),
      protocol: lane?.protocol ?? protocol,
      command: lane?.command ?? "",
      active_transfers: lane?.transfers.list() ?? [],
    });
    yield* registry.enter({
      id,
      rows: () => lanes.size > 0 ? [...lanes.values()].map(row) : [row(undefined)],
      close: (why) => Effect.andThen(end(why), Deferred.await(ended)),
    });

    const actor: Actor<Effect.Effect<unknown, unknown>, unknown> = yield* spawn(
      id,
      MAILBOX,
      (operation: Effect.Effect<unknown, unknown>) =>
        Effect.suspend(() => {
          active();
          if (fault("worker.die", username) === "die") {
            endThread(new Error("failpoint worker.die"));
            return Effect.never;
          }
          if (fault("session.escape", username) === "die") {
            Promise.reject(new Error("failpoint session.escape"));
          }
          return fault("session.control", username) === "die"
            ? Effect.die(new Error("failpoint session.control"))
            : operation;
        }),
      (cause) =>
        Effect.andThen(
          Effect.logError("session ended by a defect", cause).pipe(
            Effect.annotateLogs({ session: id, username }),
          ),
          end("internal error"),
        ),
    );

    const policy = identity.stillAllowed(username).pipe(
      Effect.catchAll(() => Effect.succeed(true)),
      Effect.flatMap((allowed) => allowed ? Effect.void : end("the user may no longer log in")),
    );
    const idleAfter = options.idleMinutes * 60_000;
    yield* options.wheel.every((now) => {
      if (state !== "ready") return;
      for (const lane of lanes.values()) if (lane.transfers.running()) lastActivity = now;
      if (idleAfter > 0 && now - lastActivity > idleAfter) {
        options.fork(end("idle for too long"));
      } else if (now >= nextPolicy) {
        nextPolicy = now + POLICY_EVERY;
        options.fork(policy);
      }
    });

    return {
      id,
      control: <A, E>(operation: Effect.Effect<A, E>) =>
        actor.ask<A>(operation) as Effect.Effect<A, E | ActorBusy>,
      submit: <A, E>(
        operation: Effect.Effect<A, E>,
        done: (exit: Exit.Exit<A, E | ActorBusy>) => void,
      ) => actor.tell(operation, (exit) => done(exit as Exit.Exit<A, E | ActorBusy>)),
      lane: (laneProtocol, command) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            const lane: ListedLane = {
              id: `${laneProtocol}_${seat.id}_${++lanesOpened}`,
              protocol: laneProtocol,
              command,
              since: Date.now(),
              transfers: trackTransfers(active),
            };
            lanes.set(lane.id, lane);
            return lane;
          }),
          (lane) => Effect.sync(() => lanes.delete(lane.id)),
        ).pipe(Effect.map((lane) => ({
          principal: { sessionId: lane.id, username, protocol: laneProtocol, ip },
          observer: lane.transfers.observer,
        }))),
      active,
      state: () => state,
      end,
    };
  });
