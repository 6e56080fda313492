import { Context, Data, Effect, Layer, Option, type Scope } from "effect";
import { Config } from "../src/config/config.ts";
import { Guard, type GuardShape } from "../src/guard/guard.ts";
import { guardedAs } from "../src/guard/watchman.ts";
import type { SessionInfo } from "../src/model/session.ts";
import { type Caps, type Refusal, Seats } from "./seats.ts";

export type { Refusal } from "./seats.ts";

/** A connection was not admitted. */
export class Refused extends Data.TaggedError("Refused")<Refusing> {}

/** Why, and where it is known when to come again, in milliseconds. */
export interface Refusing {
  readonly refusal: Refusal;
  readonly retryIn?: number;
}

/** One admitted connection's place in the counts; given back when its scope closes. */
export interface Seat {
  readonly id: string;
  /** Takes a place of `username` too; a refusal leaves the counts as they were. */
  readonly login: (
    username: string,
    maxSessions: number,
  ) => Effect.Effect<Option.Option<Refusal>>;
  /** After `login`: takes a further place of that user until the scope closes (BEHAVIOUR SSH-02). */
  readonly another: Effect.Effect<Option.Option<Refusal>, never, Scope.Scope>;
}

/** What the registry needs to know of a live session. */
export interface Live {
  readonly id: string;
  /** What to list: a row for each channel in use, or one for the idle connection. */
  readonly rows: () => ReadonlyArray<SessionInfo>;
  /** Ends the session; resolves when its finalizers have run. */
  readonly close: (why: string) => Effect.Effect<void>;
}

/** Live sessions in one place: this thread, or a worker. */
export interface Sessions {
  readonly list: Effect.Effect<ReadonlyArray<SessionInfo>>;
  /** Closes by session id, or by a listed `connection_id`; false when there is none. */
  readonly kick: (id: string, why: string) => Effect.Effect<boolean>;
  /** Closes all sessions of a user; answers how many. */
  readonly kickUser: (username: string, why: string) => Effect.Effect<number>;
  /** Closes all of them; answers when their finalizers have run. */
  readonly closeAll: (why: string) => Effect.Effect<void>;
}

/** Who is connected: exact counts, listing, kicking, draining. Admission is atomic. */
export class Registry extends Context.Tag("sluice/Registry")<
  Registry,
  & Pick<Sessions, "list" | "kick" | "kickUser">
  & {
    readonly admit: (
      peer: { readonly ip: string; readonly protocol: string },
    ) => Effect.Effect<Seat, Refused, Scope.Scope>;
    /** Makes a logged-in session visible until the scope closes. */
    readonly enter: (live: Live) => Effect.Effect<void, never, Scope.Scope>;
    /** Refuses newcomers, waits until no transfer runs or `seconds` passed, then closes all. */
    readonly drain: (seconds: number) => Effect.Effect<void>;
  }
>() {
  /** The only one of a process that serves in one thread. */
  static readonly layer: Layer.Layer<Registry, never, Config | Guard> = Layer.effect(
    Registry,
    Effect.map(Effect.all([Config, Guard]), ([settings, guard]) => {
      const seats = new Seats(capsOf(settings));
      const here = localSessions();
      return Registry.of({
        ...here.sessions,
        enter: here.enter,
        admit: admitTo(ownCounter(seats, guard)),
        drain: (seconds) =>
          Effect.andThen(
            Effect.sync(() => seats.drain()),
            emptied(here.sessions, seconds),
          ),
      });
    }),
  );
}

/** The caps of the settings. */
export const capsOf = ({ common, sftpd, ftpd }: Config["Type"]): Caps => ({
  total: common.max_total_connections,
  perHost: common.max_per_host_connections,
  // Of a request only while its login is under way.
  startups: {
    SSH: sftpd.max_startups,
    FTP: ftpd.max_startups,
    DAV: sftpd.max_startups,
    HTTP: sftpd.max_startups,
  },
});

