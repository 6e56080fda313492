import type { SecureContext, TLSSocket } from "node:tls";
import type { Prover } from "../actors/client_certificate.ts";
import { detach } from "../actors/detach.ts";
import { secure, type Secured } from "../actors/secure.ts";
import { Socket } from "../actors/socket.ts";
import type { ShownCertificate } from "../src/identity/tls_certificate.ts";
import { lacksDescriptors, type Served } from "./accept.ts";
import { Cutter, type Signal } from "./cutter.ts";
import type { Pipes } from "./pipes.ts";

/** How clients show certificates to one address. */
export interface ClientTls {
  readonly context: SecureContext;
  /** Who has none that counts is sent away before a byte of HTTP is read. */
  readonly required: boolean;
  readonly prove: Prover;
}

/** Decrypted bytes that wait for HTTP to take them; beyond it the client is not read. */
const MAY_WAIT = 256 * 1024;
/** Sizes of the buffer for answers: of an idle connection, and while data flows. */
const SMALL = 4 * 1024;
const LARGE = 128 * 1024;
/** Milliseconds that a client gets to end its side after our end. */
const LINGER = 1000;
/** What a client without the certificate that is required hears: an answer, or GOAWAY (RFC 9113 section 6.8). */
export const WHY = "a client certificate is required\n";
const REFUSAL = new TextEncoder().encode(
  `HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-type: text/plain\r\n` +
    `content-length: ${WHY.length}\r\n\r\n${WHY}`,
);
const INADEQUATE_SECURITY = 0xc;
const REFUSAL_H2 = new Uint8Array([
  ...[0, 0, 0, 4, 0, 0, 0, 0, 0], // SETTINGS come first
  ...[0, 0, 8 + WHY.length, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, INADEQUATE_SECURITY],
  ...new TextEncoder().encode(WHY),
]);
/** Milliseconds that a certificate is not looked at again. */
const LOOK_AFTER = 1000;
/** Milliseconds between tries, and tries, to get the descriptors of a pipe. */
const AGAIN = 50;
const TRIES = 20;

/** Starts the runtime's HTTP on the far end of a pipe. */
export type ServeFar = (far: Deno.Conn, cutter: Signal) => Served;

/** One connection: the client's TLS on one side, the runtime's HTTP on the other. */
export class Front implements Served {
  readonly finished: Promise<void>;
  readonly #socket: Socket;
  readonly #secured: Secured;
  readonly #tls: TLSSocket;
  readonly #cutter = new Cutter();
  #shown: ShownCertificate | undefined;
  #looked = 0;
  #near: Deno.Conn | undefined;
  #http: Served | undefined;
  #httpOver = false;
  /** HTTP takes no more; what still comes is thrown away. */
  #deaf = false;
  #leaving = false;
  #over = false;
  /** Decrypted bytes for HTTP, and whether the client will send more. */
  #arrived: Uint8Array<ArrayBuffer>[] = [];
  #waiting = 0;
  #ended = false;
  #feeding = false;
  /** Goes on with the answer, whose last piece TLS took or never will. */
  #sent: () => void = () => {};

