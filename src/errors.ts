import { Data } from "effect";

/** Why a file operation failed. Closed: every protocol maps each member and nothing else. */
export type FsReason =
  | "NotFound"
  | "Denied"
  | "ReadOnly"
  | "AlreadyExists"
  | "NotEmpty"
  | "IsDirectory"
  | "NotDirectory"
  | "InvalidPath"
  | "NameTooLong"
  | "QuotaExceeded"
  | "TooLarge"
  | "Locked"
  | "Busy"
  | "Unsupported"
  | "Conflict"
  | "Aborted"
  | "Unavailable"
  | "Corrupt";

/**
 * Failure of one file operation.
 *
 * `path` is the virtual path the client named, `detail` is a sentence safe to
 * show to that client, `cause` is for logs and never leaves the process.
 */
export class FsError extends Data.TaggedError("FsError")<{
  readonly reason: FsReason;
  readonly op: string;
  readonly path: string;
  readonly detail?: string;
  readonly cause?: unknown;
}> {
  override get message(): string {
    return `${this.op} ${this.path}: ${this.detail ?? this.reason}`;
  }
  /** Only these are worth another try; everything else is the caller's fault. */
  get retryable(): boolean {
    return this.reason === "Busy" || this.reason === "Unavailable";
  }
}

/** A login was refused. `reason` is for the journal; clients only learn that it failed. */
export class AuthError extends Data.TaggedError("AuthError")<{
  readonly reason: string;
  readonly username: string;
  readonly cause?: unknown;
}> {
  override get message(): string {
    return `login of ${JSON.stringify(this.username)} refused: ${this.reason}`;
  }
}

/** One thing wrong with the configuration: where it is, what it is, what to do. */
export interface ConfigProblem {
  /** Dotted key, environment variable or flag, as the operator wrote it. */
  readonly where: string;
  readonly what: string;
}

/** The configuration cannot be used. Carries every problem found, not just the first. */
export class ConfigError extends Data.TaggedError("ConfigError")<{
  readonly problems: ReadonlyArray<ConfigProblem>;
}> {
  override get message(): string {
    return this.problems.map((p) => `${p.where}: ${p.what}`).join("\n");
  }
}

/** Why a request to the catalog (the database) failed. */
export type CatalogReason =
  | "NotFound"
  | "Duplicate"
  /** Something still refers to it. */
  | "InUse"
  | "Invalid"
  | "Busy"
  | "Corrupt"
  | "NewerSchema"
  | "Unavailable";

/** Failure of one catalog request. `Invalid` names the offending field in `detail`. */
export class CatalogError extends Data.TaggedError("CatalogError")<{
  readonly reason: CatalogReason;
  readonly op: string;
  readonly detail: string;
  readonly cause?: unknown;
}> {
  override get message(): string {
    return `${this.op}: ${this.detail}`;
  }
}

/** The mailbox was full, or the actor has stopped. */
export class ActorBusy extends Data.TaggedError("ActorBusy")<{ readonly name: string }> {
  override get message(): string {
    return `${this.name} is busy or has stopped; try again later`;
  }
}