/** Where seats are counted: here, or in the main thread. */
export interface Counter {
  readonly take: (
    ip: string,
    protocol: string,
  ) => Effect.Effect<{ readonly id: string } | Refusing>;
  readonly login: (id: string, name: string, max: number) => Effect.Effect<Refusal | undefined>;
  readonly another: (id: string) => Effect.Effect<Refusal | undefined>;
  readonly oneLess: (id: string) => Effect.Effect<void>;
  readonly leave: (id: string) => Effect.Effect<void>;
}

/**
 * Takes a seat for whom the guard lets in: bans, allow list and rates first, so
 * that who is kept waiting holds no place (BEHAVIOUR CONN-02).
 */
export const takeGuarded = (seats: Seats, guard: GuardShape): Counter["take"] => (ip, protocol) =>
  Effect.gen(function* () {
    const visitor = { ip, protocol: guardedAs(protocol) };
    const turnedAway = yield* guard.admit(visitor);
    if (turnedAway) return turnedAway;
    return seats.take(ip, visitor.protocol);
  });

const ownCounter = (seats: Seats, guard: GuardShape): Counter => ({
  take: takeGuarded(seats, guard),
  login: (id, name, max) => Effect.sync(() => seats.login(id, name, max)),
  another: (id) => Effect.sync(() => seats.another(id)),
  oneLess: (id) => Effect.sync(() => seats.oneLess(id)),
  leave: (id) => Effect.sync(() => seats.leave(id)),
});

/** `admit` of a registry whose seats are counted by `counter`. */
export const admitTo = (counter: Counter): Registry["Type"]["admit"] => ({ ip, protocol }) =>
  Effect.acquireRelease(
    Effect.flatMap(
      counter.take(ip, protocol),
      (taken) => "refusal" in taken ? new Refused(taken) : Effect.succeed(taken.id),
    ),
    counter.leave,
  ).pipe(Effect.map((id): Seat => ({
    id,
    login: (name, max) => Effect.map(counter.login(id, name, max), Option.fromNullable),
    another: Effect.acquireRelease(
      Effect.map(counter.another(id), Option.fromNullable),
      (refused) => Option.isNone(refused) ? counter.oneLess(id) : Effect.void,
    ),
  })));

/** The sessions that this thread serves. */
export const localSessions = (): {
  readonly enter: Registry["Type"]["enter"];
  readonly sessions: Sessions;
} => {
  const live = new Set<Live>();
  const close = (sessions: ReadonlyArray<Live>, why: string) =>
    Effect.forEach(sessions, (session) => session.close(why), {
      concurrency: "unbounded",
      discard: true,
    });
  return {
    enter: (session) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          live.add(session);
        }),
        () => Effect.sync(() => live.delete(session)),
      ),
    sessions: {
      list: Effect.sync(() => [...live].flatMap((session) => session.rows())),
      kick: (id, why) =>
        Effect.suspend(() => {
          const found = [...live].filter((session) =>
            session.id === id || session.rows().some((row) => row.connection_id === id)
          );
          return Effect.as(close(found, why), found.length > 0);
        }),
      kickUser: (username, why) =>
        Effect.suspend(() => {
          const found = [...live].filter((session) =>
            session.rows().some((row) => row.username === username)
          );
          return Effect.as(close(found, why), found.length);
        }),
      closeAll: (why) => Effect.suspend(() => close([...live], why)),
    },
  };
};

/** Waits until no transfer runs or `seconds` passed, then closes all. */
export const emptied = (sessions: Sessions, seconds: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    const busy = Effect.map(
      sessions.list,
      (rows) => rows.some((row) => row.active_transfers.length > 0),
    );
    const quiet = Effect.gen(function* () {
      while (yield* busy) yield* Effect.sleep("100 millis");
    });
    yield* Effect.timeoutOption(quiet, `${seconds} seconds`);
    yield* sessions.closeAll("the server is stopping");
  });
