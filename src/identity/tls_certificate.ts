import { X509Certificate } from "node:crypto";
import type { User } from "../model/user.ts";
import { accountName } from "./naming.ts";

/** A certificate whose chain and whose key were proven in a TLS handshake. */
export interface ShownCertificate {
  /** SHA-256, for the journal. */
  readonly fingerprint: string;
  /** DER. */
  readonly raw: Uint8Array;
  /** Undefined where it has none, or several. */
  readonly commonName: string | undefined;
}

/** Whether a certificate is the user's: listed, or by its common name (BEHAVIOUR AUTH-12). */
export const isOwn = (user: User, namingRules: number, shown: ShownCertificate): boolean => {
  const { tls_certs, tls_username } = user.filters;
  if (tls_certs.some((pem) => sameCertificate(pem, shown.raw))) return true;
  return tls_username === "CommonName" && shown.commonName !== undefined &&
    accountName(namingRules, shown.commonName) === user.username;
};

const sameCertificate = (pem: string, raw: Uint8Array): boolean => {
  try {
    return new X509Certificate(pem).raw.equals(raw);
  } catch {
    return false;
  }
};
