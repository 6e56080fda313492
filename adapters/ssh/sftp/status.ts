import { Cause, Option } from "effect";
import type { ActorBusy, FsError, FsReason } from "../../../src/errors.ts";
import { printable } from "../../../src/vpath.ts";
import { code, type StatusCode } from "./protocol.ts";

/** A status code and the sentence that goes with it. */
export interface Status {
  readonly code: StatusCode;
  readonly message: string;
}

/** Status and wording of every reason (ARCHITECTURE section 7). */
const reasons = {
  NotFound: { code: code.noSuchFile, message: "No such file or directory" },
  Denied: { code: code.permissionDenied, message: "Permission denied" },
  ReadOnly: { code: code.permissionDenied, message: "Read-only" },
  AlreadyExists: { code: code.failure, message: "The target exists already" },
  NotEmpty: { code: code.failure, message: "Directory not empty" },
  IsDirectory: { code: code.failure, message: "Is a directory" },
  NotDirectory: { code: code.failure, message: "Not a directory" },
  InvalidPath: { code: code.failure, message: "Invalid path" },
  NameTooLong: { code: code.failure, message: "Name too long" },
  QuotaExceeded: { code: code.failure, message: "Quota exceeded" },
  TooLarge: { code: code.failure, message: "Too large" },
  Locked: { code: code.failure, message: "Locked by another client" },
  Busy: { code: code.failure, message: "Busy, try again later" },
  Unsupported: { code: code.unsupported, message: "Operation not supported" },
  Conflict: { code: code.failure, message: "Conflicts with another change" },
  Aborted: { code: code.failure, message: "Aborted" },
  Unavailable: { code: code.failure, message: "Storage unavailable, try again later" },
  Corrupt: { code: code.failure, message: "Stored data is damaged" },
} as const satisfies Record<FsReason, Status>;

/** What a client is told of a failure. `cause` is never part of it. */
export const statusOf = (error: FsError | ActorBusy): Status => {
  if (error._tag === "ActorBusy") {
    return { code: code.failure, message: "Server busy, try again later" };
  }
  const { code: status, message } = reasons[error.reason];
  return { code: status, message: error.detail ? printable(error.detail).slice(0, 500) : message };
};

export const internalError: Status = { code: code.failure, message: "Internal error" };

/** The same for a whole cause: a defect is an internal error and tells nothing. */
export const statusOfCause = (cause: Cause.Cause<FsError | ActorBusy>): Status =>
  Option.match(Cause.failureOption(cause), { onNone: () => internalError, onSome: statusOf });
