import { plainAddress } from "../../actors/listener.ts";
import { refuse } from "./reply.ts";

export interface PassiveOptions {
  /** Our address, which the client came to. */
  readonly address: string;
  /** Who may connect. */
  readonly peer: string;
  readonly ports: { readonly start: number; readonly end: number };
  /** Milliseconds in which the client has to come. */
  readonly timeout: number;
}

/** Ports that are tried before the client is told to come again. */
const TRIES = 64;

/**
 * Listens for one data connection of one client (RFC 959 section 3.2, RFC 2428).
 *
 * The port is random, so that it cannot be guessed; who comes from another
 * address is dropped, and the client can still come. It closes after the
 * first connection, and after `timeout`.
 */
export class Passive {
  readonly port: number;
  readonly #listener: Deno.TcpListener;
  readonly #arrived: Promise<Deno.TcpConn | undefined>;
  readonly #timer: ReturnType<typeof setTimeout>;
  #closed = false;
  #taken = false;

  constructor(options: PassiveOptions) {
    this.#listener = bind(options);
    this.port = this.#listener.addr.port;
    this.#timer = setTimeout(() => this.#shut(), options.timeout);
    this.#arrived = this.#accept(options.peer);
  }

  /** The client's connection; rejects with 425 when it did not come. */
  async connection(): Promise<Deno.TcpConn> {
    const conn = await this.#arrived;
    if (!conn) throw refuse(425, "no data connection came");
    this.#taken = true;
    return conn;
  }

  /** Gives the port back, and drops a connection that nobody took. Idempotent. */
  close(): void {
    this.#shut();
    this.#arrived.then((conn) => {
      if (!this.#taken) conn?.close();
    });
  }

  #shut(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#listener.close();
  }

  async #accept(peer: string): Promise<Deno.TcpConn | undefined> {
    try {
      for (;;) {
        const conn = await this.#listener.accept();
        if (plainAddress(conn.remoteAddr.hostname) === peer) return conn;
        conn.close();
      }
    } catch {
      return undefined;
    } finally {
      this.#shut();
    }
  }
}

const bind = ({ address, ports }: PassiveOptions): Deno.TcpListener => {
  const { start, end } = ports;
  const count = end - start + 1;
  if (start === 0 || count < 1) return Deno.listen({ hostname: address, port: 0 });
  const first = crypto.getRandomValues(new Uint32Array(TRIES));
  for (const random of first) {
    try {
      return Deno.listen({ hostname: address, port: start + random % count });
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) break;
    }
  }
  throw refuse(425, "no port is free for a data connection");
};
