import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import type { KeyPair } from "../src/tls/self_signed.ts";
import { detach } from "./detach.ts";
import type { Socket } from "./socket.ts";

/** How the server speaks TLS. */
export interface ServerTls {
  readonly context: SecureContext;
  /** Whether clients are asked for a certificate on their control connection. */
  readonly ask: boolean;
}

/** What TLS connections to one address share; `authorities` sign the certificates of clients. */
export const makeContext = (
  pair: KeyPair,
  minimum: 12 | 13,
  authorities: ReadonlyArray<string>,
): SecureContext =>
  createSecureContext({
    cert: pair.certificate,
    key: pair.key,
    minVersion: minimum === 13 ? "TLSv1.3" : "TLSv1.2",
    ...(authorities.length > 0 ? { ca: [...authorities] } : {}),
  });

/** Bytes of one write, so that a slow client is seen to take some. */
const PIECE = 16 * 1024;

/**
 * Bytes that TLS gets at once: it copies them several times, into memory of its own,
 * which comes fresh from the system where it is large (twice the time for 256 KiB [measured]).
 */
const FEED = 16 * 1024;

/** How often a connection that the client ended is looked at until TLS has said its word. */
const LOOK_MS = 50;
const LOOKS = 4;

/**
 * Carries TLS over our own socket: Deno has no server's TLS for a connection
 * that was plain before (`Deno.startTls` is for clients), and node:tls takes
 * any stream.
 *
 * The end of the TCP connection is kept from TLS. So `end` of the TLS socket
 * means that the client said so (close_notify); an end without that is a cut,
 * and comes as an error. node:tls alone shows both alike under Deno [measured].
 */
class Carrier extends Duplex {
  readonly #socket: Socket;
  tls: TLSSocket | undefined;
  #waiting: (() => void) | undefined;
  /** Output that waits, where it must: see {@linkcode secure}. */
  #held: Buffer[] | undefined;
  /** Bytes until the next record of the client, and its header so far. */
  #skip = 0;
  #header: number[] = [];
  #holding = false;
  #stopped = false;
  /** Memory for {@linkcode FEED} bytes, used again while TLS does not keep it. */
  #lent: Buffer | undefined;

