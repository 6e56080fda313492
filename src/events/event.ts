import type { Protocol } from "../model/session.ts";

/** Groups of actions, for filters and subscriptions. */
export type EventKind = "fs" | "provider" | "login" | "session" | "defender";

export type EventAction =
  | "session.opened"
  | "session.ended"
  | "login.succeeded"
  | "login.failed"
  | "upload"
  | "download"
  | "delete"
  | "rename"
  | "mkdir"
  | "rmdir"
  | "copy"
  | "ssh_cmd"
  | "provider.add"
  | "provider.update"
  | "provider.delete"
  /** The defender banned `ip` (BEHAVIOUR DEF-12): nobody's name is known. */
  | "defender.banned";

/** 1 ok, 2 error, 3 quota exceeded (API-V2.md, FsEventStatus). */
export type EventStatus = 1 | 2 | 3;

/** A fact as its producer knows it. Sequence number and time are added by the journal. */
export interface NewEvent {
  readonly action: EventAction;
  readonly status: EventStatus;
  /** Empty where nobody is logged in yet. */
  readonly username: string;
  readonly ip?: string;
  readonly protocol?: Protocol;
  readonly session_id?: string;
  readonly virtual_path?: string;
  readonly virtual_target_path?: string;
  readonly ssh_cmd?: string;
  /** Bytes. */
  readonly file_size?: number;
  /** SHA-256 of an upload's content, hex, where it was computed while streaming. */
  readonly checksum?: string;
  /** Milliseconds. */
  readonly elapsed?: number;
  /** Login method, for login events (API-V2.md, LoginMethods). */
  readonly method?: string;
  readonly object_type?: string;
  readonly object_name?: string;
  /** Why it failed or ended; never a secret, never a server path. */
  readonly message?: string;
}

/** A journalled fact. */
export interface Event extends NewEvent {
  /** Sequence number: strictly increasing, the journal's order. */
  readonly id: number;
  /** Unix milliseconds. */
  readonly timestamp: number;
  readonly kind: EventKind;
}

export const kindOf = (action: EventAction): EventKind =>
  action.startsWith("provider.")
    ? "provider"
    : action.startsWith("login.")
    ? "login"
    : action.startsWith("session.")
    ? "session"
    : action.startsWith("defender.")
    ? "defender"
    : "fs";
