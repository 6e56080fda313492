import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { crypt64 } from "./crypt64.ts";

/** Rounds between two turns of the event loop: about a millisecond. */
const slice = 200;

const variants = {
  "5": { hash: "sha256", size: 32 },
  "6": { hash: "sha512", size: 64 },
} as const;

/**
 * Computes sha256-crypt (`5`) and sha512-crypt (`6`) as Ulrich Drepper's
 * specification of 2008 says; answers the characters after the salt.
 *
 * Gives the event loop a turn every few rounds: there is no native version to
 * hand to a thread.
 */
export const shaCrypt = async (
  plain: string,
  salt: string,
  rounds: number,
  variant: keyof typeof variants,
): Promise<string> => {
  const { hash, size } = variants[variant];
  const sha = () => createHash(hash);
  const password = Buffer.from(plain);
  const saltBytes = Buffer.from(salt);

  const mixed = sha().update(password).update(saltBytes).update(password).digest();
  const start = sha().update(password).update(saltBytes).update(repeat(mixed, password.length));
  for (let bits = password.length; bits > 0; bits >>= 1) {
    start.update((bits & 1) === 1 ? mixed : password);
  }
  let digest = start.digest();

  const ofPassword = sha();
  for (let index = 0; index < password.length; index += 1) ofPassword.update(password);
  const p = repeat(ofPassword.digest(), password.length);
  const ofSalt = sha();
  for (let index = 0; index < 16 + digest[0]!; index += 1) ofSalt.update(saltBytes);
  const s = repeat(ofSalt.digest(), saltBytes.length);

  for (let round = 0; round < rounds; round += 1) {
    const next = sha();
    next.update(round % 2 === 1 ? p : digest);
    if (round % 3 !== 0) next.update(s);
    if (round % 7 !== 0) next.update(p);
    next.update(round % 2 === 1 ? digest : p);
    digest = next.digest();
    if (round % slice === slice - 1) await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return encode(digest, size);
};

const repeat = (bytes: Buffer, length: number): Buffer =>
  Buffer.alloc(length, length === 0 ? "" : bytes);

/** The specification's byte order: triples a third apart, rotated by one at each step. */
const encode = (digest: Buffer, size: 32 | 64): string => {
  const at = (index: number) => digest[index]!;
  const third = Math.floor(size / 3);
  let text = "";
  let [a, b, c] = [0, third, 2 * third];
  for (let index = 0; index < third; index += 1) {
    text += crypt64((at(a) << 16) | (at(b) << 8) | at(c), 4);
    [a, b, c] = size === 64 ? [b + 1, c + 1, a + 1] : [c + 1, a + 1, b + 1];
  }
  return text + (size === 64 ? crypt64(at(63), 2) : crypt64((at(31) << 8) | at(30), 3));
};
