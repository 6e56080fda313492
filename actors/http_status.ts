import type { FsReason } from "../src/errors.ts";

/** HTTP status of every reason that a file operation fails with (ARCHITECTURE section 7). */
export const httpStatuses = {
  NotFound: 404,
  Denied: 403,
  ReadOnly: 403,
  AlreadyExists: 409,
  NotEmpty: 409,
  IsDirectory: 409,
  NotDirectory: 409,
  InvalidPath: 400,
  NameTooLong: 400,
  QuotaExceeded: 507,
  TooLarge: 413,
  Locked: 423,
  Busy: 503,
  Unsupported: 501,
  Conflict: 409,
  Aborted: 503,
  Unavailable: 503,
  Corrupt: 500,
} satisfies Record<FsReason, number>;

/** Reason phrases (RFC 9110 section 15, RFC 4918 section 11). */
export const httpPhrases: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  412: "Precondition Failed",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  423: "Locked",
  424: "Failed Dependency",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  507: "Insufficient Storage",
};
