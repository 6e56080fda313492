import { Effect } from "effect";
import { ConfigError } from "../../../src/errors.ts";
import { prepareCiphers } from "./install.ts";

/**
 * Makes the ciphers of this process ready, once, and tells of providers that are broken.
 * Fails when `SLUICE_CIPHERS` names no provider.
 */
export const readyCiphers: Effect.Effect<void, ConfigError> = Effect.gen(function* () {
  const choices = yield* Effect.tryPromise({ try: prepareCiphers, catch: (error) => error }).pipe(
    Effect.catchAll((error) =>
      error instanceof ConfigError ? Effect.fail(error) : Effect.die(error)
    ),
  );
  const all = [...choices.values()];
  const complaints = new Set(all.flatMap(({ complaint }) => complaint ?? []));
  for (const complaint of complaints) yield* Effect.logWarning(`ciphers: ${complaint}`);
  const used = new Set(all.map(({ provider }) => provider.name));
  yield* Effect.logDebug(`ciphers are made by ${[...used].join(", ")}`);
});
