import { Data } from "effect";
import type { FsError, FsReason } from "../../src/errors.ts";

/** A request ends with this status; `condition` is an element of RFC 4918 section 16. */
export class DavError extends Data.TaggedError("DavError")<{
  readonly status: number;
  readonly text?: string;
  readonly condition?: string;
}> {}

export const refuse = (status: number, text?: string, condition?: string): DavError =>
  new DavError({
    status,
    ...(text === undefined ? {} : { text }),
    ...(condition === undefined ? {} : { condition }),
  });

/** HTTP status of every reason (ARCHITECTURE section 7). */
const statuses = {
  NotFound: 404,
  Denied: 403,
  ReadOnly: 403,
  AlreadyExists: 405,
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

export const statusOf = (error: FsError | DavError): number =>
  error._tag === "DavError" ? error.status : statuses[error.reason];

const phrases: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  412: "Precondition Failed",
  413: "Content Too Large",
  423: "Locked",
  424: "Failed Dependency",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  507: "Insufficient Storage",
};

/** `HTTP/1.1 404 Not Found`, as multistatus answers hold it. */
export const statusLine = (status: number): string =>
  `HTTP/1.1 ${status} ${phrases[status] ?? "Status"}`;

/** The answer to a request that failed. Says only what the client may know. */
export const failure = (error: FsError | DavError): Response => {
  const status = statusOf(error);
  const headers: Record<string, string> = status === 503 || status === 429
    ? { "retry-after": "1" }
    : {};
  if (error._tag === "DavError" && error.condition !== undefined) {
    const body = `<?xml version="1.0" encoding="utf-8"?>\n` +
      `<D:error xmlns:D="DAV:">${error.condition}</D:error>\n`;
    headers["content-type"] = "application/xml; charset=utf-8";
    return new Response(body, { status, headers });
  }
  const text = error._tag === "DavError"
    ? error.text ?? phrases[status] ?? "refused"
    : error.detail ?? phrases[status] ?? "failed";
  return new Response(`${text}\n`, { status, headers });
};
