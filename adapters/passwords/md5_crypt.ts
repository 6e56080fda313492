import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { crypt64 } from "./crypt64.ts";

/**
 * Computes md5-crypt (`$1$`) and Apache's apr1 (`$apr1$`): 1000 rounds of MD5.
 *
 * `magic` is the prefix with both dollars; answers the 22 characters after the salt.
 */
export const md5Crypt = (plain: string, salt: string, magic: "$1$" | "$apr1$"): string => {
  const password = Buffer.from(plain);
  const saltBytes = Buffer.from(salt);
  const md5 = () => createHash("md5");

  const mixed = md5().update(password).update(saltBytes).update(password).digest();
  const start = md5().update(password).update(magic).update(saltBytes);
  for (let left = password.length; left > 0; left -= 16) {
    start.update(mixed.subarray(0, Math.min(16, left)));
  }
  for (let bits = password.length; bits > 0; bits >>= 1) {
    start.update((bits & 1) === 1 ? Buffer.from([0]) : password.subarray(0, 1));
  }
  let digest = start.digest();
  for (let round = 0; round < 1000; round += 1) {
    const next = md5();
    next.update(round % 2 === 1 ? password : digest);
    if (round % 3 !== 0) next.update(saltBytes);
    if (round % 7 !== 0) next.update(password);
    next.update(round % 2 === 1 ? digest : password);
    digest = next.digest();
  }
  const at = (index: number) => digest[index]!;
  return [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]]
    .map(([a, b, c]) => crypt64((at(a!) << 16) | (at(b!) << 8) | at(c!), 4))
    .join("") + crypt64(at(11), 2);
};
