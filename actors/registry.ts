import { Context, Data, Effect, Layer, Option, type Scope } from "effect";
import { Config } from "../src/config/config.ts";
import type { SessionInfo } from "../src/model/session.ts";

/** Why a connection or a session was not admitted. */
export type Refusal = "total" | "per_host" | "startups" | "per_user" | "draining";

/** A connection was not admitted. */
export class Refused extends Data.TaggedError("Refused")<{ readonly refusal: Refusal }> {}

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

/** Who is connected: exact counts, listing, kicking, draining. Admission is atomic. */
export class Registry extends Context.Tag("sluice/Registry")<Registry, {
  readonly admit: (
    peer: { readonly ip: string; readonly protocol: string },
  ) => Effect.Effect<Seat, Refused, Scope.Scope>;
  /** Makes a logged-in session visible until the scope closes. */
  readonly enter: (live: Live) => Effect.Effect<void, never, Scope.Scope>;
  readonly list: Effect.Effect<ReadonlyArray<SessionInfo>>;
  /** Closes by session id, or by a listed `connection_id`; false when there is none. */
  readonly kick: (id: string, why: string) => Effect.Effect<boolean>;
  /** Closes all sessions of a user; answers how many. */
  readonly kickUser: (username: string, why: string) => Effect.Effect<number>;
  /** Refuses newcomers, waits until no transfer runs or `seconds` passed, then closes all. */
  readonly drain: (seconds: number) => Effect.Effect<void>;
}>() {
  static readonly layer = Layer.effect(
    Registry,
    Effect.map(Config, ({ common, sftpd }) =>
      Registry.of(make({
        total: common.max_total_connections,
        perHost: common.max_per_host_connections,
        startups: sftpd.max_startups,
      }))),
  );
}

/** Caps; 0 is no cap. */
interface Caps {
  readonly total: number;
  readonly perHost: number;
  readonly startups: number;
}

/** Each change is one synchronous step, so that no burst passes a cap. */
class Counts {
  #counts = new Map<string, number>();
  get(key: string): number {
    return this.#counts.get(key) ?? 0;
  }
  add(key: string, by: 1 | -1): void {
    const next = this.get(key) + by;
    if (next > 0) this.#counts.set(key, next);
    else this.#counts.delete(key);
  }
}

const full = (cap: number, count: number) => cap > 0 && count >= cap;

const make = (caps: Caps): Context.Tag.Service<typeof Registry> => {
  const hosts = new Counts();
  const users = new Counts();
  const live = new Set<Live>();
  let total = 0;
  let startups = 0;
  let draining = false;

  const refusal = (ip: string): Refusal | undefined => {
    if (draining) return "draining";
    if (full(caps.total, total)) return "total";
    if (full(caps.perHost, hosts.get(ip))) return "per_host";
    if (full(caps.startups, startups)) return "startups";
    return undefined;
  };

  /** A seat, and what gives back all that it took. */
  const take = (ip: string): { seat: Seat; leave: () => void } => {
    total += 1;
    startups += 1;
    hosts.add(ip, 1);
    let user: { name: string; max: number } | undefined;
    const sit = (name: string, max: number): Option.Option<Refusal> => {
      if (draining) return Option.some("draining");
      if (full(max, users.get(name))) return Option.some("per_user");
      users.add(name, 1);
      return Option.none();
    };
    const seat: Seat = {
      id: crypto.randomUUID().replaceAll("-", "").slice(0, 20),
      login: (name, max) =>
        Effect.sync(() => {
          const refused = sit(name, max);
          if (Option.isNone(refused)) {
            user = { name, max };
            startups -= 1;
          }
          return refused;
        }),
      another: Effect.acquireRelease(
        Effect.sync(() => user ? sit(user.name, user.max) : Option.some<Refusal>("per_user")),
        (refused) =>
          Effect.sync(() => {
            if (user && Option.isNone(refused)) users.add(user.name, -1);
          }),
      ),
    };
    const leave = () => {
      total -= 1;
      hosts.add(ip, -1);
      if (user) users.add(user.name, -1);
      else startups -= 1;
    };
    return { seat, leave };
  };

  const rows = () => [...live].flatMap((session) => session.rows());
  const close = (sessions: ReadonlyArray<Live>, why: string) =>
    Effect.forEach(sessions, (session) => session.close(why), {
      concurrency: "unbounded",
      discard: true,
    });
  const busy = () => rows().some((row) => row.active_transfers.length > 0);

  return {
    admit: ({ ip }) =>
      Effect.map(
        Effect.acquireRelease(
          Effect.suspend(() => {
            const refused = refusal(ip);
            return refused ? new Refused({ refusal: refused }) : Effect.succeed(take(ip));
          }),
          ({ leave }) => Effect.sync(leave),
        ),
        ({ seat }) => seat,
      ),
    enter: (session) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          live.add(session);
        }),
        () => Effect.sync(() => live.delete(session)),
      ),
    list: Effect.sync(rows),
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
    drain: (seconds) =>
      Effect.gen(function* () {
        draining = true;
        const quiet = Effect.gen(function* () {
          while (busy()) yield* Effect.sleep("100 millis");
        });
        yield* Effect.timeoutOption(quiet, `${seconds} seconds`);
        yield* close([...live], "the server is stopping");
      }),
  };
};
