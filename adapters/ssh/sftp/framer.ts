import { limits } from "./protocol.ts";

const nothing = new Uint8Array(0);

/** What {@linkcode Framer.next} found: a packet, nothing yet, or a length no client may send. */
export type Framed = Uint8Array | undefined | { readonly badLength: number };

/**
 * Cuts the byte stream into packets (the part after the length field).
 *
 * A packet that lies in one chunk is a view of that chunk; one that spans
 * several is gathered in a buffer of its own, so that no byte is copied twice.
 */
export class Framer {
  #chunk: Uint8Array = nothing;
  #at = 0;
  #length = 0;
  #lengthBytes = 0;
  #gathered: Uint8Array | undefined;
  #filled = 0;

  /** Takes the next chunk. The one before must have been used up (`next` answered undefined). */
  push(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** True when the stream stopped in the middle of a packet. */
  get partial(): boolean {
    return this.#lengthBytes > 0 || this.#gathered !== undefined;
  }

  next(): Framed {
    if (this.#gathered) return this.#gather(this.#gathered);
    while (this.#lengthBytes < 4) {
      if (this.#at === this.#chunk.length) return this.#empty();
      this.#length = ((this.#length << 8) | this.#chunk[this.#at++]!) >>> 0;
      this.#lengthBytes++;
    }
    const length = this.#length;
    if (length === 0 || length > limits.packet) return { badLength: length };
    if (this.#chunk.length - this.#at >= length) {
      const found = this.#chunk.subarray(this.#at, this.#at += length);
      this.#length = this.#lengthBytes = 0;
      return found;
    }
    this.#filled = 0;
    return this.#gather(this.#gathered = new Uint8Array(length));
  }

  #gather(into: Uint8Array): Framed {
    const take = Math.min(into.length - this.#filled, this.#chunk.length - this.#at);
    into.set(this.#chunk.subarray(this.#at, this.#at + take), this.#filled);
    this.#at += take;
    this.#filled += take;
    if (this.#filled < into.length) return this.#empty();
    this.#gathered = undefined;
    this.#length = this.#lengthBytes = 0;
    return into;
  }

  #empty(): undefined {
    // Lets go of the chunk: an idle session must not hold 32 KiB.
    this.#chunk = nothing;
    this.#at = 0;
    return undefined;
  }
}
