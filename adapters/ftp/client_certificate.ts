import { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { ShownCertificate } from "../../src/identity/tls_certificate.ts";

/** Reads all certificates of PEM files. Throws where there is none, or one that is none. */
export const readAuthorities = (pems: ReadonlyArray<string>): ReadonlyArray<X509Certificate> =>
  pems.flatMap((pem) => {
    const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
    if (!found) throw new Error("there is no certificate in it");
    return found.map((one) => new X509Certificate(one));
  });

/**
 * The certificate that a client has shown and holds the key of; undefined where
 * there is none that counts: not signed by one of the authorities itself, or
 * out of its dates.
 *
 * Both are needed: what the TLS library says, for only it has seen the signature
 * with the key (Deno 2.9.6 lets a client in whose signature is wrong, and tells of
 * it in `verifyError` alone [measured]), and our own look at the chain. What
 * cannot be asked counts as wrong.
 */
export const provenCertificate = (
  tls: TLSSocket,
  authorities: ReadonlyArray<X509Certificate>,
  now: number,
): ShownCertificate | undefined => {
  const { _handle: handle } = tls as unknown as {
    readonly _handle?: { readonly verifyError?: () => unknown };
  };
  if (typeof handle?.verifyError !== "function" || handle.verifyError()) return undefined;
  const raw = tls.getPeerCertificate()?.raw;
  if (!raw) return undefined;
  try {
    const certificate = new X509Certificate(raw);
    if (!isSigned(certificate, authorities, now)) return undefined;
    const names = certificate.subject.split("\n").filter((part) => part.startsWith("CN="));
    return {
      fingerprint: certificate.fingerprint256,
      raw: certificate.raw,
      // Two names could be read as either.
      commonName: names.length === 1 ? names[0]?.slice(3) : undefined,
    };
  } catch {
    return undefined;
  }
};

const isCurrent = (certificate: X509Certificate, now: number) =>
  now >= Date.parse(certificate.validFrom) && now <= Date.parse(certificate.validTo);

const isSigned = (
  certificate: X509Certificate,
  authorities: ReadonlyArray<X509Certificate>,
  now: number,
): boolean =>
  isCurrent(certificate, now) && !certificate.ca &&
  authorities.some((issuer) =>
    issuer.ca && isCurrent(issuer, now) && certificate.checkIssued(issuer) &&
    certificate.verify(issuer.publicKey)
  );
