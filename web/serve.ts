import { Effect, type Scope } from "effect";
import { atMost } from "../src/at_most.ts";
import type { Hono } from "hono";

export interface Served {
  /** `host:port`, or the socket's path. */
  readonly address: string;
}

/** Where to listen: a TCP address (port 0 picks one), or a unix socket. */
export type Place = { readonly hostname: string; readonly port: number } | {
  readonly path: string;
};

/** The address could not be taken. */
export interface ListenFailed {
  readonly _tag: "ListenFailed";
  readonly place: string;
  readonly cause: unknown;
}

const show = (place: Place) => "path" in place ? place.path : `${place.hostname}:${place.port}`;

/**
 * Serves a Hono app until the scope closes; requests under way are let finish.
 *
 * A unix socket is made with mode 0600: whoever may open it controls the server.
 */
export const serveApp = (
  app: Hono,
  place: Place,
): Effect.Effect<Served, ListenFailed, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => {
        const options = { onListen: () => {}, onError: () => new Response(null, { status: 500 }) };
        if (!("path" in place)) {
          return Deno.serve({ ...place, ...options }, (request) => app.fetch(request));
        }
        // The mask closes the moment between bind and chmod.
        const mask = Deno.umask(0o177);
        try {
          return Deno.serve({ path: place.path, ...options }, (request) => app.fetch(request));
        } finally {
          Deno.umask(mask);
        }
      },
      catch: (cause): ListenFailed => ({ _tag: "ListenFailed", place: show(place), cause }),
    }),
    (server) => atMost("2 seconds")(Effect.promise(() => server.shutdown())),
  ).pipe(
    Effect.map((server): Served => ({
      address: "path" in place ? place.path : hostPort(server.addr as Deno.NetAddr),
    })),
  );

const hostPort = ({ hostname, port }: Deno.NetAddr) =>
  hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
