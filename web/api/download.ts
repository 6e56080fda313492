import { Effect, type Scope } from "effect";
import { toRead } from "../../src/vfs/vfs.ts";
import { basename } from "../../src/vpath.ts";
import { checkConditions, etagOf, sameVersion } from "../../actors/http_conditions.ts";
import { responseBody } from "../../actors/response_body.ts";
import { parseRange } from "./range.ts";
import { contentHeaders } from "./disposition.ts";
import { type Failure, refuse } from "./failure.ts";
import { pathOf } from "./request.ts";
import type { Call } from "./site.ts";

/**
 * `GET` and `HEAD /user/files` (BEHAVIOUR API-22): the file at `path` as an
 * attachment, or at `inline_path` to be looked at; whole or one range.
 */
export const download = (call: Call): Effect.Effect<Response, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const { request, vfs, query } = call;
    const inline = query.has("inline_path");
    if (inline && query.has("path")) {
      return yield* refuse(400, "path and inline_path exclude another");
    }
    const path = yield* pathOf(vfs, query, inline ? "inline_path" : "path");
    const handle = yield* Effect.catchIf(
      vfs.open(path, toRead),
      ({ reason }) => reason === "IsDirectory",
      () => refuse(400, "the path is a directory"),
    );
    // Of what was opened: the path may stand for another file by now, or show an upload under way.
    const entry = yield* handle.stat();
    const headers = new Headers({
      ...contentHeaders(basename(path), inline),
      "etag": etagOf(entry),
      "last-modified": new Date(entry.mtime).toUTCString(),
      "accept-ranges": "bytes",
      "cache-control": "private, no-cache, no-transform",
    });
    const instead = checkConditions(request, entry);
    if (instead === 412) return yield* refuse(412, "the file is another than you know");
    if (instead === 304) {
      headers.delete("content-type");
      return new Response(null, { status: 304, headers });
    }
    const head = request.method === "HEAD";
    const range = head || !sameVersion(request.headers, entry)
      ? undefined
      : parseRange(request.headers.get("range"), entry.size);
    if (range === "unsatisfiable") {
      return yield* refuse(416, "that range cannot be served", {
        "content-range": `bytes */${entry.size}`,
      });
    }
    const { from, to } = range ?? { from: 0, to: entry.size };
    if (range) headers.set("content-range", `bytes ${from}-${to - 1}/${entry.size}`);
    headers.set("content-length", String(to - from));
    const status = range ? 206 : 200;
    if (head) return new Response(null, { status, headers });
    return new Response(yield* responseBody(handle, [{ from, to }]), { status, headers });
  });
