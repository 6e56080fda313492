import { Effect, Either, type Scope } from "effect";
import type { Exchange, Site } from "../../actors/exchange.ts";
import type { Refused } from "../../actors/registry.ts";
import { Config } from "../../src/config/config.ts";
import { DavState } from "../../src/dav/state.ts";
import { Users } from "../../src/catalog/catalog.ts";
import { Identity } from "../../src/identity/identity.ts";
import { VfsFactory } from "../../src/vfs/vfs.ts";
import { basicLogin } from "./login.ts";
import { type Dav, type DavFailure, seenSource } from "./context.ts";
import { get } from "./get.ts";
import { lock, unlock } from "./lock.ts";
import { parseTarget } from "./paths.ts";
import { list, propfind } from "./propfind.ts";
import { proppatch } from "./proppatch.ts";
import { put } from "./put.ts";
import { failure, refuse } from "./status.ts";
import { copyOrMove, mkcol, remove } from "./tree.ts";

const methods =
  "OPTIONS, GET, HEAD, PUT, DELETE, MKCOL, COPY, MOVE, PROPFIND, PROPPATCH, LOCK, UNLOCK";

/** Makes WebDAV classes 1, 2 and 3 (RFC 4918) out of the users' files. */
export const davSites: Effect.Effect<
  (prefix: string) => Site,
  never,
  Config | Identity | Users | VfsFactory | DavState
> = Effect.gen(function* () {
  const login = yield* basicLogin;
  const factory = yield* VfsFactory;
  const state = yield* DavState;

  const serve = (exchange: Exchange, prefix: string) =>
    Effect.gen(function* () {
      const { request } = exchange;
      const who = yield* login(exchange);
      if ("status" in who) return unauthorised(who.status);
      const target = parseTarget(exchange.target, prefix);
      if (Either.isLeft(target)) return yield* target.left;
      const { user } = who;
      const { principal, observer } = yield* exchange.enter(user, "DAV");
      const vfs = yield* factory.forSession(user, principal, observer);
      return yield* answer({
        exchange,
        request,
        prefix,
        target: target.right,
        vfs,
        user,
        state,
      });
    }).pipe(
      Effect.catchTags({
        FsError: (error) =>
          Effect.as(
            error.reason === "Unavailable" || error.reason === "Corrupt"
              ? Effect.logWarning("a request failed", error)
              : Effect.void,
            failure(error),
          ),
        DavError: (error) => Effect.succeed(failure(error)),
        CatalogError: (error) =>
          Effect.as(
            Effect.logWarning("locks or properties are out of reach", error),
            failure(refuse(503, "try again")),
          ),
        Refused: ({ refusal }: Refused) =>
          Effect.succeed(
            failure(refuse(refusal.startsWith("per_") ? 429 : 503, "too many sessions")),
          ),
      }),
    );

  return (prefix) => ({ prefix, protocol: "DAV", serve: (exchange) => serve(exchange, prefix) });
});

const answer = (dav: Dav): Effect.Effect<Response, DavFailure, Scope.Scope> => {
  switch (dav.request.method) {
    case "OPTIONS":
      return Effect.succeed(
        new Response(null, {
          headers: { "allow": methods, "dav": "1, 2, 3", "ms-author-via": "DAV" },
        }),
      );
    case "GET":
    case "HEAD":
      return Effect.flatMap(
        seenSource(dav.vfs, dav.target.path),
        ({ entry, hidden }) =>
          entry?.kind === "dir"
            // BEHAVIOUR DAV-04: a collection is shown as a PROPFIND of depth 1.
            ? list(dav, entry, { kind: "all", also: [] }, dav.request.method === "GET")
            : Effect.mapError(
              get(dav),
              (error) =>
                hidden && error._tag === "FsError" && error.reason === "IsDirectory"
                  ? refuse(403)
                  : error,
            ),
      );
    case "PUT":
      return put(dav);
    case "DELETE":
      return remove(dav);
    case "MKCOL":
      return mkcol(dav);
    case "COPY":
    case "MOVE":
      return copyOrMove(dav);
    case "PROPFIND":
      return propfind(dav);
    case "PROPPATCH":
      return proppatch(dav);
    case "LOCK":
      return lock(dav);
    case "UNLOCK":
      return unlock(dav);
    default:
      return Effect.succeed(
        new Response("this method is not served\n", { status: 405, headers: { allow: methods } }),
      );
  }
};

const unauthorised = (status: 400 | 401): Response =>
  new Response(status === 400 ? "malformed credentials\n" : "log in first\n", {
    status,
    headers: status === 401 ? { "www-authenticate": `Basic realm="Sluice", charset="UTF-8"` } : {},
  });
