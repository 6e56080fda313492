const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** Writes the low `length * 6` bits of `value` in crypt(3)'s alphabet, lowest bits first. */
export const crypt64 = (value: number, length: number): string => {
  let text = "";
  for (let index = 0; index < length; index += 1) {
    text += alphabet[(value >>> (6 * index)) & 63];
  }
  return text;
};
