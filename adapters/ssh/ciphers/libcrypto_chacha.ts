import type { Libcrypto } from "./libcrypto.ts";
import { equal, Evp, Poly1305 } from "./libcrypto_contexts.ts";
import {
  type Bytes,
  type Keys,
  type Opener,
  type Sealer,
  type Shape,
  shapeOf,
  type Suite,
  uint32At,
  writeUint32,
  WrongTag,
} from "./port.ts";

/**
 * What all chacha20-poly1305 directions of a thread use in turn: chacha20 has no key schedule, so a
 * context of their own would cost them memory and spare them nothing.
 */
export interface Shared {
  readonly evp: Evp;
  readonly poly: Poly1305;
  /** The first block of the key stream; its first half is the key of the MAC. */
  readonly block: Bytes;
  readonly mac: Bytes;
}

/** Made once for each thread. */
export const share = (lib: Libcrypto): Shared => ({
  evp: new Evp(lib, "chacha20", true, new Uint8Array(32), new Uint8Array(16)),
  poly: new Poly1305(lib),
  block: new Uint8Array(64),
  mac: new Uint8Array(16),
});

const zeros: Bytes = new Uint8Array(64);
const noKey: Bytes = new Uint8Array(0);

/** A direction of chacha20-poly1305@openssh.com (OpenSSH's PROTOCOL.chacha20poly1305). */
export class ChaChaPoly implements Sealer, Opener {
  readonly shape: Shape;
  sequence: number;
  readonly #lib: Libcrypto;
  readonly #shared: Shared;
  #key: Bytes;
  #lengthKey: Bytes;
  /** Block counter in the first half, little-endian; sequence number in the second, big-endian. */
  readonly #iv: Bytes = new Uint8Array(16);

  constructor(lib: Libcrypto, shared: Shared, suite: Suite, keys: Keys) {
    this.shape = shapeOf(suite);
    this.sequence = keys.sequence;
    this.#lib = lib;
    this.#shared = shared;
    this.#key = Uint8Array.from(keys.key.subarray(0, 32));
    this.#lengthKey = Uint8Array.from(keys.key.subarray(32));
  }

  seal(memory: Bytes, at: number, length: number): void {
    const { evp, poly, block } = this.#shared;
    const head = memory.subarray(at, at + 4), body = memory.subarray(at + 4, at + length);
    this.#turnLength(head, head);
    this.#begin();
    evp.update(body, body);
    const mac = memory.subarray(at + length, at + length + 16);
    poly.sign(block, memory.subarray(at, at + length), mac);
    this.sequence = (this.sequence + 1) >>> 0;
  }

  lengthAt(memory: Bytes, at: number): number {
    const { mac } = this.#shared;
    this.#turnLength(mac, memory.subarray(at, at + 4));
    return uint32At(mac, 0);
  }

  open(memory: Bytes, at: number, length: number): void {
    const { evp, poly, block, mac } = this.#shared;
    this.#begin();
    poly.sign(block, memory.subarray(at, at + length), mac);
    const given = memory.subarray(at + length, at + length + 16);
    if (!equal(this.#lib, mac, given, 16)) throw new WrongTag();
    // The key stream goes on with its second block.
    const body = memory.subarray(at + 4, at + length);
    evp.update(body, body);
    this.sequence = (this.sequence + 1) >>> 0;
  }

  #turnLength(into: Bytes, from: Bytes): void {
    writeUint32(this.#iv, 12, this.sequence);
    this.#shared.evp.restart(this.#iv, this.#held(this.#lengthKey));
    this.#shared.evp.update(into, from);
  }

  #begin(): void {
    const { evp, block } = this.#shared;
    writeUint32(this.#iv, 12, this.sequence);
    evp.restart(this.#iv, this.#held(this.#key));
    evp.update(block, zeros);
  }

  /** The library would read beyond a key that is gone. */
  #held(key: Bytes): Bytes {
    if (key.length !== 32) throw new Error("cipher used after free()");
    return key;
  }

  free(): void {
    this.#key.fill(0);
    this.#lengthKey.fill(0);
    this.#key = this.#lengthKey = noKey;
  }
}
