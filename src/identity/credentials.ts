import { Buffer } from "node:buffer";
import { Clock, Effect, Either } from "effect";
import type { User } from "../model/user.ts";
import type { Authorities } from "./authorities.ts";
import type { PresentedKey } from "./identity.ts";
import type { Passwords } from "./passwords.ts";
import { fingerprint, parsePublicKey, type PublicKey, sameBytes } from "./ssh_key.ts";
import { baseAlgorithm, isCertificate, keyTypeOf, verifySignature } from "./ssh_signature.ts";

const mostPasswordBytes = 1024;

/**
 * Checks a password; a user who does not exist, or has none, costs the same.
 *
 * What is no password at all (empty, over 1024 bytes, with NUL, not even text)
 * is refused without work (CVE-2016-6515, SECURITY 6.14).
 */
export const checkPassword = (
  passwords: typeof Passwords.Service,
  user: User | undefined,
  plain: unknown,
): Effect.Effect<{ readonly ok: boolean; readonly stale: boolean; readonly reason: string }> =>
  Effect.gen(function* () {
    const no = (reason: string) => ({ ok: false, stale: false, reason });
    if (typeof plain !== "string" || !isPassword(plain)) return no("not a usable password");
    if (!user || user.password_hash === "") {
      yield* passwords.waste(plain);
      return no(user ? "the user has no password" : "no such user");
    }
    const { ok, stale } = yield* passwords.verify(user.password_hash, plain);
    return ok === true ? { ok, stale, reason: "" } : no("wrong password");
  });

const isPassword = (plain: string): boolean =>
  plain !== "" && plain.length <= mostPasswordBytes &&
  Buffer.byteLength(plain) <= mostPasswordBytes && !plain.includes("\0");

/** A key, or a certificate's key, that would log the user in if it signed. */
export interface UsableKey {
  readonly key: PublicKey;
  /** Algorithm that the signature has to name. */
  readonly algorithm: string;
  readonly userVerified: boolean;
  /** Fingerprint and comment, for the journal (BEHAVIOUR AUTH-07). */
  readonly detail: string;
}

/** Finds what a presented key is to a user; the message is for the journal. */
export const matchKey = (
  settings: { readonly public_key_algorithms: ReadonlyArray<string> },
  authorities: Authorities,
  user: User | undefined,
  who: { readonly username: string; readonly ip: string },
  presented: PresentedKey,
): Effect.Effect<Either.Either<UsableKey, string>> =>
  Effect.gen(function* () {
    const algorithm = baseAlgorithm(presented.algorithm);
    const type = keyTypeOf(algorithm);
    const listed = settings.public_key_algorithms;
    const isListed = listed.length === 0 || listed.includes(algorithm) ||
      listed.includes(presented.algorithm);
    if (!type || !isListed) return Either.left("the key algorithm is not allowed");
    if (isCertificate(presented.algorithm)) {
      const now = yield* Clock.currentTimeMillis;
      const checked = yield* authorities.check(presented.blob, { ...who, now });
      if (!user) return Either.left("no such user");
      if (Either.isLeft(checked)) return Either.left(checked.left);
      const { key, authority, keyId, serial, verifyRequired } = checked.right;
      if (key.type !== type) return Either.left("the key is of another type than its algorithm");
      if (verifyRequired && !type.startsWith("sk-")) {
        return Either.left("the certificate needs a security key");
      }
      const detail =
        `${fingerprint(key.blob)} certificate ${JSON.stringify(keyId)} serial ${serial}` +
        ` authority ${fingerprint(authority.blob)}`;
      return Either.right({ key, algorithm, userVerified: verifyRequired, detail });
    }
    const parsed = parsePublicKey(presented.blob);
    if (Either.isLeft(parsed)) return Either.left(parsed.left);
    const key = parsed.right;
    if (key.type !== type) return Either.left("the key is of another type than its algorithm");
    const line = user?.public_keys.find((candidate) => sameBytes(blobOf(candidate), key.blob));
    const print = fingerprint(key.blob);
    if (line === undefined) {
      return Either.left(`${user ? "unknown key" : "no such user"}: ${print}`);
    }
    const detail = [print, ...line.trim().split(/\s+/).slice(2)].join(" ");
    return Either.right({ key, algorithm, userVerified: false, detail });
  });

/** Whether the presented signature was made by the key for this request; only true is yes. */
export const provesKey = (usable: UsableKey, presented: PresentedKey): boolean =>
  presented.signature !== undefined && presented.signed !== undefined &&
  presented.signed.length > 0 &&
  verifySignature(usable.key, usable.algorithm, presented.signature, presented.signed, {
      userVerified: usable.userVerified,
    }) === true;

const blobOf = (line: string): Uint8Array =>
  Buffer.from(line.trim().split(/\s+/)[1] ?? "", "base64");
