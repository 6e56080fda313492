import { createCipheriv, randomBytes } from "node:crypto";
import { AesGcm, tagLength } from "./aes_gcm.ts";
import type { Libcrypto } from "./libcrypto.ts";

/** Whether the library agrees with `node:crypto` on random packets, and refuses a changed one. */
export const passesSelfTest = (lib: Libcrypto): boolean => {
  try {
    return ([16, 32] as const).every((keyLength) => agrees(lib, keyLength));
  } catch {
    return false;
  }
};

const agrees = (lib: Libcrypto, keyLength: 16 | 32): boolean => {
  const key = Uint8Array.from(randomBytes(keyLength));
  const iv = Uint8Array.from(randomBytes(12));
  const sealing = new AesGcm(lib, true, key, iv);
  const opening = new AesGcm(lib, false, key, iv);
  const counter = new DataView(iv.buffer, 4);
  try {
    for (const size of [16, 4096, 32]) {
      const length = new Uint8Array([0, 0, size >> 8, size & 255]);
      const plain = Uint8Array.from(randomBytes(size));
      const ours = Uint8Array.from(plain);
      const tag = new Uint8Array(tagLength);
      sealing.begin(length);
      sealing.update(ours, ours);
      sealing.seal(tag);
      const theirs = createCipheriv(keyLength === 16 ? "aes-128-gcm" : "aes-256-gcm", key, iv);
      theirs.setAAD(length);
      if (!same(ours, theirs.update(plain))) return false;
      theirs.final();
      if (!same(tag, theirs.getAuthTag())) return false;
      if (size === 32) tag[0] = (tag[0] ?? 0) ^ 1;
      opening.begin(length);
      opening.update(ours, ours);
      if (opening.open(tag) !== (size !== 32)) return false;
      if (!same(ours, plain)) return false;
      counter.setBigUint64(0, counter.getBigUint64(0) + 1n);
    }
    return true;
  } finally {
    sealing.free();
    opening.free();
  }
};

const same = (a: Uint8Array, b: Uint8Array) =>
  a.length === b.length && a.every((x, i) => x === b[i]);
