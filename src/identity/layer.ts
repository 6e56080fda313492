import { Clock, Effect, Layer } from "effect";
import { Users } from "../catalog/catalog.ts";
import { Config } from "../config/config.ts";
import type { ConfigError } from "../errors.ts";
import { Journal } from "../events/journal.ts";
import { Guard } from "../guard/guard.ts";
import { canonicalAddress } from "../guard/address.ts";
import { loadAuthorities } from "./authorities.ts";
import { accountRefusal } from "./gate.ts";
import { Identity } from "./identity.ts";
import type { KeyFiles } from "./key_files.ts";
import { makeLogin } from "./login.ts";
import { Passwords } from "./passwords.ts";
import type { MasterKey } from "./sealed.ts";
import { SecondFactor } from "./second_factor.ts";
import type { Totp } from "./totp.ts";

/**
 * Logins against the catalog, with second factors that all threads count
 * together. Fails when an authority or the revocation list cannot be read.
 */
export const sharedLayer: Layer.Layer<
  Identity,
  ConfigError,
  Config | Guard | Journal | KeyFiles | Passwords | SecondFactor | Users
> = Layer.effect(
  Identity,
  Effect.gen(function* () {
    const settings = yield* Config;
    const users = yield* Users;
    const services = {
      settings,
      users,
      journal: yield* Journal,
      guard: yield* Guard,
      passwords: yield* Passwords,
      secondFactor: yield* SecondFactor,
      authorities: yield* loadAuthorities(settings.sftpd),
    };
    return Identity.of({
      begin: ({ ip, protocol, sessionId }) =>
        makeLogin({ ...services, peer: { ip: canonicalAddress(ip), protocol, sessionId } }),
      stillAllowed: (username) =>
        Effect.gen(function* () {
          const user = yield* users.effective(username);
          const now = yield* Clock.currentTimeMillis;
          return user !== undefined && accountRefusal(user, now) === undefined;
        }),
    });
  }),
);

/** {@linkcode sharedLayer} of a server of one thread. */
export const layer: Layer.Layer<
  Identity,
  ConfigError,
  Config | Guard | Journal | KeyFiles | MasterKey | Passwords | Totp | Users
> = Layer.provide(sharedLayer, SecondFactor.layer);
