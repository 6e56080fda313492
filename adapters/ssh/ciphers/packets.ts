import { Buffer } from "node:buffer";
import { randomFillSync } from "node:crypto";
import { borrow, giveBack } from "../memory.ts";
import {
  type Bytes,
  type Opener,
  paddingFor,
  possibleLength,
  type Sealer,
  type Shape,
  writeUint32,
} from "./port.ts";

/** Largest packet that is read, length and tag included (ssh2's crypto.js, MAX_PACKET_SIZE). */
const maxPacket = 35000;
/** First message number of the connection protocol (RFC 4250 section 4.1.1). */
const firstChannelMessage = 80;

const randomness: Bytes = new Uint8Array(4096);
let used = randomness.length;

/** Writes `length` bytes of random padding at `at`; at most 255. */
const pad = (memory: Uint8Array, at: number, length: number): void => {
  if (used + length > randomness.length) {
    randomFillSync(randomness);
    used = 0;
  }
  for (let i = 0; i < length; i++) memory[at + i] = randomness[used++] ?? 0;
};

/**
 * Takes the place of ssh2's ciphers (crypto.js, createCipher), over any suite:
 * seals in place, and writes each packet in one piece.
 */
export class PacketCipher {
  readonly #sealer: Sealer;
  readonly #onWrite: (bytes: Buffer) => void;
  #freed = false;

  constructor(sealer: Sealer, onWrite: (bytes: Buffer) => void) {
    this.#sealer = sealer;
    this.#onWrite = onWrite;
  }

  /** ssh2 reads it to make the next cipher, and sets it in strict key exchange. */
  get outSeqno(): number {
    return this.#sealer.sequence;
  }

  set outSeqno(value: number) {
    this.#sealer.sequence = value;
  }

  get shape(): Shape {
    return this.#sealer.shape;
  }

  free(): void {
    this.#freed = true;
    this.#sealer.free();
  }

  /** A packet with its padding (RFC 4253 section 6), and room for the tag behind it. */
  allocPacket(payloadLength: number): Buffer {
    const { shape } = this.#sealer;
    const padding = paddingFor(shape, payloadLength);
    const length = 5 + payloadLength + padding;
    const packet = Buffer.from(new ArrayBuffer(length + shape.overhead), 0, length);
    packet.writeUInt32BE(length - 4, 0);
    packet[4] = padding;
    pad(packet, 5 + payloadLength, padding);
    return packet;
  }

  /** Bytes of a packet with `payloadLength` bytes in it, padding and tag included. */
  sizeOf(payloadLength: number): number {
    const { shape } = this.#sealer;
    return 5 + payloadLength + paddingFor(shape, payloadLength) + shape.overhead;
  }

  /**
   * Seals where it is going to be sent from: the payload lies at `at + 5`, and there is room for
   * `sizeOf(payloadLength)` bytes. Does not call `onWrite`.
   */
  sealAt(memory: Bytes, at: number, payloadLength: number): void {
    const { shape } = this.#sealer;
    const padding = paddingFor(shape, payloadLength);
    writeUint32(memory, at, 1 + payloadLength + padding);
    memory[at + 4] = padding;
    pad(memory, at + 5 + payloadLength, padding);
    this.#sealer.seal(memory, at, 5 + payloadLength + padding);
  }

  encrypt(packet: Buffer<ArrayBuffer>): void {
    if (this.#freed) return;
    const { overhead } = this.#sealer.shape;
    const { length } = packet;
    const own = packet.byteOffset === 0 && packet.buffer.byteLength === length + overhead;
    const whole: Bytes = own ? new Uint8Array(packet.buffer) : this.#again(packet);
    this.#sealer.seal(whole, 0, whole.length - overhead);
    this.#onWrite(Buffer.from(whole.buffer));
  }

  /** A packet that was made by another cipher, without room or padded otherwise. */
  #again(packet: Buffer): Bytes {
    const end = packet.length - (packet[4] ?? 0);
    const mine = this.allocPacket(end - 5);
    mine.set(packet.subarray(5, end), 5);
    return new Uint8Array(mine.buffer as ArrayBuffer);
  }
}

