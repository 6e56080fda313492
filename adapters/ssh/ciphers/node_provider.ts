import {
  type Cipheriv,
  createCipheriv,
  createDecipheriv,
  createHmac,
  type Decipheriv,
  timingSafeEqual,
} from "node:crypto";
import type { Poly1305 } from "./poly1305_wasm.ts";
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

/** Every suite, by `node:crypto`, with a poly1305 in WebAssembly: the floor, works everywhere. */
export const nodeProvider = (poly1305: Poly1305): Provider => {
  const make = (suite: Suite, keys: Keys, encrypt: boolean): Sealer & Opener => {
    if (suite.cipher === "chacha20-poly1305") return new ChaChaPoly(poly1305, suite, keys);
    return suite.mac ? new CipherAndMac(suite, suite.mac, keys, encrypt) : new Gcm(suite, keys);
  };
  return {
    name: "node",
    supports: () => true,
    sealer: (suite, keys) => make(suite, keys, true),
    opener: (suite, keys) => make(suite, keys, false),
  };
};

const none: Bytes = new Uint8Array(0);

/** A direction of `CIPHER-gcm@openssh.com` (RFC 5647): the last eight bytes of the IV count packets. */
class Gcm implements Sealer, Opener {
  readonly shape: Shape;
  sequence: number;
  #key: Bytes;
  readonly #name: "aes-128-gcm" | "aes-256-gcm";
  readonly #iv: Bytes;
  readonly #counter: DataView;

  constructor(suite: Suite, keys: Keys) {
    this.shape = shapeOf(suite);
    this.sequence = keys.sequence;
    this.#key = Uint8Array.from(keys.key);
    this.#name = suite.cipher === "aes128-gcm" ? "aes-128-gcm" : "aes-256-gcm";
    this.#iv = Uint8Array.from(keys.iv);
    this.#counter = new DataView(this.#iv.buffer, this.#iv.length - 8);
  }

  seal(memory: Bytes, at: number, length: number): void {
    const cipher = createCipheriv(this.#name, this.#key, this.#iv);
    cipher.setAAD(memory.subarray(at, at + 4));
    memory.set(cipher.update(memory.subarray(at + 4, at + length)), at + 4);
    cipher.final();
    memory.set(cipher.getAuthTag(), at + length);
    this.#count();
  }

  lengthAt(memory: Bytes, at: number): number {
    return uint32At(memory, at);
  }

  open(memory: Bytes, at: number, length: number): void {
    const decipher = createDecipheriv(this.#name, this.#key, this.#iv);
    decipher.setAAD(memory.subarray(at, at + 4));
    decipher.setAuthTag(memory.subarray(at + length, at + length + 16));
    memory.set(decipher.update(memory.subarray(at + 4, at + length)), at + 4);
    try {
      decipher.final();
    } catch {
      throw new WrongTag();
    }
    this.#count();
  }

  #count(): void {
    this.#counter.setBigUint64(0, BigInt.asUintN(64, this.#counter.getBigUint64(0) + 1n));
    this.sequence = (this.sequence + 1) >>> 0;
  }

  free(): void {
    this.#key = none;
  }
}

/** A direction of a stream or block cipher with HMAC, before (RFC 4253) or after encryption. */
class CipherAndMac implements Sealer, Opener {
  readonly shape: Shape;
  sequence: number;
  readonly #cipher: Cipheriv | Decipheriv;
  readonly #hash: string;
  readonly #etm: boolean;
  #macKey: Bytes;
  readonly #head: Bytes = new Uint8Array(4);

  constructor(
    suite: Suite,
    { hash, etm }: NonNullable<Suite["mac"]>,
    keys: Keys,
    encrypt: boolean,
  ) {
    this.shape = shapeOf(suite);
    this.sequence = keys.sequence;
    this.#hash = hash;
    this.#etm = etm;
    this.#macKey = Uint8Array.from(keys.macKey);
    const create = encrypt ? createCipheriv : createDecipheriv;
    const name = suite.cipher.replace("aes", "aes-");
    this.#cipher = create(name, Uint8Array.from(keys.key), Uint8Array.from(keys.iv));
    this.#cipher.setAutoPadding(false);
  }