  constructor(socket: Socket, quiet: boolean) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    if (quiet) this.#held = [];
  }

  /** Bytes that went over the wire, both ways. */
  moved = 0;

  /** Sends what was held back, and holds no more. */
  release(): void {
    const held = this.#held;
    this.#held = undefined;
    for (const bytes of held ?? []) this.#socket.write(bytes);
  }

  /** Looks for the first record of type 23: in TLS 1.3 the client's Finished, before in none. */
  #watch(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length && !this.#holding;) {
      const jump = Math.min(this.#skip, chunk.length - at);
      this.#skip -= jump;
      at += jump;
      if (jump > 0) continue;
      this.#header.push(chunk[at++] ?? 0);
      if (this.#header.length < 5) continue;
      const [type, , , high = 0, low = 0] = this.#header;
      this.#holding = type === 23;
      this.#skip = high * 256 + low;
      this.#header = [];
    }
  }

  /** Bytes of the client, in memory that is lent. */
  feed(chunk: Uint8Array): void {
    this.moved += chunk.length;
    if (this.#held) this.#watch(chunk);
    let more = true;
    for (let at = 0; at < chunk.length && !this.destroyed; at += FEED) {
      more = this.#hand(chunk.subarray(at, at + FEED));
    }
    if (!more) this.#socket.pause();
  }

  /** TLS takes bytes over at once unless they have to wait; then their memory is theirs. */
  #hand(bytes: Uint8Array): boolean {
    this.#lent ??= Buffer.allocUnsafeSlow(FEED);
    this.#lent.set(bytes);
    const more = this.push(this.#lent.subarray(0, bytes.length));
    if (this.readableLength > 0) this.#lent = undefined;
    return more;
  }

  /**
   * The client will send no more. What it sent is still on its way through TLS:
   * a client that leaves with bytes unread, as curl does with session tickets,
   * ends with a reset after its close_notify.
   */
  ended(error = new Error("cut without close_notify")): void {
    let looks = 0;
    const look = () => {
      const { tls } = this;
      if (!tls || tls.destroyed || tls.readableEnded) return;
      if (this.readableLength > 0 || tls.readableLength > 0 || this.#stopped) looks = 0;
      else if (++looks > LOOKS) return void tls.destroy(error);
      setTimeout(look, LOOK_MS);
    };
    look();
  }

  /** The connection is gone. */
  gone(error?: Error): void {
    this.#waiting?.();
    this.ended(error);
  }

  /** Reads no more from the client, or again: TLS itself is never paused, else it may keep a close_notify to itself. */
  hold(stopped: boolean): void {
    this.#stopped = stopped;
    if (stopped) this.#socket.pause();
    else this.#socket.resume();
  }

  override _read(): void {
    if (!this.#stopped) this.#socket.resume();
  }

  override _write(
    chunk: Uint8Array<ArrayBuffer>,
    _: string,
    done: (error?: Error | null) => void,
  ): void {
    if (this.#held && this.#holding) {
      this.#held.push(Buffer.from(chunk));
      return done();
    }
    this.#waiting = () => {
      this.#waiting = undefined;
      done();
    };
    for (let at = 0; at < chunk.length; at += PIECE) {
      const piece = chunk.subarray(at, at + PIECE);
      const last = at + PIECE >= chunk.length;
      this.#socket.write(piece, () => {
        this.moved += piece.length;
        if (!last) return;
        detach(chunk);
        this.#waiting?.();
      });
    }
  }

  override _final(done: (error?: Error | null) => void): void {
    this.release();
    this.#socket.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}

/**
 * A TLSSocket over a stream starts a tick after it is made. Where the client left
 * at once, starting ends it, and Deno 2.9.6 then throws into the void [measured].
 */
const startSafely = (tls: TLSSocket): void => {
  const start: unknown = Reflect.get(tls, "_start");
  if (typeof start !== "function") return;
  Reflect.set(tls, "_start", () => {
    try {
      start.call(tls);
    } catch (error) {
      tls.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  });
};

export interface Secured {
  readonly tls: TLSSocket;
  /** Where the bytes of the connection go from now on, and its end. */
  readonly feed: (chunk: Uint8Array) => void;
  readonly ended: () => void;
  readonly gone: (error?: Error) => void;
  /** Sends what was held back. */
  readonly release: () => void;
  /** Stops reading from the client, or goes on. */
  readonly hold: (stopped: boolean) => void;
  /** Bytes that went over the wire, both ways. */
  readonly moved: () => number;
}

/**
 * Starts the server's side of TLS on a connection whose bytes the caller hands in.
 *
 * With `quiet` nothing is sent after the handshake until `release`. A client
 * that only sends may be gone before our session tickets reach it: its system
 * answers them with a reset, and throws away what it had not delivered yet
 * (measured with curl and uploads of 1 MB).
 *
 * With `askForCertificate` a client may show one; what it is worth says
 * `makeProver`, and nothing else.
 */
export const secure = (
  socket: Socket,
  context: SecureContext,
  { quiet = false, protocols, askForCertificate = false }: {
    /** As ALPN names them: a client that wants to speak another is not for us (ALPACA, CVE-2021-3618). */
    readonly protocols: ReadonlyArray<string>;
    readonly quiet?: boolean;
    readonly askForCertificate?: boolean;
  },
): Secured => {
  const carrier = new Carrier(socket, quiet);
  const tls = new TLSSocket(carrier, {
    isServer: true,
    secureContext: context,
    ALPNProtocols: [...protocols],
    requestCert: askForCertificate,
    rejectUnauthorized: false,
  });
  carrier.tls = tls;
  startSafely(tls);
  carrier.on("error", () => {});
  tls.on("error", () => {});
  return {
    tls,
    feed: (chunk) => carrier.feed(chunk),
    ended: () => carrier.ended(),
    gone: (error) => carrier.gone(error),
    release: () => carrier.release(),
    hold: (stopped) => carrier.hold(stopped),
    moved: () => carrier.moved,
  };
};
