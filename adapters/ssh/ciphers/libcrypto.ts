/**
 * The system's OpenSSL library by FFI, for what `node:crypto` is slow at.
 *
 * Deno's own AES-GCM reaches 190 MB/s on one core, libcrypto several GB/s
 * [measured]. Versions 3 and 1.1 have the functions used here.
 */
const symbols = {
  EVP_CIPHER_CTX_new: { parameters: [], result: "pointer" },
  EVP_CIPHER_CTX_free: { parameters: ["pointer"], result: "void" },
  EVP_aes_128_gcm: { parameters: [], result: "pointer" },
  EVP_aes_256_gcm: { parameters: [], result: "pointer" },
  EVP_CipherInit_ex: {
    parameters: ["pointer", "pointer", "pointer", "buffer", "buffer", "i32"],
    result: "i32",
  },
  EVP_CIPHER_CTX_ctrl: { parameters: ["pointer", "i32", "i32", "buffer"], result: "i32" },
  EVP_CipherUpdate: {
    parameters: ["pointer", "buffer", "buffer", "buffer", "i32"],
    result: "i32",
  },
  EVP_CipherFinal_ex: { parameters: ["pointer", "buffer", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

export type Libcrypto = Deno.DynamicLibrary<typeof symbols>["symbols"];

const names: Readonly<Partial<Record<typeof Deno.build.os, ReadonlyArray<string>>>> = {
  linux: ["libcrypto.so.3", "libcrypto.so.1.1"],
  darwin: ["libcrypto.3.dylib", "libcrypto.1.1.dylib"],
  windows: ["libcrypto-3-x64.dll", "libcrypto-1_1-x64.dll"],
};

/** Loads the library; undefined where there is none, or the process may not. */
export const loadLibcrypto = (): Libcrypto | undefined => {
  for (const name of names[Deno.build.os] ?? []) {
    try {
      return Deno.dlopen(name, symbols).symbols;
    } catch {
      // Absent is fine: the next name, or none.
    }
  }
  return undefined;
};
