import { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { ShownCertificate } from "../src/identity/tls_certificate.ts";
import { type RevocationList, serialOf } from "../src/tls/revocation.ts";

/** Reads all certificates of PEM files. Throws where there is none, or one that is none. */
export const readAuthorities = (pems: ReadonlyArray<string>): ReadonlyArray<X509Certificate> =>
  pems.flatMap((pem) => {
    const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
    if (!found) throw new Error("there is no certificate in it");
    return found.map((one) => new X509Certificate(one));
  });

/** Certificates that were proven, of which a resumed session may remind. */
const MAX_PROVEN = 10_000;

/** Answers the certificate of a connection whose handshake is done, where it counts. */
export type Prover = (tls: TLSSocket, now: number) => ShownCertificate | undefined;

/**
 * Makes what tells the certificate that a client has shown and holds the key of;
 * undefined where there is none that counts: not signed by one of the authorities
 * itself, revoked by it, or out of its dates.
 *
 * Both are needed: what the TLS library says, for only it has seen the signature
 * with the key (Deno 2.9.6 lets some clients in whose signature is wrong, and tells
 * of it in `verifyError` alone [measured]), and our own look at the chain. What
 * cannot be asked counts as wrong. A resumed session signs nothing, so it counts
 * only for a certificate that was proven before.
 */
export const makeProver = (
  authorities: ReadonlyArray<X509Certificate>,
  /** What is revoked now. */
  revoked: () => ReadonlyArray<RevocationList>,
): Prover => {
  const proven = new Set<string>();
  return (tls, now) => {
    const { _handle: handle } = tls as unknown as {
      readonly _handle?: { readonly verifyError?: () => unknown };
    };
    if (typeof handle?.verifyError !== "function" || handle.verifyError()) return undefined;
    const raw = tls.getPeerCertificate()?.raw;
    if (!raw) return undefined;
    try {
      const certificate = new X509Certificate(raw);
      const fingerprint = certificate.fingerprint256;
      const issuer = issuerOf(certificate, authorities, now);
      if (!issuer) return undefined;
      const serial = serialOf(certificate);
      const isTakenBack = (list: RevocationList) =>
        list.issuer.fingerprint256 === issuer.fingerprint256 && list.serials.has(serial);
      if (revoked().some(isTakenBack)) return undefined;
      if (!tls.isSessionReused()) {
        if (proven.size >= MAX_PROVEN) proven.clear();
        proven.add(fingerprint);
      } else if (!proven.has(fingerprint)) return undefined;
      const names = certificate.subject.split("\n").filter((part) => part.startsWith("CN="));
      // Two names could be read as either.
      const commonName = names.length === 1 ? names[0]?.slice(3) : undefined;
      return { fingerprint, raw: certificate.raw, commonName };
    } catch {
      return undefined;
    }
  };
};

const isCurrent = (certificate: X509Certificate, now: number) =>
  now >= Date.parse(certificate.validFrom) && now <= Date.parse(certificate.validTo);

/** The authority that signed it itself, where both are in their dates. */
const issuerOf = (
  certificate: X509Certificate,
  authorities: ReadonlyArray<X509Certificate>,
  now: number,
): X509Certificate | undefined =>
  isCurrent(certificate, now) && !certificate.ca
    ? authorities.find((issuer) =>
      issuer.ca && isCurrent(issuer, now) && certificate.checkIssued(issuer) &&
      certificate.verify(issuer.publicKey)
    )
    : undefined;
