import {
  type Bytes,
  type Keys,
  type Opener,
  type Provider,
  type Sealer,
  type Shape,
  shapeOf,
  type Suite,
  uint32At,
  writeUint32,
  WrongTag,
} from "./port.ts";

/** The functions of sodium-native that are used (libsodium's, argument by argument). */
export interface Sodium {
  crypto_stream_chacha20(into: Bytes, nonce: Bytes, key: Bytes): void;
  crypto_stream_chacha20_xor(into: Bytes, from: Bytes, nonce: Bytes, key: Bytes): void;
  crypto_stream_chacha20_xor_ic(
    into: Bytes,
    from: Bytes,
    nonce: Bytes,
    counter: number,
    key: Bytes,
  ): void;
  crypto_onetimeauth(mac: Bytes, from: Bytes, key: Bytes): void;
  crypto_onetimeauth_verify(mac: Bytes, from: Bytes, key: Bytes): boolean;
}

/** Loads the addon; else says why there is none. */
export const loadSodium = async (): Promise<Sodium | Error> => {
  try {
    const { default: sodium }: { default: Sodium } = await import("sodium-native");
    return sodium;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
};

/** chacha20-poly1305 alone, by libsodium. */
export const sodiumProvider = (sodium: Sodium): Provider => ({
  name: "sodium",
  supports: ({ cipher }) => cipher === "chacha20-poly1305",
  sealer: (suite, keys) => new ChaChaPoly(sodium, suite, keys),
  opener: (suite, keys) => new ChaChaPoly(sodium, suite, keys),
});

/** A direction of chacha20-poly1305@openssh.com (OpenSSH's PROTOCOL.chacha20poly1305). */
class ChaChaPoly implements Sealer, Opener {
  readonly shape: Shape;
  sequence: number;
  readonly #sodium: Sodium;
  #key: Bytes;
  #lengthKey: Bytes;
  /** The sequence number, 64 bits big-endian. */
  readonly #nonce: Bytes = new Uint8Array(8);
  readonly #polyKey: Bytes = new Uint8Array(32);
  readonly #length: Bytes = new Uint8Array(4);

  constructor(sodium: Sodium, suite: Suite, keys: Keys) {
    this.shape = shapeOf(suite);
    this.sequence = keys.sequence;
    this.#sodium = sodium;
    this.#key = Uint8Array.from(keys.key.subarray(0, 32));
    this.#lengthKey = Uint8Array.from(keys.key.subarray(32));
  }

  seal(memory: Bytes, at: number, length: number): void {
    writeUint32(this.#nonce, 4, this.sequence);
    const head = memory.subarray(at, at + 4), body = memory.subarray(at + 4, at + length);
    const sodium = this.#sodium;
    sodium.crypto_stream_chacha20(this.#polyKey, this.#nonce, this.#key);
    sodium.crypto_stream_chacha20_xor(head, head, this.#nonce, this.#lengthKey);
    sodium.crypto_stream_chacha20_xor_ic(body, body, this.#nonce, 1, this.#key);
    const mac = memory.subarray(at + length, at + length + 16);
    sodium.crypto_onetimeauth(mac, memory.subarray(at, at + length), this.#polyKey);
    this.sequence = (this.sequence + 1) >>> 0;
  }

  lengthAt(memory: Bytes, at: number): number {
    writeUint32(this.#nonce, 4, this.sequence);
    const head = memory.subarray(at, at + 4);
    this.#sodium.crypto_stream_chacha20_xor(this.#length, head, this.#nonce, this.#lengthKey);
    return uint32At(this.#length, 0);
  }

  open(memory: Bytes, at: number, length: number): void {
    writeUint32(this.#nonce, 4, this.sequence);
    const sodium = this.#sodium;
    sodium.crypto_stream_chacha20(this.#polyKey, this.#nonce, this.#key);
    const mac = memory.subarray(at + length, at + length + 16);
    const packet = memory.subarray(at, at + length);
    if (!sodium.crypto_onetimeauth_verify(mac, packet, this.#polyKey)) throw new WrongTag();
    const body = memory.subarray(at + 4, at + length);
    sodium.crypto_stream_chacha20_xor_ic(body, body, this.#nonce, 1, this.#key);
    this.sequence = (this.sequence + 1) >>> 0;
  }

  free(): void {
    this.#key = new Uint8Array(0);
    this.#lengthKey = new Uint8Array(0);
  }
}
