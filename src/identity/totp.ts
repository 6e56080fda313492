import { Context, type Effect } from "effect";

/** Hash of a TOTP profile (RFC 6238 section 1.2). */
export type TotpAlgorithm = "sha1" | "sha256" | "sha512";

/** Time-based one-time codes: 6 digits, 30 seconds (RFC 6238, BEHAVIOUR MFA-01). */
export class Totp extends Context.Tag("sluice/Totp")<Totp, {
  /** Makes a secret (base32) and the `otpauth://` address that authenticator apps read. */
  readonly generate: (profile: {
    readonly issuer: string;
    readonly algorithm: TotpAlgorithm;
    readonly username: string;
  }) => Effect.Effect<{ readonly secret: string; readonly url: string }>;
  /**
   * The time step that `code` belongs to, when it is the current, the previous
   * or the next one; else undefined. The caller refuses steps used before.
   */
  readonly check: (
    secret: string,
    algorithm: TotpAlgorithm,
    code: string,
    /** Unix milliseconds. */
    now: number,
  ) => Effect.Effect<number | undefined>;
}>() {}
