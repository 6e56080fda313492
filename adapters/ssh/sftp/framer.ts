import { borrow, type Bytes } from "../memory.ts";
import { limits } from "./protocol.ts";

/** What {@linkcode Framer.next} found: a packet, nothing yet, or a length no client may send. */
export type Framed = Bytes | undefined | { readonly badLength: number };

interface Found {
  readonly packet: Framed;
  /** Bytes of the stream that are done with when the packet is. */
  readonly bytes: number;
}

/**
 * Cuts the byte stream into packets (the part after the length field).
 *
 * Each packet is copied once into borrowed memory of its own, and so outlives
 * the chunk: whoever is done with a large one gives it back.
 */
export class Framer {
  #length = 0;
  #lengthBytes = 0;
  #packet: Bytes | undefined;
  #filled = 0;
  #found: Found[] = [];
  /** Bytes of the unfinished packet that `took` does not know of. */
  #owed = 0;
  #broken = false;

  /** `took` learns of every byte that went into a packet that was taken, or is the one awaited. */
  constructor(private readonly took: (bytes: number) => void = () => {}) {}

  /** True when the stream stopped in the middle of a packet. */
  get partial(): boolean {
    return this.#lengthBytes > 0;
  }

  /** Takes the next chunk, all of it. */
  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length && !this.#broken;) {
      const packet = this.#packet;
      if (packet) {
        const take = Math.min(packet.length - this.#filled, chunk.length - at);
        packet.set(
          take === chunk.length ? chunk : chunk.subarray(at, at + take),
          this.#filled,
        );
        at += take;
        this.#owed += take;
        this.#filled += take;
        if (this.#filled === packet.length) this.#done(packet);
      } else {
        this.#length = ((this.#length << 8) | chunk[at++]!) >>> 0;
        this.#owed++;
        if (++this.#lengthBytes === 4) this.#begin();
      }
    }
    this.#settle();
  }

  /** The next packet, which is the caller's from now on. */
  next(): Framed {
    const found = this.#found.shift();
    if (found === undefined) return undefined;
    this.took(found.bytes);
    this.#settle();
    return found.packet;
  }

  #begin(): void {
    const length = this.#length;
    if (length === 0 || length > limits.packet) {
      this.#broken = true;
      this.#found.push({ packet: { badLength: length }, bytes: 0 });
    } else {
      this.#packet = borrow(length);
      this.#filled = 0;
    }
  }

  #done(packet: Bytes): void {
    this.#packet = undefined;
    this.#length = this.#lengthBytes = 0;
    this.#found.push({ packet, bytes: this.#owed });
    this.#owed = 0;
  }

  /** A packet may be longer than the window: the one that is waited for must not stop for want of it. */
  #settle(): void {
    if (this.#found.length > 0 || this.#owed === 0) return;
    this.took(this.#owed);
    this.#owed = 0;
  }
}
