import { handled, refused } from "./handled.ts";
import { borrow, type Bytes } from "./memory.ts";
import { Malformed } from "./wire.ts";

/** Data of this size or more is gathered for `read`, up to the second. */
const BULK = 16 * 1024;
const GATHERED = 256 * 1024;

/**
 * What the client of one channel sends, from its packets to the engine.
 *
 * The window (RFC 4254 section 5.2) is given back, by `widen`, only for what
 * the engine has read. Data beyond it throws {@linkcode Malformed}.
 */
export class ChannelInput {
  readonly #size: number;
  readonly #widen: (bytes: number) => void;
  #window: number;
  #consumed = 0;
  #ended = false;
  /** Nothing is sent on this channel any more, so no window either. */
  #stopped = false;
  #lost: Error | undefined;

  #sink: ((chunk: Uint8Array) => void) | undefined;
  #poured: { resolve: () => void; reject: (e: Error) => void } | undefined;
  #inbound: Uint8Array[] = [];
  /** Memory of the last chunk of `#inbound` where it has room for more. */
  #gather: Bytes | undefined;
  #delivering = false;
  #reader:
    | { resolve: (chunk: Uint8Array | undefined) => void; reject: (e: Error) => void }
    | undefined;

  constructor(window: number, widen: (bytes: number) => void) {
    this.#size = this.#window = window;
    this.#widen = widen;
  }

  /** No more will come: the client said so, or is gone. */
  get ended(): boolean {
    return this.#ended;
  }

  read(): Promise<Uint8Array | undefined> {
    const chunk = this.#next();
    if (chunk) return Promise.resolve(chunk);
    if (this.#lost) return refused(this.#lost);
    if (this.#ended) return Promise.resolve(undefined);
    if (this.#reader) return refused(new Error("a read is already pending"));
    return handled(
      new Promise((resolve, reject) => {
        this.#reader = { resolve, reject };
      }),
    );
  }

  pour(sink: (chunk: Uint8Array) => void): Promise<void> {
    if (this.#lost) return refused(this.#lost);
    for (let chunk = this.#inbound.shift(); chunk; chunk = this.#inbound.shift()) sink(chunk);
    if (this.#ended) return Promise.resolve();
    this.#sink = sink;
    return handled(
      new Promise((resolve, reject) => {
        this.#poured = { resolve, reject };
      }),
    );
  }

  /** The engine has no more use for so many bytes: the client may send as many. */
  took(bytes: number): void {
    this.#consumed += bytes;
    // Early, so that over a long line nearly the whole window is under way.
    if (this.#consumed < this.#size / 8 || this.#ended || this.#stopped) return;
    this.#window += this.#consumed;
    this.#widen(this.#consumed);
    this.#consumed = 0;
  }

  /** The client sent so many bytes of its window. */
  count(bytes: number): void {
    if (bytes > this.#window) throw new Malformed("data beyond the channel's window");
    this.#window -= bytes;
  }

  /** Hands on `data`, which is good only during the call, to whoever reads. */
  deliver(data: Uint8Array): void {
    if (this.#sink) return this.#sink(data);
    this.#keep(data);
    // What came in one piece from the socket is delivered in one.
    if (!this.#reader || this.#delivering) return;
    this.#delivering = true;
    queueMicrotask(() => {
      this.#delivering = false;
      const reader = this.#reader;
      const chunk = reader && this.#next();
      if (!chunk) return;
      this.#reader = undefined;
      reader.resolve(chunk);
    });
  }

  end(): void {
    this.#ended = true;
    this.#reader?.resolve(this.#next());
    this.#reader = undefined;
    this.#poured?.resolve();
    this.#poured = undefined;
  }

  /** Nobody reads any more. */
  drop(): void {
    this.#inbound = [];
  }

  /** Gives no more of the window. */
  stop(): void {
    this.#stopped = true;
  }

  /** The connection is gone: whoever reads learns it. */
  lose(error: Error): void {
    this.#lost = error;
    this.#ended = true;
    this.#inbound = [];
    this.#sink = undefined;
    this.#reader?.reject(error);
    this.#reader = undefined;
    this.#poured?.reject(error);
    this.#poured = undefined;
  }

  /** Copies data, since its memory is the connection's, for its next packets. */
  #keep(data: Uint8Array): void {
    const last = this.#inbound.at(-1);
    const gather = this.#gather;
    if (last && gather && last.length + data.length <= gather.length) {
      gather.set(data, last.length);
      this.#inbound[this.#inbound.length - 1] = gather.subarray(0, last.length + data.length);
      return;
    }
    const memory = data.length < BULK ? new Uint8Array(data.length) : borrow(GATHERED);
    memory.set(data);
    this.#gather = data.length < BULK ? undefined : memory;
    this.#inbound.push(memory.subarray(0, data.length));
  }

  #next(): Uint8Array | undefined {
    const chunk = this.#inbound.shift();
    if (!chunk) return undefined;
    if (this.#inbound.length === 0) this.#gather = undefined;
    this.took(chunk.length);
    return chunk;
  }
}
