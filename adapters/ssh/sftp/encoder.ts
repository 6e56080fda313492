import { packet, type StatusCode } from "./protocol.ts";

const utf8 = new TextEncoder();

/** Writes `value` big-endian at `at`. */
export const putU32 = (into: Uint8Array, at: number, value: number): void => {
  into[at] = value >>> 24;
  into[at + 1] = value >>> 16;
  into[at + 2] = value >>> 8;
  into[at + 3] = value;
};

/** Builds one packet, in one allocation unless `capacity` was too small. */
export class Encoder {
  #bytes: Uint8Array;
  #at = 9;

  /** `id` is left out of the packets that have none (VERSION). */
  constructor(type: number, id: number | undefined, capacity = 128) {
    this.#bytes = new Uint8Array(Math.max(capacity, 9));
    this.#bytes[4] = type;
    if (id === undefined) this.#at = 5;
    else putU32(this.#bytes, 5, id);
  }

  get length(): number {
    return this.#at;
  }

  u32(value: number): this {
    this.#room(4);
    putU32(this.#bytes, this.#at, value);
    this.#at += 4;
    return this;
  }

  /** `value` is a whole number, not negative; above 2^53 it is sent as the double has it. */
  u64(value: number): this {
    this.u32(Math.floor(value / 0x1_0000_0000) >>> 0);
    return this.u32(value % 0x1_0000_0000);
  }

  bytes(value: Uint8Array): this {
    this.u32(value.length);
    return this.raw(value);
  }

  raw(value: Uint8Array): this {
    this.#room(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
    return this;
  }

  text(value: string): this {
    this.#room(4 + value.length * 3);
    const { written } = utf8.encodeInto(value, this.#bytes.subarray(this.#at + 4));
    putU32(this.#bytes, this.#at, written);
    this.#at += 4 + written;
    return this;
  }

  /** Overwrites a number written before; for counts that are known last. */
  patch(at: number, value: number): this {
    putU32(this.#bytes, at, value);
    return this;
  }

  /** The packet with its length in front. The encoder must not be used afterwards. */
  finish(): Uint8Array {
    putU32(this.#bytes, 0, this.#at - 4);
    return this.#bytes.subarray(0, this.#at);
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#at + bytes));
    grown.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = grown;
  }
}

/** SSH_FXP_STATUS with a sentence for people; the language tag stays empty as OpenSSH's does. */
export const statusPacket = (id: number, status: StatusCode, message: string): Uint8Array =>
  new Encoder(packet.status, id, 21 + message.length * 3 + 4)
    .u32(status).text(message).text("").finish();