  constructor(
    conn: Deno.TcpConn,
    readonly clients: ClientTls,
    readonly makeRoom: () => boolean,
  ) {
    this.#socket = new Socket(conn);
    this.#secured = secure(this.#socket, clients.context, {
      protocols: ["h2", "http/1.1"],
      askForCertificate: true,
    });
    this.#tls = this.#secured.tls;
    this.finished = this.#socket.closed.then(async () => {
      this.cut();
      await this.#http?.finished.catch(() => {});
    });
  }

  open(pipes: Pipes, serveFar: ServeFar): void {
    const { feed, ended, gone } = this.#secured;
    this.#tls.once("secure", () => this.#enter(pipes, serveFar).catch(() => this.cut()));
    this.#tls.on("data", (chunk: Uint8Array<ArrayBuffer>) => this.#take(chunk));
    this.#tls.on("end", () => {
      this.#ended = true;
      this.#feed();
    });
    this.#tls.on("close", () => this.cut());
    this.#socket.open({ data: feed, end: ended, closed: gone });
  }

  /** What the client has shown, as long as it is not out of its dates or revoked. */
  certificate(now: number): ShownCertificate | undefined {
    if (this.#looked + LOOK_AFTER <= now) {
      this.#looked = now;
      this.#shown = this.clients.prove(this.#tls, now);
    }
    return this.#shown;
  }

  /** Lets requests under way finish. */
  async shutdown(): Promise<void> {
    if (!this.#http) return this.cut();
    await this.#http.shutdown();
    await this.finished;
  }

  /** Ends it without waiting for the client. An answer that HTTP has given still goes out. */
  leave(): void {
    if (this.#over || this.#leaving) return;
    this.#leaving = true;
    if (!this.#http) return this.cut();
    // On a connection that has ended the signal would throw.
    if (!this.#httpOver) this.#cutter.abort();
    setTimeout(() => this.cut(), LINGER);
  }

  /** Ends it at once, whatever is under way. */
  cut(): void {
    if (this.#over) return;
    this.#over = true;
    this.#tls.destroy();
    this.#socket.destroy();
    this.#sent();
    this.#near?.close();
    if (this.#http && !this.#httpOver && !this.#leaving) this.#cutter.abort();
  }

  /** The handshake is done. */
  async #enter(pipes: Pipes, serveFar: ServeFar): Promise<void> {
    if (this.clients.required && !this.certificate(Date.now())) return this.#refuse();
    const pipe = await this.#pipe(pipes);
    if (!pipe) return this.cut();
    const { near, far } = pipe;
    if (this.#over) {
      near.close();
      return far.close();
    }
    this.#near = near;
    try {
      this.#http = serveFar(far, this.#cutter.signal);
    } catch {
      far.close();
      return this.cut();
    }
    const done = () => {
      this.#httpOver = true;
    };
    this.#http.finished.then(done, done);
    this.#feed();
    this.#answer(near).then(
      () => this.#end(),
      () => this.cut(),
    );
  }

  /** Says why, in what TLS has agreed on, and reads on for a moment so that it can arrive. */
  #refuse(): void {
    this.#deaf = true;
    this.#tls.write(this.#tls.alpnProtocol === "h2" ? REFUSAL_H2 : REFUSAL);
    this.#end();
  }

  #end(): void {
    this.#tls.end(() => this.#leaving ? this.cut() : setTimeout(() => this.cut(), LINGER));
  }

  /** Without descriptors those who wait longest make room, as for a connection itself. */
  async #pipe(pipes: Pipes) {
    for (let tries = 0; tries < TRIES && !this.#over; tries++) {
      try {
        return await pipes.open();
      } catch (error) {
        if (!lacksDescriptors(error)) return undefined;
        for (let i = 0; i < 16 && this.makeRoom(); i++);
        await new Promise((resolve) => setTimeout(resolve, AGAIN));
      }
    }
    return undefined;
  }

  #take(chunk: Uint8Array<ArrayBuffer>): void {
    if (this.#deaf) return;
    this.#arrived.push(chunk);
    this.#waiting += chunk.length;
    if (this.#waiting >= MAY_WAIT) this.#secured.hold(true);
    this.#feed();
  }

  /** Hands over what has arrived, and the client's end after it. */
  async #feed(): Promise<void> {
    const near = this.#near;
    if (!near || this.#feeding) return;
    this.#feeding = true;
    try {
      for (let chunk = this.#arrived.shift(); chunk; chunk = this.#arrived.shift()) {
        for (let at = 0; at < chunk.length;) {
          at += await near.write(at === 0 ? chunk : chunk.subarray(at));
        }
        this.#waiting -= chunk.length;
        detach(chunk);
        if (this.#waiting < MAY_WAIT) this.#secured.hold(false);
      }
      this.#feeding = false;
      if (this.#ended) await near.closeWrite();
    } catch {
      // Its answer may still be on its way.
      this.#deaf = true;
      this.#arrived = [];
      this.#secured.hold(false);
    }
  }

  async #answer(near: Deno.Conn): Promise<void> {
    const small = new Uint8Array(SMALL);
    let buffer = small;
    for (;;) {
      const count = await near.read(buffer);
      if (count === null || this.#over) return;
      // TLS keeps it until it is encrypted.
      const piece = buffer.slice(0, count);
      const full = count === buffer.length;
      await new Promise<void>((resolve) => {
        this.#sent = resolve;
        this.#tls.write(piece, () => resolve());
      });
      if (full && buffer === small) buffer = new Uint8Array(LARGE);
      else if (count <= SMALL) buffer = small;
    }
  }
}
