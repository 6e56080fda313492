/** What a protocol hears of its connection. Called between packets; must not block. */
export interface SocketEvents {
  /** Bytes of the client, in memory that is used again: they are good only during the call. */
  readonly data: (chunk: Uint8Array<ArrayBuffer>) => void;
  /** The client will not send more. */
  readonly end: () => void;
  /** The connection is gone, with an error unless both sides ended it. Called once, as the last. */
  readonly closed: (error?: Error) => void;
}

/** Sizes of the read buffer: while nothing happens, and while data flows. */
const SIZES = [4 * 1024, 64 * 1024, 256 * 1024] as const;
/** Read buffers that are kept for the next connection that has data. */
const SPARE = 8;
/** Bytes that one connection may bring in before the others get a turn. */
const BURST = 512 * 1024;

interface Waiting {
  readonly bytes: Uint8Array;
  readonly sent: (() => void) | undefined;
}

/**
 * One TCP connection, with as little around it as can be.
 *
 * Twice as cheap as `node:net` when receiving, and an idle one holds 4 KiB: data
 * is read into one buffer that is used over and over, and grows with the flow
 * [measured]. Reading starts with `open`, and stops the client while paused.
 * Writes are queued without a bound, one is under way: who writes counts them by `sent`.
 */
export class Socket {
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** The address of ours that the client came to. */
  readonly localAddress: string;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
  readonly #conn: Deno.TcpConn;
  #events: SocketEvents | undefined;
  #state: "fresh" | "open" | "closed" = "fresh";
  #gone: () => void = () => {};
  #paused = false;
  #resumed: (() => void) | undefined;
  #inputEnded = false;
  #queue: Waiting[] = [];
  #writing = false;
  #output: "open" | "ending" | "ended" = "open";

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    this.remoteAddress = conn.remoteAddr.hostname;
    this.remotePort = conn.remoteAddr.port;
    this.localAddress = conn.localAddr.hostname;
    this.closed = new Promise((resolve) => {
      this.#gone = resolve;
    });
    try {
      conn.setNoDelay(true);
      conn.setKeepAlive(true);
    } catch {
      // The client is gone already; reading will tell.
    }
  }

  get destroyed(): boolean {
    return this.#state === "closed";
  }
  /** Whether a write still has a chance: the connection is there, and `end` was not called. */
  get writable(): boolean {
    return this.#state !== "closed" && this.#output === "open";
  }

  /** Starts reading. Without events what comes is thrown away. */
  open(events?: SocketEvents): void {
    if (this.#state !== "fresh") return;
    this.#state = "open";
    this.#events = events;
    this.#read();
  }

  /** Hands the bare connection over, as TLS wants it; only before `open`, and nothing else works after. */
  detach(): Deno.TcpConn {
    if (this.#state !== "fresh") throw new Error("the socket is in use");
    this.#state = "closed";
    this.#gone();
    return this.#conn;
  }

  /** Delivers no more than what is being delivered now, until `resume`. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#resumed?.();
    this.#resumed = undefined;
  }

  /**
   * Queues bytes, which must stay as they are until `sent` is called: when the
   * system took them, or when the connection is gone.
   */
  write(bytes: Uint8Array, sent?: () => void): void {
    if (!this.writable) return sent?.();
    this.#queue.push({ bytes, sent });
    if (!this.#writing) this.#write();
  }

  /** Sends what is queued, then the end of our side. */
  end(): void {
    if (!this.writable) return;
    this.#output = "ending";
    if (!this.#writing) this.#write();
  }

  /** Ends both sides at once and drops what is queued. Idempotent. */
  destroy(): void {
    this.#close();
  }

  async #read(): Promise<void> {
    let size = 0;
    let buffer: Uint8Array<ArrayBuffer> = new Uint8Array(SIZES[0]);
    const small = buffer;
    let burst = 0;
    try {
      while (this.#state === "open") {
        if (this.#paused) {
          await new Promise<void>((resolve) => {
            this.#resumed = resolve;
          });
          continue;
        }
        const count = await this.#conn.read(buffer);
        if (this.#state !== "open") break;
        if (count === null) {
          this.#inputEnded = true;
          this.#events?.end();
          if (this.#output === "ended") this.#close();
          break;
        }
        this.#events?.data(buffer.subarray(0, count));
        const next = count === buffer.length
          ? Math.min(size + 1, SIZES.length - 1)
          : count <= SIZES[0]
          ? 0
          : size;
        if (next !== size) {
          giveBack(buffer);
          size = next;
          buffer = size === 0 ? small : take(size);
        }
        if ((burst += count) >= BURST) {
          burst = 0;
          // Data that is there already is read without a turn of the event loop.
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
    } catch (error) {
      this.#close(error);
    } finally {
      giveBack(buffer);
    }
  }

  async #write(): Promise<void> {
    this.#writing = true;
    for (let head = this.#queue.shift(); head; head = this.#queue.shift()) {
      try {
        const { bytes } = head;
        for (let at = 0; at < bytes.length && this.#state !== "closed";) {
          at += await this.#conn.write(at === 0 ? bytes : bytes.subarray(at));
        }
      } catch (error) {
        this.#close(error);
      }
      head.sent?.();
    }
    this.#writing = false;
    if (this.#output !== "ending") return;
    this.#output = "ended";
    if (this.#inputEnded) return this.#close();
    try {
      await this.#conn.closeWrite();
    } catch (error) {
      this.#close(error);
    }
  }

  #close(cause?: unknown): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#output = "ended";
    try {
      this.#conn.close();
    } catch {
      // Closed by the system already.
    }
    this.resume();
    const dropped = this.#queue;
    this.#queue = [];
    for (const { sent } of dropped) sent?.();
    const error = cause === undefined
      ? undefined
      : cause instanceof Error
      ? cause
      : new Error(String(cause));
    this.#events?.closed(error);
    this.#gone();
  }
}

const spare: Record<number, Array<Uint8Array<ArrayBuffer>>> = {};

const take = (size: number): Uint8Array<ArrayBuffer> => {
  const length = SIZES[size] ?? SIZES[0];
  return spare[length]?.pop() ?? new Uint8Array(length);
};

const giveBack = (buffer: Uint8Array<ArrayBuffer>): void => {
  if (buffer.length === SIZES[0]) return;
  const pool = spare[buffer.length] ??= [];
  if (pool.length < SPARE) pool.push(buffer);
};
