const longest = 1024;
const encoder = new TextEncoder();
/** Hashes of other systems; unless `recognises` knows them, nobody could log in with them (AUTH-08). */
const encoded =
  /^(\$(y|gy|7|2[abxy]?|argon2(id|i|d)|pbkdf2-[a-z0-9-]+|1|apr1|5|6)\$|\{[A-Z0-9-]{3,}\}[A-Za-z0-9+/=.$]{16,}$)/;

export interface PasswordRules {
  /** Bits; 0 takes any. */
  readonly minEntropy: number;
  /** Whether the text is an encoded hash, which is stored as it is. */
  readonly recognises: (text: string) => boolean;
}

/** What is wrong with a new password. Undefined and empty are fine: they keep and clear. */
export const checkPassword = (
  field: string,
  password: string | undefined,
  rules: PasswordRules,
): ReadonlyArray<string> => {
  if (!password) return [];
  if (encoder.encode(password).length > longest) {
    return [`${field}: is longer than ${longest} bytes`];
  }
  if (password.includes("\0")) return [`${field}: has a NUL character`];
  if (rules.recognises(password)) return [];
  if (encoded.test(password)) {
    return [`${field}: looks like a hash that this server cannot check; give the plain password`];
  }
  if (rules.minEntropy <= 0) return [];
  const bits = entropy(password);
  return bits >= rules.minEntropy ? [] : [
    `${field}: is too easy to guess (${Math.floor(bits)} of ${rules.minEntropy} bits); ` +
    "make it longer or mix kinds of characters",
  ];
};

/** Bits of a password by its length and the kinds of characters in it; runs and sequences count once or twice. */
export const entropy = (password: string): number => {
  const chars = [...password];
  const base = kinds.reduce((sum, [kind, size]) => sum + (kind.test(password) ? size : 0), 0);
  const counted = chars.filter((c, i) => !repeats(chars, i) && !continues(chars, c, i));
  return counted.length * Math.log2(Math.max(base, 1));
};

const kinds: ReadonlyArray<readonly [RegExp, number]> = [
  [/[a-z]/, 26],
  [/[A-Z]/, 26],
  [/[0-9]/, 10],
  [/[!@$&*]/, 5],
  [/[_\-., ]/, 5],
  [/["#%'()+/:;<=>?[\\\]^{|}~`]/, 22],
  [/[^\x20-\x7e]/, 100],
];

/** The third and later of a run of equal characters. */
const repeats = (chars: ReadonlyArray<string>, i: number): boolean =>
  i >= 2 && chars[i] === chars[i - 1] && chars[i] === chars[i - 2];

const rows = ["0123456789", "qwertyuiop", "asdfghjkl", "zxcvbnm", "abcdefghijklmnopqrstuvwxyz"]
  .flatMap((row) => [row, [...row].reverse().join("")]);

/** The third and later of a sequence such as `123` or `qwe`. */
const continues = (chars: ReadonlyArray<string>, c: string, i: number): boolean =>
  i >= 2 && rows.some((row) => row.includes(`${chars[i - 2]}${chars[i - 1]}${c}`.toLowerCase()));
