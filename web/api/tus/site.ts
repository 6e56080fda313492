import { Effect, type Scope } from "effect";
import type { Exchange, Site } from "../../../actors/exchange.ts";
import { UploadRecords } from "../../../src/vfs/upload_records.ts";
import { answered, type Work } from "../answered.ts";
import { bearerTokens } from "../bearer.ts";
import { refuse } from "../failure.ts";
import { create } from "./create.ts";
import { checksumOf, countOf } from "./headers.ts";
import {
  abilities,
  bodyType,
  describe,
  type Desk,
  prefix,
  progress,
  tooLong,
  version,
} from "./protocol.ts";
import { receive } from "./receive.ts";

/** Resumable uploads to users' files by tus 1.0 (https://tus.io/protocols/resumable-upload). */
export const tusSite = Effect.gen(function* () {
  const tokens = yield* bearerTokens;
  const records = yield* UploadRecords;

  const work = (exchange: Exchange): Work =>
    Effect.gen(function* () {
      const { request, target } = exchange;
      const method = (request.headers.get("x-http-method-override") ?? request.method)
        .toUpperCase();
      if (method === "OPTIONS") return new Response(null, { status: 204, headers: abilities });
      if (request.headers.get("tus-resumable") !== version) {
        return yield* refuse(412, "this is not tus 1.0.0", abilities);
      }
      const { vfs, user } = yield* tokens.visit(exchange);
      if (user.filters.web_client.includes("write-disabled")) {
        return yield* refuse(403, "changes over HTTP are disabled for this account");
      }
      const desk: Desk = { request, target, vfs, uploads: vfs.resumables(records) };
      const id = target.slice(prefix.length).replace(/[?#].*$/s, "").replace(/^\//, "");
      // Not for as long as a client that is gone does not take the answer.
      return yield* Effect.scoped(id === "" ? made(desk, method) : known(desk, id, method));
    });

  const serve = (exchange: Exchange): Effect.Effect<Response, never, Scope.Scope> =>
    answered(work(exchange), exchange).pipe(
      Effect.tap(({ headers }) =>
        Effect.sync(() => {
          headers.set("tus-resumable", version);
          headers.set("x-request-id", exchange.id);
          headers.set("x-content-type-options", "nosniff");
          headers.set("cache-control", "no-store");
        })
      ),
    );
  return { prefix, protocol: "HTTP" as const, serve } satisfies Site;
});

const made = (desk: Desk, method: string): Work =>
  method !== "POST"
    ? Effect.fail(refuse(405, "uploads are made by POST", { allow: "OPTIONS, POST" }))
    : Effect.map(
      create(desk),
      (upload) =>
        new Response(null, {
          status: 201,
          headers: { location: `${prefix}/${upload.id}`, ...progress(upload) },
        }),
    );

const known = ({ request, uploads }: Desk, id: string, method: string): Work =>
  Effect.gen(function* () {
    switch (method) {
      case "HEAD":
        return new Response(null, { status: 200, headers: describe(yield* uploads.look(id)) });
      case "PATCH": {
        const { headers } = request;
        if (headers.get("content-type") !== bodyType) {
          return yield* refuse(415, `the body has to be ${bodyType}`);
        }
        const offset = yield* countOf(headers, "upload-offset");
        if (offset === undefined) return yield* refuse(400, "Upload-Offset is missing");
        const checksum = yield* checksumOf(headers.get("upload-checksum"));
        const part = yield* uploads.append(id, offset, { checked: checksum !== undefined });
        if (tooLong(request, part.length - part.offset)) {
          return yield* refuse(413, "more than the upload's length");
        }
        const upload = yield* receive(request, part, checksum);
        return new Response(null, { status: 204, headers: progress(upload) });
      }
      case "DELETE":
        yield* uploads.terminate(id);
        return new Response(null, { status: 204 });
      default:
        return yield* refuse(405, `${method} is not served here`, {
          allow: "OPTIONS, HEAD, PATCH, DELETE",
        });
    }
  });
