import { Data } from "effect";
import { httpPhrases, httpStatuses } from "../../actors/http_status.ts";
import type { Refused } from "../../actors/registry.ts";
import type { CatalogError, FsError } from "../../src/errors.ts";
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

/** What the client may know of a failure. */
const told = (failure: Failure): ApiError => {
  switch (failure._tag) {
    case "ApiError":
      return failure;
    case "FsError": {
      const status = httpStatuses[failure.reason];
      return refuse(status, failure.detail ?? httpPhrases[status] ?? failure.reason);
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
  const title = httpPhrases[status] ?? "Error";
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
