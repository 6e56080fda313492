import { type Libcrypto, text } from "./libcrypto.ts";
import type { Bytes } from "./port.ts";

/** ssh2 does not free every cipher it drops. */
const leftovers = new FinalizationRegistry<() => void>((give) => give());

/** One allocated context of the library, given back once. */
abstract class Context {
  protected readonly lib: Libcrypto;
  protected pointer: Deno.PointerValue;
  readonly #give: () => void;

  constructor(lib: Libcrypto, pointer: Deno.PointerValue, give: () => void) {
    this.lib = lib;
    this.pointer = pointer;
    this.#give = give;
    if (pointer === null) throw new Error("libcrypto failed");
    leftovers.register(this, give, this);
  }

  /** Gives the library's memory back. Idempotent; every other method throws from then on. */
  free(): void {
    if (this.pointer === null) return;
    leftovers.unregister(this);
    this.pointer = null;
    this.#give();
  }

  /** A call on a null pointer would end the process: says so instead. */
  protected get live(): Deno.PointerObject {
    if (this.pointer === null) throw new Error("cipher used after free()");
    return this.pointer;
  }
}

const must = (result: number) => {
  if (result !== 1) throw new Error("libcrypto failed");
};

/** Where the library puts what nobody asks for: lengths, and last blocks that are empty. */
const written: Bytes = new Uint8Array(8);
const last: Bytes = new Uint8Array(32);

/** Controls of EVP_CIPHER_CTX_ctrl (openssl/evp.h). */
const GET_TAG = 0x10;
const SET_TAG = 0x11;
const tagLength = 16;

/** A symmetric cipher in one direction (EVP_CIPHER_CTX). */
export class Evp extends Context {
  /** `name`: as OpenSSL knows it. */
  constructor(lib: Libcrypto, name: string, encrypt: boolean, key: Uint8Array, iv: Bytes) {
    const cipher = lib.EVP_get_cipherbyname(text(name));
    const pointer = lib.EVP_CIPHER_CTX_new();
    super(lib, pointer, () => lib.EVP_CIPHER_CTX_free(pointer));
    const ready = cipher !== null &&
      lib.EVP_CipherInit_ex(pointer, cipher, null, Uint8Array.from(key), iv, encrypt ? 1 : 0) === 1;
    if (!ready) {
      this.free();
      throw new Error(`libcrypto has no ${name}`);
    }
    lib.EVP_CIPHER_CTX_set_padding(pointer, 0);
  }

  /** Begins anew, with the same key or another. */
  restart(iv: Bytes, key: Bytes | null = null): void {
    must(this.lib.EVP_CipherInit_ex(this.live, null, null, key, iv, -1));
  }

  /** Authenticates without turning. */
  associate(bytes: Bytes): void {
    must(this.lib.EVP_CipherUpdate(this.live, null, written, bytes, bytes.length));
  }

  /** Turns `from` into `into`, which may be the same bytes. */
  update(into: Bytes, from: Bytes): void {
    must(this.lib.EVP_CipherUpdate(this.live, into, written, from, from.length));
  }

  /** Ends a message and writes its tag. */
  finish(tag: Bytes): void {
    must(this.lib.EVP_CipherFinal_ex(this.live, last, written));
    must(this.lib.EVP_CIPHER_CTX_ctrl(this.live, GET_TAG, tagLength, tag));
  }

  /** Ends a message: whether `tag` is right. Compared in constant time by the library. */
  verify(tag: Bytes): boolean {
    must(this.lib.EVP_CIPHER_CTX_ctrl(this.live, SET_TAG, tagLength, tag));
    return this.lib.EVP_CipherFinal_ex(this.live, last, written) === 1;
  }
}

/** HMAC with one key, for any number of messages (HMAC_CTX). */
export class Hmac extends Context {
  constructor(lib: Libcrypto, hash: string, key: Uint8Array) {
    const digest = lib.EVP_get_digestbyname(text(hash));
    const pointer = lib.HMAC_CTX_new();
    super(lib, pointer, () => lib.HMAC_CTX_free(pointer));
    const ready = digest !== null &&
      lib.HMAC_Init_ex(pointer, Uint8Array.from(key), key.length, digest, null) === 1;
    if (!ready) {
      this.free();
      throw new Error(`libcrypto has no HMAC with ${hash}`);
    }
  }

  /** Writes the MAC of `head` and `body`, one after the other. */
  sign(head: Bytes, body: Bytes, mac: Bytes): void {
    const { HMAC_Init_ex, HMAC_Update, HMAC_Final } = this.lib;
    must(HMAC_Init_ex(this.live, null, 0, null, null));
    must(HMAC_Update(this.live, head, BigInt(head.length)));
    must(HMAC_Update(this.live, body, BigInt(body.length)));
    must(HMAC_Final(this.live, mac, written));
  }
}

/** Poly1305, a new key for each message (EVP_MAC, version 3). */
export class Poly1305 extends Context {
  readonly #mac: NonNullable<Libcrypto["EVP_MAC_init"]>;
  readonly #update: NonNullable<Libcrypto["EVP_MAC_update"]>;
  readonly #final: NonNullable<Libcrypto["EVP_MAC_final"]>;

  static available(lib: Libcrypto): boolean {
    return lib.EVP_MAC_fetch !== null;
  }

  constructor(lib: Libcrypto) {
    const { EVP_MAC_fetch, EVP_MAC_free, EVP_MAC_CTX_new, EVP_MAC_CTX_free } = lib;
    const { EVP_MAC_init, EVP_MAC_update, EVP_MAC_final } = lib;
    const found = EVP_MAC_fetch?.(null, text("POLY1305"), null) ?? null;
    const pointer = found === null ? null : EVP_MAC_CTX_new?.(found) ?? null;
    // The context holds the algorithm from here on.
    EVP_MAC_free?.(found);
    super(lib, pointer, () => EVP_MAC_CTX_free?.(pointer));
    if (!EVP_MAC_init || !EVP_MAC_update || !EVP_MAC_final) throw new Error("no EVP_MAC");
    this.#mac = EVP_MAC_init;
    this.#update = EVP_MAC_update;
    this.#final = EVP_MAC_final;
  }

  /** Writes the 16 bytes of the MAC of `body` with the first 32 bytes of `key`. */
  sign(key: Bytes, body: Bytes, mac: Bytes): void {
    must(this.#mac(this.live, key, 32n, null));
    must(this.#update(this.live, body, BigInt(body.length)));
    must(this.#final(this.live, mac, written, 16n));
  }
}

/** Whether the first `length` bytes of both are equal, in constant time. */
export const equal = (lib: Libcrypto, a: Bytes, b: Bytes, length: number): boolean =>
  lib.CRYPTO_memcmp(a, b, BigInt(length)) === 0;
