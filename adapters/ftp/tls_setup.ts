import type { SecureContext } from "node:tls";
import { Effect, type Scope } from "effect";
import { loadCertificate } from "../../actors/certificate.ts";
import { loadAuthorities } from "../../actors/client_authorities.ts";
import type { Prover } from "../../actors/client_certificate.ts";
import { makeContext, type ServerTls } from "../../actors/secure.ts";
import type { FtpBinding, Settings } from "../../src/config/config.ts";
import type { ConfigError } from "../../src/errors.ts";

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
): Effect.Effect<ReadonlyArray<BindingTls>, ConfigError, Scope.Scope> =>
  Effect.gen(function* () {
    const { pems, prove } = yield* loadAuthorities({ dataDir, where: "ftpd", ...ftpd });
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
