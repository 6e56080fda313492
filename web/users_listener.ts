import { Cause, Deferred, Effect, Exit, FiberSet, type Scope } from "effect";
import type { Exchange, Site } from "../actors/exchange.ts";
import { plainAddress, PortSharing } from "../actors/listener.ts";
import { Registry } from "../actors/registry.ts";
import { makeWheel } from "../actors/session.ts";
import { supervise } from "../actors/supervisor.ts";
import { atMost } from "../src/at_most.ts";
import { ConfigError } from "../src/errors.ts";
import { Guard } from "../src/guard/guard.ts";
import { guardedAs } from "../src/guard/watchman.ts";
import { Identity } from "../src/identity/identity.ts";
import { enableKeepalive } from "../src/tcp_keepalive.ts";
import { type Door, type Handler, openDoor, serveConnection } from "./accept.ts";
import { afterHandshake } from "./after_handshake.ts";
import { enterExchange } from "./exchange_session.ts";
import { admitPatiently, refusalResponse } from "./refusals.ts";
import { openTlsDoor } from "./tls_door.ts";
import type { ClientTls } from "./tls_front.ts";

export interface UsersListener {
  /** Empty listens on all addresses. */
  readonly address: string;
  /** 0 picks a free one, which restarts keep. */
  readonly port: number;
  /** Where the setting came from, for the error when the address cannot be bound. */
  readonly where: string;
  readonly sites: ReadonlyArray<Site>;
  /** PEM texts: the port speaks TLS, with HTTP/2 where the client asks for it. */
  readonly tls?: {
    readonly cert: string;
    readonly key: string;
    /** Where clients are asked for certificates. */
    readonly clients?: ClientTls;
  };
  /** Minutes without a byte before an exchange is ended; 0 never. */
  readonly idleMinutes: number;
}

const REBIND_EVERY = "250 millis";

/**
 * Serves the users' HTTP until the scope closes, and answers the bound address.
 *
 * The runtime reads and writes the bytes; every request is one exchange with a
 * seat, in a fiber of its own, so that a defect ends that request and no other.
 * A server that dies is bound to the same port again.
 */
export const listenForUsers = (
  options: UsersListener,
): Effect.Effect<string, ConfigError, Scope.Scope | Registry | Guard | Identity> =>
  Effect.gen(function* () {
    const registry = yield* Registry;
    const sharing = yield* PortSharing;
    const guard = yield* Guard;
    const identity = yield* Identity;
    const wheel = yield* makeWheel;
    const fork = yield* FiberSet.makeRuntime<never>();
    const bound = yield* Deferred.make<number, ConfigError>();

    const answer = (
      request: Request,
      info: Parameters<Handler>[1],
      respond: (response: Response) => void,
    ) =>
      Effect.gen(function* () {
        const target = rawTarget(request.url);
        const site = options.sites.find(({ prefix }) => isBelow(prefix, target));
        if (!site) return respond(new Response("not found\n", { status: 404 }));
        const ip = plainAddress(info.remoteAddr.hostname);
        const seat = yield* Effect.tapError(
          admitPatiently(registry.admit({ ip, protocol: site.protocol })),
          // BEHAVIOUR CONN-04: whoever asks for more places than an address has.
          ({ refusal }) =>
            refusal === "per_host"
              ? guard.report({ ip, protocol: guardedAs(site.protocol) }, "limit_exceeded")
              : Effect.void,
        );
        const interrupted = yield* Deferred.make<void>();
        const exchange: Exchange = {
          request,
          target,
          ip,
          id: seat.id,
          ...(info.certificate ? { certificate: info.certificate } : {}),
          enter: enterExchange({
            registry,
            wheel,
            seat,
            request,
            ip,
            port: info.remoteAddr.port,
            idleMinutes: options.idleMinutes,
            hangUp: Deferred.succeed(interrupted, undefined),
            mayStay: identity.stillAllowed,
            fork,
          }),
        };
        const served = Effect.gen(function* () {
          respond(yield* site.serve(exchange));
          yield* Effect.promise(() => info.completed.catch(() => {}));
        });
        yield* Effect.raceFirst(served, Deferred.await(interrupted));
      }).pipe(
        Effect.scoped,
        Effect.catchTag(
          "Refused",
          (refused) => Effect.sync(() => respond(refusalResponse(refused))),
        ),
        Effect.onExit((exit) => {
          respond(
            new Response("the request was ended\n", { status: Exit.isSuccess(exit) ? 503 : 500 }),
          );
          return Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)
            ? Effect.logError("a request ended by a defect", exit.cause)
            : Effect.void;
        }),
      );

    const serve = (port: number) =>
      Effect.acquireRelease(
        bind(
          options,
          port,
          sharing,
          (request, info) =>
            new Promise((resolve) => fork(Effect.ignore(answer(request, info, resolve)))),
        ),
        (server) =>
          Effect.andThen(
            atMost("2 seconds")(Effect.promise(() => server.shutdown())),
            Effect.sync(server.cut),
          ),
      );

    let port = options.port;
    let first = true;
    const life = Effect.gen(function* () {
      const server = yield* first
        ? serve(port)
        : Effect.retry(serve(port), { while: () => Effect.as(Effect.sleep(REBIND_EVERY), true) });
      first = false;
      port = server.port;
      yield* Deferred.succeed(bound, port);
      yield* Effect.tryPromise(() => server.finished);
      return yield* Effect.fail(new Error("the HTTP server stopped"));
    });
    yield* Effect.forkScoped(
      supervise(
        "HTTP listener",
        { restart: "transient", max: 1_000_000, within: "5 seconds" },
        Effect.catchTag(
          life,
          "ConfigError",
          (error) => first ? Deferred.fail(bound, error) : Effect.fail(error),
        ),
      ),
    );
    return show(options.address, yield* Deferred.await(bound));
  });

