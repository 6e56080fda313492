import { isAbsolute, join } from "node:path";
import { Effect } from "effect";
import { ConfigError } from "../src/errors.ts";
import { makeProver, type Prover, readAuthorities } from "./client_certificate.ts";

/** Those who sign the certificates of clients. */
export interface ClientAuthorities {
  /** PEM texts, for the TLS library. */
  readonly pems: ReadonlyArray<string>;
  readonly prove: Prover;
}

/**
 * Reads those who sign the certificates of clients. Fails where a file holds no
 * certificate, and where a binding asks clients for one that nobody could have signed.
 */
export const loadAuthorities = (settings: {
  readonly dataDir: string;
  /** The section of the settings, for errors. */
  readonly where: string;
  readonly ca_certificates: ReadonlyArray<string>;
  readonly bindings: ReadonlyArray<{ readonly client_auth_type: 0 | 1 | 2 }>;
}): Effect.Effect<ClientAuthorities, ConfigError> =>
  Effect.gen(function* () {
    const { dataDir, where, ca_certificates, bindings } = settings;
    const pems: string[] = [];
    for (const [i, file] of ca_certificates.entries()) {
      pems.push(
        yield* Effect.tryPromise({
          try: async () => {
            const pem = await Deno.readTextFile(isAbsolute(file) ? file : join(dataDir, file));
            readAuthorities([pem]);
            return pem;
          },
          catch: (error) =>
            wrongSetting(
              `${where}.ca_certificates.${i}`,
              `${file} cannot be used (${error instanceof Error ? error.message : error})`,
            ),
        }),
      );
    }
    if (pems.length === 0 && bindings.some(({ client_auth_type }) => client_auth_type !== 0)) {
      return yield* wrongSetting(
        `${where}.ca_certificates`,
        "client_auth_type needs the certificates of those who sign",
      );
    }
    return { pems, prove: makeProver(readAuthorities(pems)) };
  });

const wrongSetting = (where: string, what: string) =>
  new ConfigError({ problems: [{ where, what }] });
