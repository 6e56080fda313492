import { Effect, type Scope } from "effect";
import { checkConditions, etagOf, sameVersion } from "../../actors/http_conditions.ts";
import { parseRanges } from "../../actors/http_ranges.ts";
import { responseBody } from "../../actors/response_body.ts";
import { basename } from "../../src/vpath.ts";
import { toRead } from "../../src/vfs/vfs.ts";
import type { Dav, DavFailure } from "./context.ts";
import { mediaType } from "./media_type.ts";

/**
 * GET and HEAD of a file (RFC 9110 sections 9.3.1, 14), with one range or
 * several. What is told is what was opened: the path's own size may be that of
 * an upload under way, and the name another file's by now.
 */
export const get = (
  dav: Dav,
): Effect.Effect<Response, DavFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const { request, vfs, target } = dav;
    const head = request.method === "HEAD";
    const handle = yield* vfs.open(target.path, toRead);
    const entry = yield* handle.stat();
    const headers = new Headers({
      "etag": etagOf(entry),
      "last-modified": new Date(entry.mtime).toUTCString(),
      "accept-ranges": "bytes",
      // A file of one user is never shown as a page of the server.
      "content-security-policy": "sandbox; default-src 'none'",
      "x-content-type-options": "nosniff",
    });
    const failed = checkConditions(request, entry);
    if (failed !== undefined) return new Response(null, { status: failed, headers });
    const type = mediaType(basename(target.path));
    const ranges = head || !sameVersion(request.headers, entry)
      ? undefined
      : parseRanges(request.headers.get("range"), entry.size);
    if (ranges?.length === 0) {
      headers.set("content-range", `bytes */${entry.size}`);
      return new Response(null, { status: 416, headers });
    }
    const first = ranges?.[0];
    if (!ranges || !first) {
      headers.set("content-type", type);
      headers.set("content-length", String(entry.size));
      if (head) return new Response(null, { headers });
      const body = yield* responseBody(handle, [{ from: 0, to: entry.size }]);
      return new Response(body, { headers });
    }
    if (ranges.length === 1) {
      headers.set("content-type", type);
      headers.set("content-range", `bytes ${first.from}-${first.to - 1}/${entry.size}`);
      headers.set("content-length", String(first.to - first.from));
      return new Response(yield* responseBody(handle, [first]), { status: 206, headers });
    }
    const boundary = crypto.randomUUID();
    const encoder = new TextEncoder();
    const parts = ranges.flatMap((range) => [
      encoder.encode(
        `\r\n--${boundary}\r\ncontent-type: ${type}\r\n` +
          `content-range: bytes ${range.from}-${range.to - 1}/${entry.size}\r\n\r\n`,
      ),
      range,
    ]);
    const all = [...parts, encoder.encode(`\r\n--${boundary}--\r\n`)];
    const length = all.reduce(
      (sum, part) => sum + (part instanceof Uint8Array ? part.length : part.to - part.from),
      0,
    );
    headers.set("content-type", `multipart/byteranges; boundary=${boundary}`);
    headers.set("content-length", String(length));
    return new Response(yield* responseBody(handle, all), { status: 206, headers });
  });
