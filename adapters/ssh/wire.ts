import { Buffer } from "node:buffer";

/** What a peer sent cannot be parsed: the connection ends with PROTOCOL_ERROR. */
export class Malformed extends Error {}

/** Reads the fields of one SSH packet (RFC 4251 section 5); a short packet throws {@linkcode Malformed}. */
export class Fields {
  #at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
  }
  get position(): number {
    return this.#at;
  }
  get left(): number {
    return this.#bytes.length - this.#at;
  }
  #take(count: number): number {
    const from = this.#at;
    if (count > this.#bytes.length - from) throw new Malformed("packet is too short");
    this.#at = from + count;
    return from;
  }
  byte(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }
  flag(): boolean {
    return this.byte() !== 0;
  }
  uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }
  /** A view on the packet, not a copy. */
  string(): Buffer {
    const length = this.uint32();
    const from = this.#take(length);
    return this.#bytes.subarray(from, from + length);
  }
  /** A string that must be valid UTF-8. */
  text(): string {
    const bytes = this.string();
    try {
      return utf8.decode(bytes);
    } catch {
      throw new Malformed("text is not UTF-8");
    }
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

type Field = number | boolean | string | Uint8Array;

/**
 * Builds a packet: a message number, then its fields. A number is a uint32, a
 * boolean a byte, text and bytes are strings with their length before them.
 */
export const packet = (message: number, ...fields: ReadonlyArray<Field>): Buffer => {
  const parts: Buffer[] = [Buffer.from([message])];
  for (const field of fields) {
    if (typeof field === "boolean") parts.push(Buffer.from([field ? 1 : 0]));
    else if (typeof field === "number") parts.push(uint32(field));
    else {
      const bytes = typeof field === "string" ? Buffer.from(field) : Buffer.from(field);
      parts.push(uint32(bytes.length), bytes);
    }
  }
  return Buffer.concat(parts);
};

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value >>> 0, 0);
  return bytes;
};

/** Message numbers (RFC 4250 section 4.1.2, RFC 8308). */
export const Message = {
  Disconnect: 1,
  Ignore: 2,
  Unimplemented: 3,
  Debug: 4,
  ServiceRequest: 5,
  ServiceAccept: 6,
  ExtInfo: 7,
  KexInit: 20,
  AuthRequest: 50,
  AuthFailure: 51,
  AuthSuccess: 52,
  AuthBanner: 53,
  AuthPkOk: 60,
  AuthInfoRequest: 60,
  AuthInfoResponse: 61,
  GlobalRequest: 80,
  RequestSuccess: 81,
  RequestFailure: 82,
  ChannelOpen: 90,
  ChannelOpenConfirmation: 91,
  ChannelOpenFailure: 92,
  ChannelWindowAdjust: 93,
  ChannelData: 94,
  ChannelExtendedData: 95,
  ChannelEof: 96,
  ChannelClose: 97,
  ChannelRequest: 98,
  ChannelSuccess: 99,
  ChannelFailure: 100,
} as const;

/** Disconnection reasons (RFC 4253 section 11.1). */
export const Reason = {
  ProtocolError: 2,
  KeyExchangeFailed: 3,
  ServiceNotAvailable: 7,
  ConnectionLost: 10,
  ByApplication: 11,
  TooManyConnections: 12,
  NoMoreAuthMethods: 14,
} as const;