  seal(memory: Bytes, at: number, length: number): void {
    if (!this.#etm) memory.set(this.#sign(memory, at, length), at + length);
    this.#turn(memory, this.#etm ? at + 4 : at, at + length);
    if (this.#etm) memory.set(this.#sign(memory, at, length), at + length);
    this.sequence = (this.sequence + 1) >>> 0;
  }

  lengthAt(memory: Bytes, at: number): number {
    if (!this.#etm) this.#turn(memory, at, at + 16);
    return uint32At(memory, at);
  }

  open(memory: Bytes, at: number, length: number): void {
    if (!this.#etm && length > 16) this.#turn(memory, at + 16, at + length);
    const mac = memory.subarray(at + length, at + length + this.shape.overhead);
    if (!timingSafeEqual(this.#sign(memory, at, length), mac)) throw new WrongTag();
    if (this.#etm) this.#turn(memory, at + 4, at + length);
    this.sequence = (this.sequence + 1) >>> 0;
  }

  #turn(memory: Bytes, from: number, to: number): void {
    memory.set(this.#cipher.update(memory.subarray(from, to)), from);
  }

  #sign(memory: Bytes, at: number, length: number): Uint8Array {
    writeUint32(this.#head, 0, this.sequence);
    return createHmac(this.#hash, this.#macKey)
      .update(this.#head)
      .update(memory.subarray(at, at + length))
      .digest();
  }

  free(): void {
    this.#macKey = none;
  }
}

/** A direction of chacha20-poly1305@openssh.com (OpenSSH's PROTOCOL.chacha20poly1305). */
class ChaChaPoly implements Sealer, Opener {
  readonly shape: Shape;
  sequence: number;
  readonly #poly1305: Poly1305;
  #key: Bytes;
  #lengthKey: Bytes;
  /** Block counter in the first half, little-endian; sequence number in the second, big-endian. */
  readonly #iv: Bytes = new Uint8Array(16);
  readonly #zeros: Bytes = new Uint8Array(64);

  constructor(poly1305: Poly1305, suite: Suite, keys: Keys) {
    this.shape = shapeOf(suite);
    this.sequence = keys.sequence;
    this.#poly1305 = poly1305;
    this.#key = Uint8Array.from(keys.key.subarray(0, 32));
    this.#lengthKey = Uint8Array.from(keys.key.subarray(32));
  }

  seal(memory: Bytes, at: number, length: number): void {
    const { cipher, polyKey } = this.#begin();
    memory.set(this.#lengths().update(memory.subarray(at, at + 4)), at);
    memory.set(cipher.update(memory.subarray(at + 4, at + length)), at + 4);
    memory.set(this.#poly1305(polyKey, memory.subarray(at, at + length)), at + length);
    this.sequence = (this.sequence + 1) >>> 0;
  }

  lengthAt(memory: Bytes, at: number): number {
    writeUint32(this.#iv, 12, this.sequence);
    return uint32At(this.#lengths().update(memory.subarray(at, at + 4)), 0);
  }

  open(memory: Bytes, at: number, length: number): void {
    const { cipher, polyKey } = this.#begin();
    const mac = this.#poly1305(polyKey, memory.subarray(at, at + length));
    const given = memory.subarray(at + length, at + length + 16);
    if (!timingSafeEqual(mac, given)) throw new WrongTag();
    memory.set(cipher.update(memory.subarray(at + 4, at + length)), at + 4);
    this.sequence = (this.sequence + 1) >>> 0;
  }

  #lengths(): Cipheriv {
    return createCipheriv("chacha20", this.#lengthKey, this.#iv);
  }

  /** A cipher that stands at its second block, and the key of the MAC, which is in the first. */
  #begin(): { readonly cipher: Cipheriv; readonly polyKey: Uint8Array } {
    writeUint32(this.#iv, 12, this.sequence);
    const cipher = createCipheriv("chacha20", this.#key, this.#iv);
    return { polyKey: cipher.update(this.#zeros).subarray(0, 32), cipher };
  }

  free(): void {
    this.#key = none;
    this.#lengthKey = none;
  }
}
