import { Buffer } from "node:buffer";
import { randomFillSync } from "node:crypto";
import { AesGcm, tagLength } from "./aes_gcm.ts";
import type { Libcrypto } from "./libcrypto.ts";

/** What ssh2 hands to a cipher for packets to the client (crypto.js, createCipher). */
export interface Outbound {
  readonly seqno: number;
  readonly onWrite: (bytes: Buffer) => void;
  readonly cipherKey: Uint8Array;
  readonly cipherIV: Uint8Array;
}

/** What ssh2 hands to a decipher (crypto.js, createDecipher). */
export interface Inbound {
  readonly seqno: number;
  readonly onPayload: (payload: Buffer) => number | false | undefined;
  readonly decipherKey: Uint8Array;
  readonly decipherIV: Uint8Array;
}

type Bytes = Uint8Array<ArrayBuffer>;
const block = 16;
/** Largest packet that is read, tag and length included (crypto.js, MAX_PACKET_SIZE). */
const maxPacket = 35000;

/** Takes the place of ssh2's AES-GCM cipher: seals in place and writes each packet at once. */
export class GcmCipher {
  outSeqno: number;
  readonly #gcm: AesGcm;
  readonly #onWrite: (bytes: Buffer) => void;

  constructor(lib: Libcrypto, outbound: Outbound) {
    this.outSeqno = outbound.seqno;
    this.#onWrite = outbound.onWrite;
    this.#gcm = new AesGcm(lib, true, outbound.cipherKey, outbound.cipherIV);
  }

  free(): void {
    this.#gcm.free();
  }

  /** A packet with its padding (RFC 4253 section 6), and room for the tag behind it. */
  allocPacket(payloadLength: number): Buffer {
    let padding = block - ((1 + payloadLength) & (block - 1));
    if (padding < 4) padding += block;
    const length = 1 + payloadLength + padding;
    const whole = Buffer.from(new ArrayBuffer(4 + length + tagLength));
    whole.writeUInt32BE(length, 0);
    whole[4] = padding;
    randomFillSync(whole, 5 + payloadLength, padding);
    return whole.subarray(0, 4 + length);
  }

  encrypt(packet: Buffer<ArrayBuffer>): void {
    if (this.#gcm.freed) return;
    const end = packet.byteOffset + packet.length;
    // A packet that waited for a key exchange may have been made by another cipher, without room.
    const roomy = packet.byteOffset === 0 && packet.buffer.byteLength === end + tagLength;
    const whole: Buffer<ArrayBuffer> = roomy
      ? Buffer.from(packet.buffer)
      : Buffer.from(new ArrayBuffer(packet.length + tagLength));
    if (!roomy) whole.set(packet);
    const body = whole.subarray(4, packet.length);
    this.#gcm.begin(whole.subarray(0, 4));
    this.#gcm.update(body, body);
    this.#gcm.seal(whole.subarray(packet.length));
    this.#onWrite(whole);
    this.outSeqno = (this.outSeqno + 1) >>> 0;
  }
}

/** Takes the place of ssh2's AES-GCM decipher: each packet is decrypted into a buffer of its own. */
export class GcmDecipher {
  inSeqno: number;
  readonly #gcm: AesGcm;
  /** Under ssh2's name: a key exchange puts its own handler here for as long as it lasts. */
  _onPayload: Inbound["onPayload"];
  readonly #head: Bytes = new Uint8Array(4);
  #headBytes = 0;
  #packet: Bytes = new Uint8Array(0);
  #packetBytes = 0;
  readonly #tag: Bytes = new Uint8Array(tagLength);
  #tagBytes = 0;

  constructor(lib: Libcrypto, inbound: Inbound) {
    this.inSeqno = inbound.seqno;
    this._onPayload = inbound.onPayload;
    this.#gcm = new AesGcm(lib, false, inbound.decipherKey, inbound.decipherIV);
  }

  free(): void {
    this.#gcm.free();
  }

  /** Takes `data` from `at`; answers where to go on, where ssh2 wants to know. Throws on a bad packet. */
  decrypt(data: Buffer<ArrayBuffer>, at: number, length: number): number | undefined {
    while (at < length && !this.#gcm.freed) {
      if (this.#headBytes < 4) {
        while (this.#headBytes < 4 && at < length) this.#head[this.#headBytes++] = data[at++] ?? 0;
        if (this.#headBytes < 4) return undefined;
        this.#begin();
      }
      const missing = this.#packet.length - this.#packetBytes;
      if (missing > 0) {
        const take = Math.min(missing, length - at);
        if (take === 0) return undefined;
        this.#gcm.update(
          this.#packet.subarray(this.#packetBytes, this.#packetBytes + take),
          data.subarray(at, at + take),
        );
        this.#packetBytes += take;
        at += take;
        if (take < missing) return undefined;
      }
      while (this.#tagBytes < tagLength && at < length) {
        this.#tag[this.#tagBytes++] = data[at++] ?? 0;
      }
      if (this.#tagBytes < tagLength) return undefined;
      const result = this._onPayload(this.#finish());
      if (result !== undefined) return result === false ? at : result;
    }
    return undefined;
  }

  #begin(): void {
    const size = new DataView(this.#head.buffer).getUint32(0);
    if (size + 4 + tagLength > maxPacket || size < block || size % block !== 0) {
      throw new Error("Bad packet length");
    }
    this.#packet = new Uint8Array(size);
    this.#gcm.begin(this.#head);
  }

  /** The payload of a packet that is complete and whose tag is right. */
  #finish(): Buffer {
    if (!this.#gcm.open(this.#tag)) throw new Error("Invalid MAC");
    const padding = this.#packet[0] ?? 0;
    const end = this.#packet.length - padding;
    if (padding < 4 || end < 1) throw new Error("Bad padding length");
    const payload = Buffer.from(this.#packet.buffer, 1, end - 1);
    this.inSeqno = (this.inSeqno + 1) >>> 0;
    this.#headBytes = 0;
    this.#packetBytes = 0;
    this.#tagBytes = 0;
    return payload;
  }
}