const bind = (options: UsersListener, port: number, reusePort: boolean, handler: Handler) =>
  Effect.try({
    try: () => {
      const serve = serveConnection();
      const clients = options.tls?.clients;
      const at = (hostname: string): Door => {
        if (!serve && clients) throw new Error("this runtime cannot ask for certificates");
        if (!serve) return serveAll(hostname, port, options.tls, reusePort, handler);
        const place = { hostname, port, reusePort };
        const listener = options.tls && !clients
          ? Deno.listenTls({ ...place, ...options.tls, alpnProtocols: ["h2", "http/1.1"] })
          : Deno.listen(place);
        enableKeepalive((listener.addr as Deno.NetAddr).port);
        if (clients) return openTlsDoor(listener as Deno.TcpListener, clients, serve, handler);
        return openDoor(listener, options.tls ? afterHandshake(serve) : serve, handler);
      };
      const door = options.address === "" ? anywhere(at) : at(options.address);
      door.finished.catch(() => {});
      return door;
    },
    catch: (error) => {
      const why = error instanceof Deno.errors.AddrInUse
        ? "the port is taken; stop what uses it or choose another"
        : error instanceof Error
        ? error.message
        : String(error);
      const what = `cannot listen on ${show(options.address, port)}: ${why}`;
      return new ConfigError({ problems: [{ where: options.where, what }] });
    },
  });

/** Where the runtime accepts: without graces and bounds for who sends no request (decision 0023). */
const serveAll = (
  hostname: string,
  port: number,
  tls: UsersListener["tls"],
  reusePort: boolean,
  handler: Handler,
): Door => {
  const end = new AbortController();
  const server = Deno.serve({
    hostname,
    port,
    reusePort,
    signal: end.signal,
    ...tls,
    onListen: () => {},
    onError: () => new Response(null, { status: 500 }),
  }, handler);
  let over = false;
  return {
    port: server.addr.port,
    finished: server.finished.finally(() => {
      over = true;
    }),
    shutdown: () => server.shutdown(),
    // On a server that has ended the signal would throw out of every fiber.
    cut: () => {
      if (!over) end.abort();
    },
  };
};

/** Without IPv6 there is the older half of the addresses. */
const anywhere = <A>(at: (hostname: string) => A): A => {
  try {
    return at("::");
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) throw error;
    return at("0.0.0.0");
  }
};

const show = (address: string, port: number): string => {
  const host = address === "" ? "[::]" : address.includes(":") ? `[${address}]` : address;
  return `${host}:${port}`;
};

/** `URL` would resolve `..` and decode some escapes, so it is cut by hand. */
const rawTarget = (url: string): string => {
  const slash = url.indexOf("/", url.indexOf("://") + 3);
  return slash < 0 ? "/" : url.slice(slash);
};

const isBelow = (prefix: string, target: string): boolean =>
  target.startsWith(prefix) && (prefix === "" || /^(?:$|[/?#])/.test(target.slice(prefix.length)));
