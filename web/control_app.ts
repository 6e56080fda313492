import { Effect, FiberSet, type Scope } from "effect";
import { Hono } from "hono";
import type { Context } from "hono";
import { Registry } from "../actors/registry.ts";
import { Folders, Users } from "../src/catalog/catalog.ts";
import type { CatalogError, FsError } from "../src/errors.ts";
import { Guard } from "../src/guard/guard.ts";
import type { Folder } from "../src/model/folder.ts";
import type { User } from "../src/model/user.ts";
import type { Usage } from "../src/vfs/quota.ts";

/** What the running server lends to its control socket. */
export interface Controls {
  readonly version: string;
  /** Unix milliseconds. */
  readonly started: number;
  readonly listeners: () => Readonly<Record<string, ReadonlyArray<string>>>;
  readonly scan: (user: User) => Effect.Effect<Usage, CatalogError | FsError>;
  /** Lets the user begin anew with the bytes that may be moved. */
  readonly resetTransfer: (username: string) => Effect.Effect<void, CatalogError>;
  readonly scanFolder: (folder: Folder) => Effect.Effect<Usage, CatalogError | FsError>;
  /** Starts the orderly end of the server; answers at once. */
  readonly stop: (graceSeconds: number) => Effect.Effect<void>;
}

/**
 * The control API that the command line speaks over `control.sock`.
 *
 * There is no login: the socket's mode is the authorisation. Bodies are JSON;
 * a refusal is `{ "error": text }`.
 */
export const controlApp = (
  controls: Controls,
): Effect.Effect<Hono, never, Guard | Registry | Users | Folders | Scope.Scope> =>
  Effect.gen(function* () {
    const registry = yield* Registry;
    const users = yield* Users;
    const folders = yield* Folders;
    const guard = yield* Guard;
    const run = yield* FiberSet.makeRuntimePromise<never>();
    const app = new Hono();

    const answer = <A extends object>(
      c: Context,
      effect: Effect.Effect<A, CatalogError | FsError | NoSuch>,
    ): Promise<Response> =>
      run(effect.pipe(
        Effect.map((body) => c.json(body)),
        Effect.catchTag("NoSuch", ({ what }) => Effect.succeed(c.json({ error: what }, 404))),
        Effect.catchAll((error) => Effect.succeed(c.json({ error: error.message }, 500))),
      ));

    app.get("/v1/status", (c) =>
      answer(
        c,
        Effect.map(registry.list, (sessions) => ({
          version: controls.version,
          pid: Deno.pid,
          started: controls.started,
          listeners: controls.listeners(),
          sessions: sessions.length,
          transfers: sessions.reduce((sum, s) => sum + s.active_transfers.length, 0),
        })),
      ));
    app.get("/v1/sessions", (c) => answer(c, registry.list));
    app.delete("/v1/sessions/:id", (c) =>
      answer(
        c,
        Effect.gen(function* () {
          const id = c.req.param("id");
          const found = yield* registry.kick(id, "closed by an administrator");
          return found ? { closed: 1 } : yield* Effect.fail(noSuch(`no session ${id}`));
        }),
      ));
    app.delete("/v1/users/:name/sessions", (c) =>
      answer(
        c,
        Effect.map(
          registry.kickUser(c.req.param("name"), "closed by an administrator"),
          (closed) => ({ closed }),
        ),
      ));
    app.post("/v1/users/:name/quota-scan", (c) =>
      answer(
        c,
        Effect.gen(function* () {
          const name = c.req.param("name");
          const user = yield* users.effective(name);
          if (!user) return yield* Effect.fail(noSuch(`no user ${name}`));
          return yield* controls.scan(user);
        }),
      ));
    app.post("/v1/folders/:name/quota-scan", (c) =>
      answer(
        c,
        Effect.gen(function* () {
          const name = c.req.param("name");
          const folder = yield* folders.find(name);
          if (!folder) return yield* Effect.fail(noSuch(`no folder ${name}`));
          return yield* controls.scanFolder(folder);
        }),
      ));
    app.delete("/v1/users/:name/transfer-usage", (c) =>
      answer(
        c,
        Effect.gen(function* () {
          const name = c.req.param("name");
          const user = yield* users.find(name);
          if (!user) return yield* Effect.fail(noSuch(`no user ${name}`));
          yield* controls.resetTransfer(user.username);
          return { username: user.username };
        }),
      ));
    app.post("/v1/guard/refresh", (c) => answer(c, Effect.as(guard.refresh, { refreshed: true })));
    app.post("/v1/drain", async (c) => {
      const asked: unknown = await c.req.json().catch(() => ({}));
      const seconds = typeof asked === "object" && asked !== null && "seconds" in asked
        ? Number(asked.seconds)
        : NaN;
      if (!(seconds >= 0 && seconds <= 86_400)) {
        return c.json({ error: "seconds must be a number from 0 to 86400" }, 400);
      }
      return answer(c, Effect.as(controls.stop(seconds), { stopping: true }));
    });
    app.notFound((c) => c.json({ error: `no ${c.req.method} ${c.req.path} here` }, 404));
    return app;
  });

interface NoSuch {
  readonly _tag: "NoSuch";
  readonly what: string;
}
const noSuch = (what: string): NoSuch => ({ _tag: "NoSuch", what });
