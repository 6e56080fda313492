import { Context, type Effect } from "effect";

/** Hashes and checks passwords, off the event loop. */
export class Passwords extends Context.Tag("sluice/Passwords")<Passwords, {
  /** Encodes a new password with argon2id in PHC form. */
  readonly hash: (plain: string) => Effect.Effect<string>;
  /**
   * Whether `plain` matches. Never fails: an unknown or broken hash is false.
   * `stale`: the hash should be replaced after this successful login.
   */
  readonly verify: (
    encoded: string,
    plain: string,
  ) => Effect.Effect<{ readonly ok: boolean; readonly stale: boolean }>;
  /** Spends the time of a verification and answers nothing: for unknown users. */
  readonly waste: (plain: string) => Effect.Effect<void>;
  /** Whether `text` is an encoded hash that `verify` knows (BEHAVIOUR AUTH-08), to be stored as it is. */
  readonly recognises: (text: string) => boolean;
}>() {}
