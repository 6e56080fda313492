import { Buffer } from "node:buffer";
import { createHash, pbkdf2, timingSafeEqual } from "node:crypto";
import { verify as verifyArgon2 } from "@node-rs/argon2";
import { verify as verifyBcrypt } from "@node-rs/bcrypt";
import { md5Crypt } from "./md5_crypt.ts";
import { shaCrypt } from "./sha_crypt.ts";

/** One way in which a password can be stored. */
export interface Scheme {
  /** Whether `encoded` has this form, with work factors that the server can afford. */
  readonly matches: (encoded: string) => boolean;
  /** Whether `plain` is the password. May throw on a hash that is not well-formed inside. */
  readonly check: (encoded: string, plain: string) => Promise<boolean>;
}

/** Work above these would let one stored hash stall every login. */
const most = { argon2Kib: 1024 * 1024, argon2Passes: 64, lanes: 64, iterations: 10_000_000 };
const mostShaRounds = 1_000_000;
const mostBcryptCost = 16;
/** bcrypt ignores what follows: such a password would match with any ending. */
const bcryptBytes = 72;

/** Forms accepted from other systems (BEHAVIOUR AUTH-08), argon2 first. */
export const schemes: ReadonlyArray<Scheme> = [
  {
    matches: (encoded) => argon2Work(encoded) !== undefined,
    check: (encoded, plain) => verifyArgon2(encoded, plain),
  },
  {
    matches: (encoded) => {
      const cost = /^\$2[aby]\$(\d{2})\$[./A-Za-z0-9]{53}$/.exec(encoded)?.[1];
      return cost !== undefined && Number(cost) >= 4 && Number(cost) <= mostBcryptCost;
    },
    check: async (encoded, plain) =>
      Buffer.byteLength(plain) <= bcryptBytes && (await verifyBcrypt(plain, encoded)),
  },
  {
    matches: (encoded) => pbkdf2Parts(encoded) !== undefined,
    check: (encoded, plain) => checkPbkdf2(encoded, plain),
  },
  {
    matches: (encoded) => /^\$(1|apr1)\$[^$]{0,8}\$[./A-Za-z0-9]{22}$/.test(encoded),
    check: (encoded, plain) => {
      const [, name, salt = "", hash = ""] = encoded.split("$");
      const made = md5Crypt(plain, salt, name === "1" ? "$1$" : "$apr1$");
      return Promise.resolve(sameText(made, hash));
    },
  },
  {
    matches: (encoded) => shaParts(encoded) !== undefined,
    check: async (encoded, plain) => {
      const parts = shaParts(encoded);
      if (!parts) return false;
      const { variant, rounds, salt, hash } = parts;
      return sameText(await shaCrypt(plain, salt, rounds, variant), hash);
    },
  },
  {
    matches: (encoded) => digestParts(encoded) !== undefined,
    check: (encoded, plain) => {
      const parts = digestParts(encoded);
      const made = parts && createHash(parts.hash).update(plain).digest("hex");
      return Promise.resolve(made !== undefined && sameText(made, parts!.hex));
    },
  },
];

/** Memory in KiB, passes and lanes of an argon2 hash in PHC form. */
export const argon2Work = (
  encoded: string,
): { readonly variant: string; readonly work: readonly [number, number, number] } | undefined => {
  const found =
    /^\$argon2(id|i|d)\$v=19\$m=(\d{1,8}),t=(\d{1,4}),p=(\d{1,3})\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{16,}$/
      .exec(encoded);
  if (!found) return undefined;
  const [memory, passes, lanes] = [Number(found[2]), Number(found[3]), Number(found[4])];
  const fits = memory <= most.argon2Kib && passes >= 1 && passes <= most.argon2Passes &&
    lanes >= 1 && lanes <= most.lanes && memory >= 8 * lanes;
  return fits ? { variant: found[1]!, work: [memory, passes, lanes] } : undefined;
};

/** `$pbkdf2-ALG$iterations$salt$hash`: the salt is taken literally, or base64 in the b64salt form. */
const pbkdf2Parts = (encoded: string) => {
  const found = /^\$pbkdf2-(b64salt-)?(sha1|sha256|sha512)\$(\d{1,8})\$([^$]+)\$([A-Za-z0-9+/=]+)$/
    .exec(encoded);
  if (!found || (found[1] && found[2] !== "sha256")) return undefined;
  const iterations = Number(found[3]);
  const hash = Buffer.from(found[5]!, "base64");
  if (iterations < 1 || iterations > most.iterations) return undefined;
  if (hash.length < 16 || hash.length > 128) return undefined;
  const salt = Buffer.from(found[4]!, found[1] ? "base64" : "utf8");
  return { digest: found[2]!, iterations, salt, hash };
};

const checkPbkdf2 = (encoded: string, plain: string): Promise<boolean> => {
  const parts = pbkdf2Parts(encoded);
  if (!parts) return Promise.resolve(false);
  const { digest, iterations, salt, hash } = parts;
  return new Promise((resolve, reject) =>
    pbkdf2(
      plain,
      salt,
      iterations,
      hash.length,
      digest,
      (error, made) => error ? reject(error) : resolve(sameBytes(made, hash)),
    )
  );
};

const shaParts = (encoded: string) => {
  const found = /^\$([56])\$(?:rounds=(\d{1,9})\$)?([^$]{0,16})\$([./A-Za-z0-9]+)$/.exec(encoded);
  if (!found) return undefined;
  const variant = found[1] as "5" | "6";
  if (found[4]!.length !== (variant === "5" ? 43 : 86)) return undefined;
  // The specification raises smaller counts to 1000.
  const rounds = found[2] === undefined ? 5000 : Math.max(1000, Number(found[2]));
  return rounds > mostShaRounds ? undefined : { variant, rounds, salt: found[3]!, hash: found[4]! };
};

const digestParts = (encoded: string) => {
  const found = /^\{(MD5|SHA256|SHA512)\}([0-9a-fA-F]+)$/.exec(encoded);
  if (!found) return undefined;
  const hash = found[1]!.toLowerCase() as "md5" | "sha256" | "sha512";
  const hex = found[2]!.toLowerCase();
  const length = { md5: 32, sha256: 64, sha512: 128 }[hash];
  return hex.length === length ? { hash, hex } : undefined;
};

const sameText = (one: string, other: string): boolean =>
  sameBytes(Buffer.from(one), Buffer.from(other));

/** Constant time for equal lengths, which are public. */
const sameBytes = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && timingSafeEqual(one, other);
