import { Effect, Layer } from "effect";
import { generateSecret, generateURI, verifySync } from "otplib";
import { Totp } from "../../src/identity/totp.ts";

/** Seconds that a code lives, and by which clocks may differ in either direction. */
const period = 30;

/** Codes by otplib, which compares them in constant time. */
export const layer: Layer.Layer<Totp> = Layer.succeed(
  Totp,
  Totp.of({
    generate: ({ issuer, algorithm, username }) =>
      Effect.sync(() => {
        const secret = generateSecret();
        return { secret, url: generateURI({ issuer, label: username, secret, algorithm, period }) };
      }),
    check: (secret, algorithm, code, now) =>
      // The library throws on anything but six digits.
      Effect.try(() => {
        const epoch = Math.floor(now / 1000);
        const result = verifySync({
          secret,
          token: code,
          algorithm,
          period,
          epoch,
          epochTolerance: period,
        });
        return result.valid === true && "timeStep" in result ? result.timeStep : undefined;
      }).pipe(Effect.orElseSucceed(() => undefined)),
  }),
);
