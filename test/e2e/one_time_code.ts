import { createHmac } from "node:crypto";

/** The code of RFC 6238, six digits, SHA-1, of a base32 secret at a time in Unix milliseconds. */
export const oneTimeCode = (secret: string, at: number = Date.now()): string => {
  const bits = [...secret].map((c) =>
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")
  ).join("");
  const key = Uint8Array.from(bits.match(/.{8}/g) ?? [], (b) => parseInt(b, 2));
  const counter = new Uint8Array(8);
  new DataView(counter.buffer).setBigUint64(0, BigInt(Math.floor(at / 30_000)));
  const mac = createHmac("sha1", key).update(counter).digest();
  const offset = (mac.at(-1) ?? 0) & 15;
  return String((mac.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, "0");
};
