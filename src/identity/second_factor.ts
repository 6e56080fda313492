import { Clock, Duration, Effect, Layer } from "effect";
import { Context } from "effect";
import { Users } from "../catalog/catalog.ts";
import { Config } from "../config/config.ts";
import type { CatalogError } from "../errors.ts";
import type { User } from "../model/user.ts";
import { MasterKey, unseal } from "./sealed.ts";
import { Totp } from "./totp.ts";
import { monotonicMillis } from "../monotonic.ts";

/** Wrong codes after which an account's second factor is locked, over all connections. */
const mostWrong = 10;
const lockTime = Duration.toMillis("15 minutes");
/** Accounts remembered; each cost its attacker a right password or key. */
const mostAccounts = 10_000;

/** Checks one-time codes: each at most once, and few wrong ones (BEHAVIOUR MFA-01, MFA-02). */
export class SecondFactor extends Context.Tag("sluice/SecondFactor")<SecondFactor, {
  /** Undefined when the code is right; else why not, for the journal. */
  readonly refusal: (
    user: User,
    code: string,
  ) => Effect.Effect<string | undefined, CatalogError>;
}>() {
  static readonly layer: Layer.Layer<SecondFactor, never, Config | MasterKey | Totp | Users> = Layer
    .effect(
      SecondFactor,
      Effect.gen(function* () {
        const { mfa } = yield* Config;
        const key = yield* MasterKey;
        const totp = yield* Totp;
        const users = yield* Users;
        const wrong = new Map<string, { count: number; lockedUntil: number }>();

        return SecondFactor.of({
          refusal: (user, code) =>
            Effect.gen(function* () {
              const now = yield* Clock.currentTimeMillis;
              const since = yield* monotonicMillis;
              const before = wrong.get(user.username);
              if (before && before.lockedUntil > since) return "the second factor is locked";
              const config = user.filters.totp_config;
              const profile = mfa.totp.find(({ name }) => name === config?.config_name);
              const secret = config?.secret && unseal(key, config.secret, user.username);
              if (!config?.enabled || !profile || secret === undefined) {
                return "the second factor cannot be read";
              }
              // Counted before the check, so that parallel guesses count too.
              const entry = before && before.lockedUntil === 0
                ? before
                : { count: 0, lockedUntil: 0 };
              entry.count += 1;
              if (entry.count >= mostWrong) entry.lockedUntil = since + lockTime;
              remember(wrong, user.username, entry);
              const step = yield* totp.check(secret, profile.algo, code.trim(), now);
              if (step === undefined) return "the authentication code is wrong";
              wrong.delete(user.username);
              return (yield* users.useTotpStep(user.username, step)) === true
                ? undefined
                : "the authentication code was used before";
            }),
        });
      }),
    );
}

/** Keeps the newest; the oldest entry makes room. */
const remember = <A>(entries: Map<string, A>, name: string, entry: A): void => {
  entries.delete(name);
  entries.set(name, entry);
  if (entries.size <= mostAccounts) return;
  const oldest = entries.keys().next().value;
  if (oldest !== undefined) entries.delete(oldest);
};
