import { connect } from "node:net";
import { Context, Deferred, Effect, FiberSet, type Scope } from "effect";
import { atMost } from "../src/at_most.ts";
import { ConfigError } from "../src/errors.ts";
import { fault } from "../src/failpoint.ts";
import { Guard, type GuardShape } from "../src/guard/guard.ts";
import { guardedAs } from "../src/guard/watchman.ts";
import { type Refusal, type Refused, Registry, type Seat } from "./registry.ts";
import { Socket } from "./socket.ts";
import { supervise } from "./supervisor.ts";
import { monotonic } from "../src/monotonic.ts";
import { enableKeepalive } from "../src/tcp_keepalive.ts";

/** A connection that was admitted: the socket is ours to end, the seat already taken. */
export interface Client {
  readonly socket: Socket;
  /** Without port; an IPv4-mapped IPv6 address is shown as IPv4. */
  readonly ip: string;
  readonly port: number;
  readonly seat: Seat;
  /** Milliseconds of {@linkcode monotonic}. */
  readonly acceptedAt: number;
}

export interface ListenerOptions {
  /** For logs and the registry: `SSH`, `FTP` ... */
  readonly protocol: string;
  /** Empty listens on all addresses. */
  readonly address: string;
  /** 0 picks a free one, which restarts keep. */
  readonly port: number;
  /** Where the setting came from, for the error when the address cannot be bound. */
  readonly where: string;
  /** Serves one client for as long as it runs; its failure or defect ends only that client. */
  readonly serve: (client: Client) => Effect.Effect<void, never, Scope.Scope>;
  /** What a client that is turned away reads before its connection is closed. */
  readonly farewell?: (refusal: Refusal) => string;
}

/**
 * Whether several threads listen on one address, each with a socket of its own:
 * the system hands each connection to one of them.
 */
export class PortSharing extends Context.Reference<PortSharing>()("sluice/PortSharing", {
  defaultValue: () => false,
}) {}

/** Time to close politely before a socket is destroyed. */
const LINGER = "1 second";
const PROBE_EVERY = "1 second";
const PROBE_TIMEOUT = 1000;
const REBIND_EVERY = "250 millis";
const ACCEPT_AGAIN = "50 millis";
/**
 * A client that comes when another has just left may be seen before that end is:
 * where all places of its address are taken it gets this many further looks, 50 ms
 * apart, as long as not too many wait already. Each of those holds a descriptor,
 * so nobody waits for a place of the whole server.
 */
const FURTHER_LOOKS = 6;
const LOOK_AGAIN = "50 millis";
const MAY_WAIT = 32;

/**
 * Listens on a TCP address and serves what connects, until the scope closes.
 *
 * Answers the bound address when the port accepts; fails when it cannot be
 * bound. Afterwards it never gives up: a listener that dies, or that stops to
 * accept (as after running out of descriptors), is bound to the same port again.
 */
export const listen = (
  options: ListenerOptions,
): Effect.Effect<string, ConfigError, Scope.Scope | Registry | Guard> =>
  Effect.gen(function* () {
    const registry = yield* Registry;
    const guard = yield* Guard;
    const sharing = yield* PortSharing;
    const patience = patient();
    const serveAll = yield* FiberSet.makeRuntime<never>();
    const bound = yield* Deferred.make<number, ConfigError>();
    const name = `${options.protocol} listener`;

    const entered = (socket: Socket) => {
      const ip = plainAddress(socket.remoteAddress);
      const child = admit(registry, guard, options, socket, ip, patience);
      serveAll(
        supervise(name, { restart: "temporary", max: 0, within: 0 }, child).pipe(
          Effect.ignore,
        ),
      );
    };

    let port = options.port;
    let first = true;
    const life = Effect.gen(function* () {
      const door = yield* openDoor(options, port, entered, first, sharing);
      port = door.port;
      first = false;
      yield* Deferred.succeed(bound, port);
      // With other threads on the port, who takes a probe says nothing about this one.
      const watched = sharing ? Effect.never : watch(door, options.address, port);
      yield* Effect.raceFirst(Deferred.await(door.broken), watched);
    });
    const strategy = { restart: "transient", max: 1_000_000, within: "5 seconds" } as const;
    yield* Effect.forkScoped(
      supervise(
        name,
        strategy,
        Effect.catchTag(life, "ConfigError", (error) =>
          first ? Deferred.fail(bound, error) : Effect.fail(error)),
      ),
    );
    return formatAddress(options.address, yield* Deferred.await(bound));
  });

