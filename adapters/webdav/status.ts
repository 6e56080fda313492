import { Data } from "effect";
import { httpPhrases, httpStatuses } from "../../actors/http_status.ts";
import type { FsError } from "../../src/errors.ts";

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

/** MKCOL where something is (RFC 4918 section 9.3.1); conditions that fail are 412 where they are looked at. */
const statuses = { ...httpStatuses, AlreadyExists: 405 };

export const statusOf = (error: FsError | DavError): number =>
  error._tag === "DavError" ? error.status : statuses[error.reason];

/** `HTTP/1.1 404 Not Found`, as multistatus answers hold it. */
export const statusLine = (status: number): string =>
  `HTTP/1.1 ${status} ${httpPhrases[status] ?? "Status"}`;

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
    ? error.text ?? httpPhrases[status] ?? "refused"
    : error.detail ?? httpPhrases[status] ?? "failed";
  return new Response(`${text}\n`, { status, headers });
};
