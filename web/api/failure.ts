import { Data } from "effect";
import type { Refused } from "../../actors/registry.ts";
import type { CatalogError, FsError, FsReason } from "../../src/errors.ts";
import type { KeyFileError } from "../../src/identity/key_files.ts";
import type { Unauthorised } from "./bearer.ts";

/** A request is refused with this status, by the API itself and not by the files' policy. */
export class ApiError extends Data.TaggedError("ApiError")<{
  readonly status: number;
  /** A sentence for the client. */
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}> {}

export const refuse = (
  status: number,
  text: string,
  headers?: Readonly<Record<string, string>>,
): ApiError => new ApiError({ status, text, ...(headers ? { headers } : {}) });

/** All that a route may fail with. */
export type Failure = ApiError | FsError | Unauthorised | CatalogError | KeyFileError | Refused;

/** HTTP status of every reason (ARCHITECTURE section 7). */
const statuses = {
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

const titles: Readonly<Record<number, string>> = {
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
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  507: "Insufficient Storage",
};

/** What the client may know of a failure. */
const told = (failure: Failure): ApiError => {
  switch (failure._tag) {
    case "ApiError":
      return failure;
    case "FsError": {
      const status = statuses[failure.reason];
      return refuse(status, failure.detail ?? titles[status] ?? failure.reason);
    }
    case "Unauthorised":
      return refuse(401, failure.why, { "www-authenticate": 'Bearer realm="Sluice"' });
    case "Refused":
      return failure.refusal.startsWith("per_")
        ? refuse(429, "too many sessions")
        : refuse(503, "the server is busy");
    case "CatalogError":
    case "KeyFileError":
      return refuse(503, "the accounts cannot be read now");
  }
};

/**
 * The answer to a request that failed: ApiResponse of API-V2, or problem
 * details (RFC 9457) for who prefers them.
 */
export const failureResponse = (
  failure: Failure,
  request: { readonly headers: Headers },
  requestId: string,
): Response => {
  const { status, text, headers = {} } = told(failure);
  const title = titles[status] ?? "Error";
  const problem = request.headers.get("accept")?.includes("application/problem+json") === true;
  const body = problem
    ? { type: "about:blank", title, status, detail: text, request_id: requestId }
    : { message: text, error: title };
  return new Response(JSON.stringify(body) + "\n", {
    status,
    headers: {
      "content-type": problem ? "application/problem+json" : "application/json; charset=utf-8",
      "cache-control": "no-store",
      ...(status === 503 || status === 429 ? { "retry-after": "1" } : {}),
      ...headers,
    },
  });
};

/** The answer to a request that was done and has nothing to show. */
export const done = (message: string, status = 200): Response => json({ message }, status);

export const json = (value: unknown, status = 200): Response =>
  new Response(JSON.stringify(value) + "\n", {
    status,
    headers: { "content-type": "application/json; charset=utf-8", "cache-control": "no-store" },
  });