/** `::ffff:192.0.2.1` is `192.0.2.1`; a scope identifier goes. */
export const plainAddress = (address: string): string =>
  address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "").replace(/%.*$/, "");

const formatAddress = (address: string, port: number): string => {
  const host = address === "" ? "[::]" : address.includes(":") ? `[${address}]` : address;
  return `${host}:${port}`;
};

/** One child of the listener: takes a seat, serves, and closes the socket whatever happens. */
const admit = (
  registry: Registry["Type"],
  guard: GuardShape,
  options: ListenerOptions,
  socket: Socket,
  ip: string,
  patience: ReturnType<typeof patient>,
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    yield* Effect.addFinalizer(() => farewell(socket));
    const seat = yield* patience(registry.admit({ ip, protocol: options.protocol }));
    yield* options.serve({
      socket,
      ip,
      port: socket.remotePort,
      seat,
      acceptedAt: monotonic(),
    });
  }).pipe(
    Effect.catchTag("Refused", ({ refusal }) =>
      Effect.zipRight(
        Effect.suspend(() => {
          socket.write(new TextEncoder().encode(options.farewell?.(refusal) ?? ""));
          socket.end();
          // BEHAVIOUR CONN-04: whoever asks for more places than an address has.
          return refusal === "per_host"
            ? guard.report({ ip, protocol: guardedAs(options.protocol) }, "limit_exceeded")
            : Effect.void;
        }),
        Effect.logDebug("connection refused").pipe(
          Effect.annotateLogs({ protocol: options.protocol, ip, refusal }),
        ),
      )),
  );

/** Tries an admission again for a moment where all places of the address are taken. */
const patient = () => {
  let waiting = 0;
  return (admit: Effect.Effect<Seat, Refused, Scope.Scope>) =>
    Effect.catchIf(
      admit,
      ({ refusal }) => refusal === "per_host" && waiting < MAY_WAIT,
      () => {
        waiting += 1;
        return Effect.delay(admit, LOOK_AGAIN).pipe(
          Effect.retry({ times: FURTHER_LOOKS - 1 }),
          Effect.ensuring(Effect.sync(() => waiting -= 1)),
        );
      },
    );
};

/** Sends what is queued, then end; a client that keeps its side open is cut after a second. */
const farewell = (socket: Socket): Effect.Effect<void> =>
  Effect.promise(() => {
    socket.open();
    socket.resume();
    socket.end();
    return socket.closed;
  }).pipe(
    atMost(LINGER),
    Effect.ensuring(Effect.sync(() => socket.destroy())),
  );

interface Door {
  readonly port: number;
  /** Fails when the server reports an error, closes, or a failpoint kills it. */
  readonly broken: Deferred.Deferred<never, Error>;
  /** Connects to itself; whether the connection was accepted. */
  readonly probe: (host: string) => Promise<boolean>;
}

/** A bound server socket. Binding anew after a failure is tried until it works. */
const openDoor = (
  options: ListenerOptions,
  port: number,
  entered: (socket: Socket) => void,
  first: boolean,
  sharing: boolean,
): Effect.Effect<Door, ConfigError, Scope.Scope> =>
  Effect.gen(function* () {
    const broken = yield* Deferred.make<never, Error>();
    const break_ = (error: Error) => Deferred.unsafeDone(broken, Effect.fail(error));
    const probes = { ports: new Set<number>(), pending: undefined as Promise<void> | undefined };
    const accepted = (socket: Socket) => {
      if (probes.ports.delete(socket.remotePort)) return socket.destroy();
      if (fault("listener.connection") === "die") {
        socket.destroy();
        return break_(new Error("failpoint listener.connection"));
      }
      entered(socket);
    };
    const bind = bindAddress(options, port, sharing);
    const server = yield* Effect.acquireRelease(
      first
        ? bind
        : Effect.retry(bind, { while: () => Effect.as(Effect.sleep(REBIND_EVERY), true) }),
      (server) => Effect.sync(() => server.close()),
    );
    yield* Effect.forkScoped(
      Effect.forever(
        Effect.flatMap(accept(server), (socket) =>
          Effect.sync(() => {
            // A probe's own port is known only once it is connected.
            if (probes.pending) probes.pending.then(() => accepted(socket));
            else accepted(socket);
          })),
      ).pipe(Effect.catchAll((error) => Effect.sync(() => break_(error)))),
    );
    const boundPort = server.addr.port;
    enableKeepalive(boundPort);
    return {
      port: boundPort,
      broken,
      probe: (host) => {
        const result = knock(host, boundPort, probes.ports);
        const settled = result.connected.finally(() => {
          probes.pending = undefined;
        });
        probes.pending = settled;
        return result.accepted;
      },
    };
  });

