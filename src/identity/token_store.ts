import { Context, type Effect } from "effect";
import type { KeyFileError } from "./key_files.ts";

/**
 * What signs the tokens of people who log in over HTTP, and the tokens that
 * were given back before their end. All threads and all starts of a data folder agree.
 */
export class TokenStore extends Context.Tag("sluice/TokenStore")<TokenStore, {
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** `id` is 32 hex digits, as whoever issues tokens makes them. Kept for a day. */
  readonly revoke: (id: string) => Effect.Effect<void, KeyFileError>;
  readonly isRevoked: (id: string) => Effect.Effect<boolean, KeyFileError>;
}>() {}
