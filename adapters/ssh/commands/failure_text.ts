import type { ActorBusy, FsError, FsReason } from "../../../src/errors.ts";
import { printable } from "../../../src/vpath.ts";

/** What went wrong, in the words that command line users know; never the cause. */
export const failureText = (error: FsError | ActorBusy): string =>
  error._tag === "ActorBusy"
    ? "Server is busy, try again later"
    : printable(error.detail ?? sentences[error.reason]);

const sentences = {
  NotFound: "No such file or directory",
  Denied: "Permission denied",
  ReadOnly: "Read-only file system",
  AlreadyExists: "File exists",
  NotEmpty: "Directory not empty",
  IsDirectory: "Is a directory",
  NotDirectory: "Not a directory",
  InvalidPath: "Invalid path",
  NameTooLong: "File name too long",
  QuotaExceeded: "Disk quota exceeded",
  TooLarge: "File too large",
  Locked: "File is locked",
  Busy: "Resource busy, try again later",
  Unsupported: "Operation not supported",
  Conflict: "Changed by someone else meanwhile",
  Aborted: "Transfer aborted",
  Unavailable: "Storage unavailable",
  Corrupt: "Stored data is damaged",
} satisfies Record<FsReason, string>;
