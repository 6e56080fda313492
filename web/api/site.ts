import { Effect, Exit, Fiber, Runtime, Scope } from "effect";
import { type Context, Hono } from "hono";
import type { Exchange, Site } from "../../actors/exchange.ts";
import { Identity } from "../../src/identity/identity.ts";
import { answered, type Work } from "./answered.ts";
import { streamzip } from "./archive.ts";
import { bearerTokens, type Visit } from "./bearer.ts";
import { copy, move, removeFile, rename, setMetadata } from "./changes.ts";
import { listDirectory, makeDirectory, removeDirectory } from "./dirs.ts";
import { download } from "./download.ts";
import { json, refuse } from "./failure.ts";
import { endToken, giveToken } from "./login.ts";
import { parseQuery, type Query } from "./request.ts";
import { uploadBody, uploadForm } from "./upload.ts";

/** One request of a user whose token is good. */
export interface Call extends Visit {
  readonly request: Request;
  readonly query: Query;
}

interface Lent {
  readonly exchange: Exchange;
  readonly run: (work: Work) => Promise<Response>;
}

/** The users' file API of API-V2, below `/api/v2`. */
export const userApi = Effect.gen(function* () {
  const identity = yield* Identity;
  const tokens = yield* bearerTokens;
  const app = new Hono<{ Bindings: Lent }>().basePath("/api/v2/user");

  type Answer = (c: Context<{ Bindings: Lent }>) => Promise<Response>;
  const withToken = (work: (call: Call) => Work): Answer => ({ env: { exchange, run } }) =>
    run(Effect.gen(function* () {
      const query = yield* parseQuery(exchange.target);
      const visit = yield* tokens.visit(exchange);
      return yield* work({ ...visit, request: exchange.request, query });
    }));
  /** A user whose web access only looks (`write-disabled`) changes nothing here either. */
  const changing = (work: (call: Call) => Work): Answer =>
    withToken((call) =>
      call.user.filters.web_client.includes("write-disabled")
        ? refuse(403, "changes over HTTP are disabled for this account")
        : work(call)
    );

  app.get("/token", ({ env }) => env.run(giveToken(identity, tokens, env.exchange)));
  app.get("/logout", ({ env }) => env.run(endToken(tokens, env.exchange)));
  app.get("/profile", withToken(profile));
  app.get("/dirs", withToken(listDirectory));
  app.post("/dirs", changing(makeDirectory));
  app.patch("/dirs", changing(rename));
  app.delete("/dirs", changing(removeDirectory));
  app.get("/files", withToken(download));
  app.post("/files", changing(uploadForm));
  app.patch("/files", changing(rename));
  app.delete("/files", changing(removeFile));
  app.post("/files/upload", changing(uploadBody));
  app.put("/files/upload", changing(uploadBody));
  app.patch("/files/metadata", changing(setMetadata));
  app.post("/file-actions/copy", changing(copy));
  app.post("/file-actions/move", changing(move));
  app.post("/streamzip", withToken(streamzip));
  app.notFound((c) => c.env.run(nothingHere(app, c.req.path, c.req.method)));
  app.onError((error) => {
    throw error;
  });

  const serve = (exchange: Exchange): Effect.Effect<Response, never, Scope.Scope> =>
    Effect.gen(function* () {
      const scope = yield* Effect.scope;
      const runtime = yield* Effect.runtime<never>();
      return yield* Effect.async<Response>((resume) => {
        let fiber: Fiber.RuntimeFiber<Response> | undefined;
        const run = (work: Work) =>
          new Promise<Response>((resolve) => {
            fiber = Runtime.runFork(runtime)(Scope.extend(answered(work, exchange), scope));
            fiber.addObserver((exit) => {
              // Who interrupts it waits for nothing.
              if (Exit.isSuccess(exit)) resolve(exit.value);
            });
          });
        Promise.resolve(app.fetch(exchange.request, { exchange, run })).then(
          (response) => resume(Effect.succeed(response)),
          (error) => resume(Effect.die(error)),
        );
        return Effect.suspend(() => fiber ? Fiber.interrupt(fiber) : Effect.void);
      });
    }).pipe(Effect.tap(({ headers }) =>
      Effect.sync(() => {
        headers.set("x-request-id", exchange.id);
        headers.set("x-content-type-options", "nosniff");
      })
    ));

  return { prefix: "/api/v2", protocol: "HTTP" as const, serve } satisfies Site;
});

/** UserProfile of API-V2. */
const profile = ({ user }: Call): Work => {
  const { email, description, filters, public_keys } = user;
  const allow_api_key_auth = filters.allow_api_key_auth;
  return Effect.succeed(json({ email, description, allow_api_key_auth, public_keys }));
};

/** 404, or 405 where the path serves other methods. */
const nothingHere = (app: Hono<{ Bindings: Lent }>, path: string, method: string): Work => {
  const methods = app.routes.filter((route) => route.path === path).map((route) => route.method);
  if (methods.length === 0) return Effect.fail(refuse(404, "there is nothing at this address"));
  const allow = [...methods, ...(methods.includes("GET") ? ["HEAD"] : [])].join(", ");
  return Effect.fail(refuse(405, `${method} is not served here`, { allow }));
};
