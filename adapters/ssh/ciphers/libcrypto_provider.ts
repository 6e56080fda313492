import type { Libcrypto } from "./libcrypto.ts";
import { ChaChaPoly, share, type Shared } from "./libcrypto_chacha.ts";
import { equal, Evp, Hmac, Poly1305 } from "./libcrypto_contexts.ts";
import {
  type Bytes,
  keyLengthsOf,
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

/** Every suite, by the system's OpenSSL; chacha20-poly1305 from version 3 on. */
export const libcryptoProvider = (lib: Libcrypto): Provider => {
  let shared: Shared | undefined;
  const make = (suite: Suite, keys: Keys, encrypt: boolean): Sealer & Opener => {
    const lengths = keyLengthsOf(suite);
    // The library reads as much as it needs, whatever is there.
    if (keys.key.length !== lengths.key || keys.iv.length !== lengths.iv) {
      throw new Error(`wrong key for ${suite.cipher}`);
    }
    if (suite.cipher === "chacha20-poly1305") {
      return new ChaChaPoly(lib, shared ??= share(lib), suite, keys);
    }
    return suite.mac
      ? new CipherAndMac(lib, suite, suite.mac, keys, encrypt)
      : new Gcm(lib, suite, keys, encrypt);
  };
  return {
    name: "libcrypto",
    supports: ({ cipher }) => cipher !== "chacha20-poly1305" || Poly1305.available(lib),
    sealer: (suite, keys) => make(suite, keys, true),
    opener: (suite, keys) => make(suite, keys, false),
  };
};

/** A direction of `CIPHER-gcm@openssh.com` (RFC 5647): the last eight bytes of the IV count packets. */
class Gcm implements Sealer, Opener {
  readonly shape: Shape;
  sequence: number;
  readonly #evp: Evp;
  readonly #iv: Bytes;
  readonly #counter: DataView;

  constructor(lib: Libcrypto, suite: Suite, keys: Keys, encrypt: boolean) {
    this.shape = shapeOf(suite);
    this.sequence = keys.sequence;
    this.#iv = Uint8Array.from(keys.iv);
    this.#counter = new DataView(this.#iv.buffer, this.#iv.length - 8);
    const name = suite.cipher === "aes128-gcm" ? "aes-128-gcm" : "aes-256-gcm";
    this.#evp = new Evp(lib, name, encrypt, keys.key, this.#iv);
  }

  seal(memory: Bytes, at: number, length: number): void {
    this.#turn(memory, at, length);
    this.#evp.finish(memory.subarray(at + length, at + length + 16));
    this.sequence = (this.sequence + 1) >>> 0;
  }

  lengthAt(memory: Bytes, at: number): number {
    return uint32At(memory, at);
  }

  open(memory: Bytes, at: number, length: number): void {
    this.#turn(memory, at, length);
    if (!this.#evp.verify(memory.subarray(at + length, at + length + 16))) throw new WrongTag();
    this.sequence = (this.sequence + 1) >>> 0;
  }

  #turn(memory: Bytes, at: number, length: number): void {
    this.#evp.restart(this.#iv);
    this.#evp.associate(memory.subarray(at, at + 4));
    const body = memory.subarray(at + 4, at + length);
    this.#evp.update(body, body);
    const low = this.#counter.getUint32(4) + 1 >>> 0;
    this.#counter.setUint32(4, low);
    if (low === 0) this.#counter.setUint32(0, this.#counter.getUint32(0) + 1);
  }

  free(): void {
    this.#evp.free();
  }
}

/** A direction of a stream or block cipher with HMAC, before (RFC 4253) or after encryption. */
class CipherAndMac implements Sealer, Opener {
  readonly shape: Shape;
  sequence: number;
  readonly #lib: Libcrypto;
  readonly #evp: Evp;
  readonly #hmac: Hmac;
  readonly #etm: boolean;
  readonly #head: Bytes = new Uint8Array(4);
  readonly #mac: Bytes;

  constructor(
    lib: Libcrypto,
    suite: Suite,
    { hash, etm }: NonNullable<Suite["mac"]>,
    keys: Keys,
    encrypt: boolean,
  ) {
    this.shape = shapeOf(suite);
    this.sequence = keys.sequence;
    this.#lib = lib;
    this.#etm = etm;
    this.#mac = new Uint8Array(this.shape.overhead);
    const name = suite.cipher.replace("aes", "aes-");
    this.#evp = new Evp(lib, name, encrypt, keys.key, Uint8Array.from(keys.iv));
    this.#hmac = new Hmac(lib, hash, keys.macKey);
  }

  seal(memory: Bytes, at: number, length: number): void {
    const packet = memory.subarray(at, at + length);
    const mac = memory.subarray(at + length, at + length + this.shape.overhead);
    if (this.#etm) {
      const body = memory.subarray(at + 4, at + length);
      this.#evp.update(body, body);
      this.#sign(packet, mac);
    } else {
      this.#sign(packet, mac);
      this.#evp.update(packet, packet);
    }
    this.sequence = (this.sequence + 1) >>> 0;
  }

  lengthAt(memory: Bytes, at: number): number {
    if (!this.#etm) {
      const first = memory.subarray(at, at + 16);
      this.#evp.update(first, first);
    }
    return uint32At(memory, at);
  }

  open(memory: Bytes, at: number, length: number): void {
    const packet = memory.subarray(at, at + length);
    if (this.#etm) {
      this.#verify(packet, memory);
      const body = memory.subarray(at + 4, at + length);
      this.#evp.update(body, body);
    } else {
      const rest = memory.subarray(at + 16, at + length);
      if (rest.length > 0) this.#evp.update(rest, rest);
      this.#verify(packet, memory);
    }
    this.sequence = (this.sequence + 1) >>> 0;
  }

  #sign(packet: Bytes, mac: Bytes): void {
    writeUint32(this.#head, 0, this.sequence);
    this.#hmac.sign(this.#head, packet, mac);
  }

  #verify(packet: Bytes, memory: Bytes): void {
    this.#sign(packet, this.#mac);
    const end = packet.byteOffset - memory.byteOffset + packet.length;
    const given = memory.subarray(end, end + this.#mac.length);
    if (!equal(this.#lib, this.#mac, given, this.#mac.length)) throw new WrongTag();
  }

  free(): void {
    this.#evp.free();
    this.#hmac.free();
  }
}