/**
 * Takes the place of ssh2's deciphers (crypto.js, createDecipher), over any suite.
 *
 * What the payloads given to `_onPayload` are:
 * - message numbers below 80 (transport, key exchange, login): copies, to be kept at will;
 * - from 80 on: views, good only during the call. Of the chunk, which was decrypted in place, if
 *   the packet lay in it whole; else of borrowed memory.
 */
export class PacketDecipher {
  readonly #opener: Opener;
  /** Under ssh2's name: a key exchange puts its own handler here for as long as it lasts. */
  _onPayload: (payload: Buffer) => number | false | undefined;
  /** Head of a packet whose length is not known yet. */
  readonly #head: Bytes;
  #headBytes = 0;
  /** A packet of which a part came in an earlier chunk, with room for its tag. */
  #partial: Bytes | undefined;
  #partialBytes = 0;
  #freed = false;

  constructor(opener: Opener, onPayload: PacketDecipher["_onPayload"]) {
    this.#opener = opener;
    this._onPayload = onPayload;
    this.#head = new Uint8Array(opener.shape.headLength);
  }

  get inSeqno(): number {
    return this.#opener.sequence;
  }

  set inSeqno(value: number) {
    this.#opener.sequence = value;
  }

  free(): void {
    this.#freed = true;
    this.#opener.free();
  }

  /**
   * Takes `data` from `at`, all of it or until a payload's handler says where to go on. Answers where,
   * if a handler did. Throws on a bad packet: nothing may be read from the connection any more.
   */
  decrypt(data: Buffer<ArrayBuffer>, at: number, length: number): number | undefined {
    // Plain views cost less than Buffers.
    const memory: Bytes = new Uint8Array(data.buffer, data.byteOffset, length);
    const { headLength, overhead } = this.#opener.shape;
    while (at < length && !this.#freed) {
      let payload: Buffer;
      const partial = this.#partial;
      if (partial) {
        const missing = partial.length - this.#partialBytes;
        const take = Math.min(missing, length - at);
        partial.set(memory.subarray(at, at + take), this.#partialBytes);
        this.#partialBytes += take;
        if (take < missing) return undefined;
        at += take;
        this.#partial = undefined;
        payload = this.#open(partial, 0, partial.length - 4 - overhead);
        const result = this._onPayload(payload);
        giveBack(partial);
        if (result !== undefined) return result === false ? at : result;
        continue;
      } else if (this.#headBytes > 0 || length - at < headLength) {
        const take = Math.min(headLength - this.#headBytes, length - at);
        this.#head.set(memory.subarray(at, at + take), this.#headBytes);
        this.#headBytes += take;
        if (this.#headBytes < headLength) return undefined;
        at += take;
        this.#hold(this.#size(this.#head, 0), this.#head);
        this.#headBytes = 0;
        continue;
      } else {
        const size = this.#size(memory, at);
        const whole = 4 + size + overhead;
        if (length - at < whole) {
          this.#hold(size, memory.subarray(at));
          return undefined;
        }
        payload = this.#open(memory, at, size);
        at += whole;
      }
      const result = this._onPayload(payload);
      if (result !== undefined) return result === false ? at : result;
    }
    return undefined;
  }

  #size(memory: Bytes, at: number): number {
    const size = this.#opener.lengthAt(memory, at);
    const { shape } = this.#opener;
    if (4 + size + shape.overhead > maxPacket || !possibleLength(shape, size)) {
      throw new Error("Bad packet length");
    }
    return size;
  }

  /** Keeps what came of a packet until the rest is there. */
  #hold(size: number, start: Bytes): void {
    this.#partial = borrow(4 + size + this.#opener.shape.overhead);
    this.#partial.set(start);
    this.#partialBytes = start.length;
  }

  /** The payload of a packet that is all there. */
  #open(memory: Bytes, at: number, size: number): Buffer {
    this.#opener.open(memory, at, 4 + size);
    const padding = memory[at + 4] ?? 0;
    const length = size - 1 - padding;
    if (padding < 4 || length < 0) throw new Error("Bad padding length");
    const payload = Buffer.from(memory.buffer, memory.byteOffset + at + 5, length);
    return (payload[0] ?? 0) < firstChannelMessage ? Buffer.from(payload) : payload;
  }
}
