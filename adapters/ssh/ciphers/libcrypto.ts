/**
 * The system's OpenSSL library by FFI, for what `node:crypto` is slow at.
 *
 * Deno's own AES-GCM reaches 190 MB/s on one core, libcrypto several GB/s
 * [measured]. Versions 3 and 1.1 have the functions used here, but for EVP_MAC
 * (version 3, or absent), without which there is no poly1305.
 */
const symbols = {
  EVP_CIPHER_CTX_new: { parameters: [], result: "pointer" },
  EVP_CIPHER_CTX_free: { parameters: ["pointer"], result: "void" },
  EVP_CIPHER_CTX_set_padding: { parameters: ["pointer", "i32"], result: "i32" },
  EVP_CIPHER_CTX_ctrl: { parameters: ["pointer", "i32", "i32", "buffer"], result: "i32" },
  EVP_get_cipherbyname: { parameters: ["buffer"], result: "pointer" },
  EVP_get_digestbyname: { parameters: ["buffer"], result: "pointer" },
  EVP_CipherInit_ex: {
    parameters: ["pointer", "pointer", "pointer", "buffer", "buffer", "i32"],
    result: "i32",
  },
  EVP_CipherUpdate: {
    parameters: ["pointer", "buffer", "buffer", "buffer", "i32"],
    result: "i32",
  },
  EVP_CipherFinal_ex: { parameters: ["pointer", "buffer", "buffer"], result: "i32" },
  HMAC_CTX_new: { parameters: [], result: "pointer" },
  HMAC_CTX_free: { parameters: ["pointer"], result: "void" },
  HMAC_Init_ex: { parameters: ["pointer", "buffer", "i32", "pointer", "pointer"], result: "i32" },
  HMAC_Update: { parameters: ["pointer", "buffer", "usize"], result: "i32" },
  HMAC_Final: { parameters: ["pointer", "buffer", "buffer"], result: "i32" },
  CRYPTO_memcmp: { parameters: ["buffer", "buffer", "usize"], result: "i32" },
  EVP_MAC_fetch: {
    parameters: ["pointer", "buffer", "pointer"],
    result: "pointer",
    optional: true,
  },
  EVP_MAC_free: { parameters: ["pointer"], result: "void", optional: true },
  EVP_MAC_CTX_new: { parameters: ["pointer"], result: "pointer", optional: true },
  EVP_MAC_CTX_free: { parameters: ["pointer"], result: "void", optional: true },
  EVP_MAC_init: {
    parameters: ["pointer", "buffer", "usize", "pointer"],
    result: "i32",
    optional: true,
  },
  EVP_MAC_update: { parameters: ["pointer", "buffer", "usize"], result: "i32", optional: true },
  EVP_MAC_final: {
    parameters: ["pointer", "buffer", "buffer", "usize"],
    result: "i32",
    optional: true,
  },
} as const satisfies Deno.ForeignLibraryInterface;

export type Libcrypto = Deno.DynamicLibrary<typeof symbols>["symbols"];

const names: Readonly<Partial<Record<typeof Deno.build.os, ReadonlyArray<string>>>> = {
  linux: ["libcrypto.so.3", "libcrypto.so.1.1"],
  darwin: ["libcrypto.3.dylib", "libcrypto.1.1.dylib"],
  windows: ["libcrypto-3-x64.dll", "libcrypto-1_1-x64.dll"],
};

/** Loads the library; else says why there is none: not installed, or the process may not. */
export const loadLibcrypto = (): Libcrypto | Error => {
  let why = new Error(`no libcrypto is known on ${Deno.build.os}`);
  for (const name of names[Deno.build.os] ?? []) {
    try {
      return Deno.dlopen(name, symbols).symbols;
    } catch (error) {
      // Absent is fine: the next name, or none.
      why = error instanceof Error ? error : new Error(String(error));
    }
  }
  return why;
};

/** A C string. */
export const text = (value: string): Uint8Array<ArrayBuffer> => {
  const bytes = new TextEncoder().encode(value);
  const ended = new Uint8Array(bytes.length + 1);
  ended.set(bytes);
  return ended;
};
