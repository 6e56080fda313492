import { isAbsolute, join } from "node:path";
import type { SecureContext } from "node:tls";
import { Effect } from "effect";
import { loadCertificate } from "../../actors/certificate.ts";
import type { FtpBinding, Settings } from "../../src/config/config.ts";
import { ConfigError } from "../../src/errors.ts";
import { makeProver, type Prover, readAuthorities } from "./client_certificate.ts";
import { makeContext, type ServerTls } from "./secure.ts";

/** What the connections of one binding need for TLS. */
export interface BindingTls {
  readonly binding: FtpBinding;
  /** For control connections. */
  readonly tls: ServerTls;
  /** For data connections, whose clients are known. */
  readonly context: SecureContext;
  readonly prove: Prover;
}

/** Reads all certificates and keys; fails with the first that cannot be used. */
export const prepareTls = (
  dataDir: string,
  ftpd: Settings["ftpd"],
): Effect.Effect<ReadonlyArray<BindingTls>, ConfigError> =>
  Effect.gen(function* () {
    const pems = yield* readAuthorityFiles(dataDir, ftpd);
    const prove = makeProver(readAuthorities(pems));
    return yield* Effect.forEach(ftpd.bindings, (binding, i) =>
      Effect.gen(function* () {
        const own = binding.certificate_file !== "" || binding.certificate_key_file !== "";
        const { certificate_file, certificate_key_file } = own ? binding : ftpd;
        const pair = yield* loadCertificate({
          dataDir,
          certificate: certificate_file,
          key: certificate_key_file,
          where: own ? `ftpd.bindings.${i}` : "ftpd",
        });
        // Sessions resume over all contexts: see docs/decisions/0015.
        const context = makeContext(pair, ftpd.min_tls_version, []);
        const ask = binding.client_auth_type !== 0;
        const tls = {
          context: ask ? makeContext(pair, ftpd.min_tls_version, pems) : context,
          ask,
        };
        return { binding, tls, context, prove };
      }));
  });

/** The authorities' files, each proven to hold certificates. */
const readAuthorityFiles = (dataDir: string, { bindings, ca_certificates }: Settings["ftpd"]) =>
  Effect.gen(function* () {
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
              `ftpd.ca_certificates.${i}`,
              `${file} cannot be used (${error instanceof Error ? error.message : error})`,
            ),
        }),
      );
    }
    if (pems.length === 0 && bindings.some((binding) => binding.client_auth_type !== 0)) {
      return yield* wrongSetting(
        "ftpd.ca_certificates",
        "client_auth_type needs the certificates of those who sign",
      );
    }
    return pems;
  });

const wrongSetting = (where: string, what: string) =>
  new ConfigError({ problems: [{ where, what }] });
