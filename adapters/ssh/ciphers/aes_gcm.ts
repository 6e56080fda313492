import type { Libcrypto } from "./libcrypto.ts";

/** Bytes of the authentication tag (RFC 5647 section 6.1). */
export const tagLength = 16;
const ivLength = 12;
/** Controls of EVP_CIPHER_CTX_ctrl (openssl/evp.h). */
const GET_TAG = 0x10;
const SET_TAG = 0x11;

/**
 * One direction of AES-GCM as SSH uses it (RFC 5647): one packet after the
 * other, the last eight bytes of the IV count packets.
 *
 * The steps of a packet are `begin`, `update` until all is through, then
 * `seal` or `open`. Library failures throw.
 */
export class AesGcm {
  readonly #lib: Libcrypto;
  #context: Deno.PointerValue;
  readonly #iv: Uint8Array<ArrayBuffer>;
  readonly #counter: DataView;
  readonly #written = new Int32Array(1);
  readonly #nothing = new Uint8Array(tagLength);

  constructor(lib: Libcrypto, encrypt: boolean, key: Uint8Array, iv: Uint8Array) {
    this.#lib = lib;
    this.#iv = Uint8Array.from(iv);
    this.#counter = new DataView(this.#iv.buffer, ivLength - 8);
    const cipher = key.length === 16 ? lib.EVP_aes_128_gcm() : lib.EVP_aes_256_gcm();
    this.#context = lib.EVP_CIPHER_CTX_new();
    leftovers.register(this, { lib, context: this.#context }, this);
    this.#must(
      this.#context !== null &&
        lib.EVP_CipherInit_ex(
            this.#context,
            cipher,
            null,
            Uint8Array.from(key),
            this.#iv,
            encrypt ? 1 : 0,
          ) === 1,
    );
  }

  /** Starts a packet whose four length bytes are `length`: authenticated, not encrypted. */
  begin(length: Uint8Array<ArrayBuffer>): void {
    const { EVP_CipherInit_ex, EVP_CipherUpdate } = this.#lib;
    this.#must(EVP_CipherInit_ex(this.#context, null, null, null, this.#iv, -1) === 1);
    this.#must(EVP_CipherUpdate(this.#context, null, this.#written, length, 4) === 1);
    this.#counter.setBigUint64(0, this.#counter.getBigUint64(0) + 1n);
  }

  /** Turns `from` into `into`, which may be the same bytes. */
  update(into: Uint8Array<ArrayBuffer>, from: Uint8Array<ArrayBuffer>): void {
    this.#must(
      this.#lib.EVP_CipherUpdate(this.#context, into, this.#written, from, from.length) === 1,
    );
  }

  /** Ends an encrypted packet: writes its tag. */
  seal(tag: Uint8Array<ArrayBuffer>): void {
    const { EVP_CipherFinal_ex, EVP_CIPHER_CTX_ctrl } = this.#lib;
    this.#must(EVP_CipherFinal_ex(this.#context, this.#nothing, this.#written) === 1);
    this.#must(EVP_CIPHER_CTX_ctrl(this.#context, GET_TAG, tagLength, tag) === 1);
  }

  /** Ends a decrypted packet: whether the tag is right. Compared in constant time by the library. */
  open(tag: Uint8Array<ArrayBuffer>): boolean {
    const { EVP_CipherFinal_ex, EVP_CIPHER_CTX_ctrl } = this.#lib;
    this.#must(EVP_CIPHER_CTX_ctrl(this.#context, SET_TAG, tagLength, tag) === 1);
    return EVP_CipherFinal_ex(this.#context, this.#nothing, this.#written) === 1;
  }

  /** Gives the library's memory back. Idempotent; later calls of the others throw. */
  free(): void {
    if (this.#context === null) return;
    leftovers.unregister(this);
    this.#lib.EVP_CIPHER_CTX_free(this.#context);
    this.#context = null;
  }

  get freed(): boolean {
    return this.#context === null;
  }

  #must(done: boolean): void {
    if (this.#context === null || !done) throw new Error("libcrypto failed");
  }
}

/** ssh2 does not free every cipher it drops. */
const leftovers = new FinalizationRegistry<{ lib: Libcrypto; context: Deno.PointerValue }>(
  ({ lib, context }) => lib.EVP_CIPHER_CTX_free(context),
);
