import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

/** SHA-256 of bytes that come in order (FIPS 180-4). */
export interface Digest {
  /** Takes bytes, in memory that is lent until the promise has settled; undefined when it has them already. */
  update(chunk: Uint8Array): Promise<void> | undefined;
  /** The sum, in hex. Ends the digest; nothing may be under way. */
  hex(): string;
}

/** From so many bytes in the first chunk on, a thread of its own pays for its turns. */
const LARGE = 128 * 1024;
const SUM = 32;

const symbols = {
  EVP_MD_CTX_new: { parameters: [], result: "pointer" },
  EVP_MD_CTX_free: { parameters: ["pointer"], result: "void" },
  EVP_sha256: { parameters: [], result: "pointer" },
  EVP_DigestInit_ex: { parameters: ["pointer", "pointer", "pointer"], result: "i32" },
  EVP_DigestUpdate: { parameters: ["pointer", "buffer", "usize"], result: "i32" },
  updateBeside: {
    name: "EVP_DigestUpdate",
    parameters: ["pointer", "buffer", "usize"],
    result: "i32",
    nonblocking: true,
  },
  EVP_DigestFinal_ex: { parameters: ["pointer", "buffer", "pointer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

type Library = Deno.DynamicLibrary<typeof symbols>["symbols"];

const names: Readonly<Partial<Record<typeof Deno.build.os, ReadonlyArray<string>>>> = {
  linux: ["libcrypto.so.3", "libcrypto.so.1.1"],
  darwin: ["libcrypto.3.dylib", "libcrypto.1.1.dylib"],
};

let found: Library | null | undefined;

/** The system's libcrypto; null where there is none, or the process may not call it. */
const library = (): Library | null => {
  if (found !== undefined) return found;
  found = null;
  for (const name of names[Deno.build.os] ?? []) {
    try {
      found = Deno.dlopen(name, symbols).symbols;
      break;
    } catch {
      // The next name, or none: node:crypto does it as well.
    }
  }
  return found;
};

/** Contexts of uploads that were left before their end. */
const left = new FinalizationRegistry<Deno.PointerObject>((context) => {
  found?.EVP_MD_CTX_free(context);
});

/**
 * Starts a digest whose first bytes are `first`, which still has to be given to
 * `update`. Large chunks are summed by another thread, while the caller stores
 * them: that is a third of what an upload costs this one.
 */
export const startDigest = (first: Uint8Array): Digest => {
  const native = first.length >= LARGE ? library() : null;
  const context = native?.EVP_MD_CTX_new();
  if (!native || !context) return new Inline();
  if (native.EVP_DigestInit_ex(context, native.EVP_sha256(), null) === 1) {
    return new Beside(native, context);
  }
  native.EVP_MD_CTX_free(context);
  return new Inline();
};

class Inline implements Digest {
  readonly #hash = createHash("sha256");

  update(chunk: Uint8Array): undefined {
    this.#hash.update(chunk);
  }

  hex(): string {
    return this.#hash.digest("hex");
  }
}

/** Chunks that other threads sum now, for all uploads: more than there are cores only wait for one another. */
let beside = 0;
const most = Math.max(1, navigator.hardwareConcurrency);

class Beside implements Digest {
  #last: Promise<void> | undefined;

  constructor(readonly native: Library, readonly context: Deno.PointerObject) {
    left.register(this, context, this);
  }

  update(chunk: Uint8Array): Promise<void> | undefined {
    const here = this.#last === undefined && (chunk.length < LARGE || beside >= most);
    if (here) {
      checked(this.native.EVP_DigestUpdate(this.context, lent(chunk), BigInt(chunk.length)));
      return undefined;
    }
    beside += 1;
    const step = this.#besides(this.#last, chunk);
    const over = () => {
      beside -= 1;
      if (this.#last === step) this.#last = undefined;
    };
    this.#last = step;
    step.then(over, over);
    return step;
  }

  async #besides(before: Promise<void> | undefined, chunk: Uint8Array): Promise<void> {
    await before;
    const bytes = lent(chunk);
    const done = await this.native.updateBeside(this.context, bytes, BigInt(bytes.length));
    // Named after the wait, so that neither memory nor context is collected under the thread.
    keep(this, bytes);
    checked(done);
  }

  hex(): string {
    const sum = new Uint8Array(SUM);
    const done = this.native.EVP_DigestFinal_ex(this.context, sum, null);
    left.unregister(this);
    this.native.EVP_MD_CTX_free(this.context);
    checked(done);
    return Buffer.from(sum).toString("hex");
  }
}

const checked = (done: number): void => {
  if (done !== 1) throw new Error("the sum of an upload could not be taken");
};

/** Nothing here shares memory between threads of JavaScript, which the library's types ask for. */
const lent = (chunk: Uint8Array) => chunk as Uint8Array<ArrayBuffer>;

const keep = (..._alive: ReadonlyArray<unknown>): void => {};
