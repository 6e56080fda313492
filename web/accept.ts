import { plainAddress } from "../actors/listener.ts";
import { takenByRuntime } from "../actors/response_body.ts";
import type { ShownCertificate } from "../src/identity/tls_certificate.ts";
import { Cutter, type Signal } from "./cutter.ts";

/** One connection that is being served. */
export interface Served {
  readonly finished: Promise<void>;
  readonly shutdown: () => Promise<void>;
}

export type Handler = (
  request: Request,
  info: Deno.ServeHandlerInfo<Deno.NetAddr> & { readonly certificate?: ShownCertificate },
) => Promise<Response>;

/** Serves HTTP/1.1, or HTTP/2 where TLS agreed on it, on one connection until that ends. */
export type ServeConnection = (
  conn: Deno.Conn,
  signal: Signal,
  handler: Handler,
  onError: (error: unknown) => Response,
  onListen: () => void,
  /** Ends a connection that waits, so that there are descriptors; false where none waits. */
  makeRoom?: () => boolean,
) => Served;

/**
 * The part of `Deno.serve` that serves a connection someone else accepted.
 * Not of the public interface (decision 0023): undefined where a runtime lacks it.
 */
export const serveConnection = (): ServeConnection | undefined => {
  const { internal } = Deno as unknown as { readonly internal?: symbol };
  const hidden = internal && (Deno as unknown as Record<symbol, Record<string, unknown>>)[internal];
  const serve = hidden?.["serveHttpOnConnection"];
  return typeof serve === "function" ? serve as ServeConnection : undefined;
};

/** Milliseconds from the connection, its TLS included, to the end of the first request's head. */
const FIRST_HEAD = 15_000;
/** Milliseconds from one answer to the end of the next request's head. */
const NEXT_HEAD = 60_000;
/** Connections of a thread that have no request under way; the longest waiting leaves for a new one. */
const MAY_WAIT = 1000;
/** The same of one address. */
const MAY_WAIT_PER_HOST = 256;
const ACCEPT_AGAIN = 50;
const NO_DESCRIPTORS: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]);

/** Whether something failed because the process or the system can open no more. */
export const lacksDescriptors = (error: unknown): boolean =>
  NO_DESCRIPTORS.has((error as { readonly code?: unknown } | null)?.code);

/** A connection, waiting for a request while none is under way. */
class Guest {
  readonly ip: string;
  readonly #cutter = new Cutter();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #requests = 0;
  #over = false;
  readonly served: Served;

  constructor(conn: Deno.Conn, readonly room: Room, serve: ServeConnection, handler: Handler) {
    this.ip = plainAddress((conn.remoteAddr as Deno.NetAddr).hostname);
    this.#wait(FIRST_HEAD);
    try {
      this.served = serve(
        conn,
        this.#cutter.signal,
        async (request, info) => {
          this.#work(info.completed);
          const response = await handler(request, info);
          takenByRuntime(response.body);
          return response;
        },
        () => new Response(null, { status: 500 }),
        () => {},
        () => room.makeRoom(),
      );
    } catch (error) {
      this.#end();
      throw error;
    }
    const end = () => this.#end();
    this.served.finished.then(end, end);
  }

  /** Ends it at once. */
  cut(): void {
    if (this.#over) return;
    this.#end();
    this.#cutter.abort();
  }

  #end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.room.leave(this);
  }

  #wait(grace: number): void {
    if (this.#over) return;
    this.#timer = setTimeout(() => this.cut(), grace);
    this.room.wait(this);
  }

  #work(completed: Promise<void>): void {
    this.#requests += 1;
    clearTimeout(this.#timer);
    this.room.stopWaiting(this);
    const done = () => {
      this.#requests -= 1;
      if (this.#requests === 0) this.#wait(NEXT_HEAD);
    };
    completed.then(done, done);
  }
}

/** All connections of one listener, with those that wait in the order of their waiting. */
class Room {
  readonly #all = new Set<Guest>();
  readonly #waiting = new Set<Guest>();
  readonly #byHost = new Map<string, Set<Guest>>();

  get all(): ReadonlySet<Guest> {
    return this.#all;
  }

  /** Cuts the one that has waited longest; false where none waits. */
  makeRoom(): boolean {
    const [first] = this.#waiting;
    first?.cut();
    return first !== undefined;
  }

  wait(guest: Guest): void {
    const host = this.#byHost.get(guest.ip) ?? new Set();
    const [longest] = host;
    if (host.size >= MAY_WAIT_PER_HOST) longest?.cut();
    else if (this.#waiting.size >= MAY_WAIT) this.makeRoom();
    this.#all.add(guest);
    this.#waiting.add(guest);
    // The last of a host may just have been cut, and its set forgotten.
    this.#byHost.set(guest.ip, host.add(guest));
  }

  stopWaiting(guest: Guest): void {
    this.#waiting.delete(guest);
    const host = this.#byHost.get(guest.ip);
    host?.delete(guest);
    if (host?.size === 0) this.#byHost.delete(guest.ip);
  }

  leave(guest: Guest): void {
    this.stopWaiting(guest);
    this.#all.delete(guest);
  }
}

/** What `Deno.serve` answers, as far as a listener needs it. */
export interface Door {
  readonly port: number;
  /** Resolves once closed; rejects when no connection can be accepted any more. */
  readonly finished: Promise<void>;
  /** Lets requests under way finish. */
  readonly shutdown: () => Promise<void>;
  readonly cut: () => void;
}

/**
 * Accepts connections and serves each by itself. Who does not send the whole head
 * of a request in time is cut, and so is who waits longest where too many wait:
 * `Deno.serve` waits for ever and for any number. Without descriptors the waiting
 * make room, and the listener lives on.
 */
export const openDoor = (
  listener: Deno.TcpListener | Deno.TlsListener,
  serve: ServeConnection,
  handler: Handler,
): Door => {
  const room = new Room();
  let closing = false;
  const close = () => {
    if (closing) return;
    closing = true;
    listener.close();
  };
  const finished = (async () => {
    while (!closing) {
      try {
        const conn: Deno.Conn = await listener.accept();
        try {
          new Guest(conn, room, serve, handler);
        } catch {
          // It left in between.
          try {
            conn.close();
          } catch {
            // It is the server's by now.
          }
        }
      } catch (error) {
        if (closing) return;
        if (lacksDescriptors(error)) {
          for (let i = 0; i < 16 && room.makeRoom(); i++);
        } else if (!(error instanceof Error) || !PASSING.has(error.name)) throw error;
        await new Promise((resolve) => setTimeout(resolve, ACCEPT_AGAIN));
      }
    }
  })();
  return {
    port: (listener.addr as Deno.NetAddr).port,
    finished,
    shutdown: async () => {
      close();
      while (room.makeRoom());
      await Promise.allSettled([...room.all].map(({ served }) => served.shutdown()));
    },
    cut: () => {
      close();
      for (const guest of [...room.all]) guest.cut();
    },
  };
};

/** What a client that left too early may make of an accept, over TLS too. */
const PASSING: ReadonlySet<string> = new Set([
  "ConnectionAborted",
  "ConnectionReset",
  "Interrupted",
  "InvalidData",
  "UnexpectedEof",
]);