/** Binds; fails with what stands in the way. */
export const bindAddress = (
  options: Pick<ListenerOptions, "address" | "where">,
  port: number,
  reusePort: boolean,
): Effect.Effect<Deno.TcpListener, ConfigError> =>
  Effect.try({
    try: () => {
      if (options.address !== "") {
        return Deno.listen({ hostname: options.address, port, reusePort });
      }
      try {
        return Deno.listen({ hostname: "::", port, reusePort });
      } catch (error) {
        // Without IPv6 there is the older half of the addresses.
        if (port !== 0 && codeOf(error) === "EADDRINUSE") throw error;
        return Deno.listen({ hostname: "0.0.0.0", port, reusePort });
      }
    },
    catch: (error) => {
      const why = BIND_ERRORS[codeOf(error)] ?? (error instanceof Error ? error.message : error);
      const what = `cannot listen on ${formatAddress(options.address, port)}: ${why}`;
      return new ConfigError({ problems: [{ where: options.where, what }] });
    },
  });

const codeOf = (error: unknown): string => {
  const { code, name } = error as { readonly code?: unknown; readonly name?: unknown };
  return typeof code === "string" ? code : String(name);
};

/** The next connection. A client that left before, or a lack of descriptors, is no end of the listener. */
const accept = (server: Deno.TcpListener): Effect.Effect<Socket, Error> =>
  Effect.tryPromise({
    try: () => server.accept(),
    catch: (error) => error instanceof Error ? error : new Error(String(error)),
  }).pipe(
    Effect.retry({
      while: (error) => PASSING.has(codeOf(error)) && Effect.as(Effect.sleep(ACCEPT_AGAIN), true),
    }),
    Effect.map((conn) => new Socket(conn)),
  );

const PASSING: ReadonlySet<string> = new Set([
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
  "ECONNABORTED",
]);

const BIND_ERRORS: Record<string, string> = {
  EADDRINUSE: "the port is taken; stop what uses it or choose another",
  EACCES: "not allowed; choose a port above 1023 or grant the right to bind it",
  EADDRNOTAVAIL: "this machine does not have that address",
};

/** Fails when the port does not accept any more although the server seems to listen. */
const watch = (door: Door, address: string, port: number): Effect.Effect<never, Error> => {
  const host = address === "" || address === "::" || address === "0.0.0.0"
    ? address === "0.0.0.0" ? "127.0.0.1" : "localhost"
    : address;
  return Effect.gen(function* () {
    yield* Effect.sleep(PROBE_EVERY);
    if (!(yield* Effect.promise(() => door.probe(host)))) {
      return yield* Effect.fail(new Error(`port ${port} does not accept connections`));
    }
  }).pipe(Effect.forever);
};

/** One connection to ourselves: `connected` settles either way, `accepted` when the other end acted. */
const knock = (host: string, port: number, ports: Set<number>) => {
  const socket = connect({ host, port });
  let local: number | undefined;
  const connected = new Promise<void>((resolve) => {
    socket.once("connect", () => {
      local = socket.localPort;
      if (local !== undefined) ports.add(local);
      resolve();
    });
    socket.once("close", () => resolve());
    setTimeout(resolve, PROBE_TIMEOUT).unref();
  });
  const accepted = new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), PROBE_TIMEOUT);
    const done = () => {
      clearTimeout(timer);
      resolve(local !== undefined && !ports.has(local));
    };
    socket.on("error", () => {});
    socket.once("end", done);
    socket.once("close", done);
    socket.resume();
  }).finally(() => {
    if (local !== undefined) ports.delete(local);
    socket.destroy();
  });
  return { connected, accepted };
};
