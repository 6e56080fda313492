import { Effect } from "effect";
import { Users } from "../catalog/catalog.ts";
import { Config } from "../config/config.ts";
import { CatalogError } from "../errors.ts";
import { TotpConfig } from "../model/user.ts";
import { MasterKey, seal } from "./sealed.ts";
import { Totp } from "./totp.ts";

/**
 * Gives a user a new one-time code secret and turns it on for `protocols`.
 *
 * Answers what the authenticator app needs; it is not shown again. Replaces an
 * earlier secret. Fails with NotFound, or Invalid for an unknown profile.
 */
export const enrolTotp = Effect.fn("enrolTotp")(function* (
  username: string,
  options: {
    /** Name of an entry of `mfa.totp`; the first one when absent. */
    readonly profile?: string;
    readonly protocols?: ReadonlyArray<"SSH" | "FTP" | "HTTP">;
  } = {},
) {
  const { mfa } = yield* Config;
  const users = yield* Users;
  const profile = options.profile === undefined
    ? mfa.totp[0]
    : mfa.totp.find(({ name }) => name === options.profile);
  if (!profile) {
    const detail = options.profile === undefined
      ? "mfa.totp: no profile is configured"
      : `mfa.totp: there is no profile ${JSON.stringify(options.profile)}`;
    return yield* new CatalogError({ reason: "Invalid", op: "enrol TOTP", detail });
  }
  const user = yield* users.find(username);
  if (!user) {
    const detail = `there is no user ${JSON.stringify(username)}`;
    return yield* new CatalogError({ reason: "NotFound", op: "enrol TOTP", detail });
  }
  const made = yield* (yield* Totp).generate({
    issuer: profile.issuer,
    algorithm: profile.algo,
    username: user.username,
  });
  yield* users.setTotp(
    user.username,
    TotpConfig.make({
      enabled: true,
      config_name: profile.name,
      secret: seal(yield* MasterKey, made.secret, user.username),
      protocols: options.protocols ?? ["SSH"],
    }),
  );
  return made;
});

/** Removes a user's one-time codes. Fails with NotFound. */
export const disableTotp = Effect.fn("disableTotp")(function* (username: string) {
  yield* (yield* Users).setTotp(username, undefined);
});
