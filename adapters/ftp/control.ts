import type { TLSSocket } from "node:tls";
import { secure, type Secured, type ServerTls } from "../../actors/secure.ts";
import type { Socket } from "../../actors/socket.ts";
import { type Line, LineReader } from "./lines.ts";
import { encodeReply, type Reply } from "./reply.ts";

/** What a control connection tells. */
export interface ControlEvents {
  readonly line: (line: Line) => void;
  /** Called once, as the last. */
  readonly closed: (why: string) => void;
}

/** Bytes of answers that may wait for a client who does not read them. */
const maxWaiting = 256 * 1024;

/** One control connection: lines in, replies out, plain or over TLS. */
export class Control {
  readonly #socket: Socket;
  readonly #events: ControlEvents;
  #reader = new LineReader();
  #secured: Secured | undefined;
  #tls: TLSSocket | undefined;
  /** Between AUTH TLS and the first byte of the handshake nothing may come (RFC 4217 section 15). */
  #expectsNothing = false;
  #waiting = 0;
  #over = false;

  constructor(socket: Socket, events: ControlEvents) {
    this.#socket = socket;
    this.#events = events;
  }

  /** The TLS connection, once its handshake is done. */
  get tls(): TLSSocket | undefined {
    return this.#tls;
  }

  get remoteAddress(): string {
    return this.#socket.remoteAddress;
  }

  get localAddress(): string {
    return this.#socket.localAddress;
  }

  /** Starts reading; with `implicit` the client begins with the handshake. */
  open(implicit: ServerTls | undefined, ready: () => void): void {
    if (implicit) this.#start(implicit, ready);
    this.#socket.open({
      data: (chunk) => this.#secured ? this.#secured.feed(chunk) : this.#data(chunk),
      end: () => this.#secured ? this.#secured.ended() : this.close("the client left"),
      closed: (error) => {
        this.#secured?.gone(error);
        this.#closed(error?.message ?? "the client left");
      },
    });
    if (!implicit) ready();
  }

  /** Answers 234, then starts TLS. What the client sent before it read that is never run. */
  upgrade(context: ServerTls, accepted: Reply): void {
    this.#expectsNothing = true;
    if (this.#reader.pending > 0) return this.destroy("data before the TLS handshake");
    this.#socket.write(encodeReply(accepted), () => {
      if (this.#over) return;
      this.#expectsNothing = false;
      this.#start(context, () => {});
    });
  }

  reply(what: Reply): void {
    if (this.#over) return;
    const bytes = encodeReply(what);
    this.#waiting += bytes.length;
    if (this.#waiting > maxWaiting) return this.destroy("the client does not read");
    const sent = () => {
      this.#waiting -= bytes.length;
    };
    if (this.#tls) this.#tls.write(bytes, sent);
    else this.#socket.write(bytes, sent);
  }

  pause(): void {
    if (this.#secured) this.#secured.hold(true);
    else this.#socket.pause();
  }

  resume(): void {
    if (this.#secured) this.#secured.hold(false);
    else this.#socket.resume();
  }

  /** Sends what is queued, then the end. */
  close(why: string): void {
    if (this.#tls) this.#tls.end();
    else this.#socket.end();
    this.#closed(why);
  }

  destroy(why: string): void {
    this.#tls?.destroy();
    this.#socket.destroy();
    this.#closed(why);
  }

  #start(context: ServerTls, ready: () => void): void {
    const secured = secure(this.#socket, context.context, {
      protocols: ["ftp"],
      askForCertificate: context.ask,
    });
    this.#secured = secured;
    this.#reader = new LineReader();
    const { tls } = secured;
    tls.on("secure", () => {
      this.#tls = tls;
      ready();
    });
    tls.on("data", (chunk: Uint8Array) => this.#data(chunk));
    tls.on("end", () => this.close("the client left"));
    tls.on("close", () => this.destroy("the client left"));
  }

  #data(chunk: Uint8Array): void {
    if (this.#over) return;
    if (this.#expectsNothing) return this.destroy("data before the TLS handshake");
    this.#reader.feed(chunk, (line, rest) => {
      this.#events.line(line);
      if (!this.#expectsNothing) return !this.#over;
      if (rest > 0) this.destroy("data before the TLS handshake");
      return false;
    });
  }

  #closed(why: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#events.closed(why);
  }
}
