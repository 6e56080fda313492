import { Context, type Effect, type Option, type Scope } from "effect";
import type { SessionInfo } from "../src/model/session.ts";

/** Why a connection or a session was not admitted. */
export type Refusal = "total" | "per_host" | "startups" | "per_user" | "draining";

/** One admitted connection's place in the counts; given back when its scope closes. */
export interface Seat {
  readonly id: string;
  /** Takes a place of `username` too; a refusal leaves the counts as they were. */
  readonly login: (
    username: string,
    maxSessions: number,
  ) => Effect.Effect<Option.Option<Refusal>>;
}

/** What the registry needs to know of a live session. */
export interface Live {
  readonly id: string;
  readonly info: () => SessionInfo;
  /** Ends the session; resolves when its finalizers have run. */
  readonly close: (why: string) => Effect.Effect<void>;
}

/** Who is connected: exact counts, listing, kicking, draining. Admission is atomic. */
export class Registry extends Context.Tag("sluice/Registry")<Registry, {
  readonly admit: (
    peer: { readonly ip: string; readonly protocol: string },
  ) => Effect.Effect<Seat, { readonly _tag: "Refused"; readonly refusal: Refusal }, Scope.Scope>;
  /** Makes a logged-in session visible until the scope closes. */
  readonly enter: (live: Live) => Effect.Effect<void, never, Scope.Scope>;
  readonly list: Effect.Effect<ReadonlyArray<SessionInfo>>;
  /** Closes by session id; false when there is none. */
  readonly kick: (id: string, why: string) => Effect.Effect<boolean>;
  /** Closes all sessions of a user; answers how many. */
  readonly kickUser: (username: string, why: string) => Effect.Effect<number>;
  /** Refuses newcomers, waits until no transfer runs or `seconds` passed, then closes all. */
  readonly drain: (seconds: number) => Effect.Effect<void>;
}>() {}
