import { createSecureContext } from "node:tls";
import { isAbsolute, join } from "node:path";
import { Effect } from "effect";
import { ConfigError } from "../src/errors.ts";
import { type KeyPair, makeSelfSigned } from "../src/tls/self_signed.ts";

/** Where a certificate is to be found; both empty for the server's own. */
export interface CertificateFiles {
  readonly dataDir: string;
  readonly certificate: string;
  readonly key: string;
  /** The section of the settings, for errors. */
  readonly where: string;
}

const ownCertificate = "tls_cert.pem";
const ownKey = "tls_key.pem";

/**
 * Reads the certificate and its key. Where none is named the server's own is
 * read from the data folder, made first (mode 0600) if it is missing. Fails
 * when a file cannot be read, or the two do not belong together.
 */
export const loadCertificate = (files: CertificateFiles): Effect.Effect<KeyPair, ConfigError> =>
  Effect.tryPromise({
    try: async () => {
      if ((files.certificate === "") !== (files.key === "")) {
        throw new Error("certificate_file and certificate_key_file go together");
      }
      const own = files.certificate === "";
      const place = (file: string) => isAbsolute(file) ? file : join(files.dataDir, file);
      const certificate = place(own ? ownCertificate : files.certificate);
      const key = place(own ? ownKey : files.key);
      if (own) await makeMissing(certificate, key);
      const pair = {
        certificate: await Deno.readTextFile(certificate),
        key: await Deno.readTextFile(key),
      };
      createSecureContext({ cert: pair.certificate, key: pair.key });
      return pair;
    },
    catch: (error) =>
      new ConfigError({
        problems: [{
          where: `${files.where}.certificate_file`,
          what: `the TLS certificate cannot be used (${
            error instanceof Error ? error.message : error
          })`,
        }],
      }),
  });

/** The key comes last: a certificate without its key is made anew. */
const makeMissing = async (certificate: string, key: string): Promise<void> => {
  const there = (file: string) => Deno.stat(file).then(() => true, () => false);
  if (await there(key)) return;
  const made = makeSelfSigned(Date.now());
  for (const [file, text] of [[certificate, made.certificate], [key, made.key]] as const) {
    const fresh = `${file}.new`;
    await Deno.writeTextFile(fresh, text, { mode: 0o600 });
    await Deno.rename(fresh, file);
  }
};
