import ssh2Crypto from "ssh2/lib/protocol/crypto.js";
import { GcmCipher, GcmDecipher, type Inbound, type Outbound } from "./gcm_packets.ts";
import { type Libcrypto, loadLibcrypto } from "./libcrypto.ts";
import { passesSelfTest } from "./self_test.ts";

interface Exports {
  createCipher: (config: { outbound: Outbound & { cipherInfo: Info } }) => object;
  createDecipher: (config: { inbound: Inbound & { decipherInfo: Info } }) => object;
}
interface Info {
  readonly sslName: string;
}

const isGcm = ({ sslName }: Info) => sslName === "aes-128-gcm" || sslName === "aes-256-gcm";

/**
 * Gives ssh2 our AES-GCM, where the library is there and passes its self-test.
 *
 * Must be imported before ssh2's kex.js, which takes both functions when it is loaded.
 */
const install = (): Libcrypto | undefined => {
  const lib = loadLibcrypto();
  if (!lib || !passesSelfTest(lib)) return undefined;
  const exports = ssh2Crypto as unknown as Exports;
  const { createCipher, createDecipher } = exports;
  exports.createCipher = (config) =>
    isGcm(config.outbound.cipherInfo) ? new GcmCipher(lib, config.outbound) : createCipher(config);
  exports.createDecipher = (config) =>
    isGcm(config.inbound.decipherInfo)
      ? new GcmDecipher(lib, config.inbound)
      : createDecipher(config);
  return lib;
};

/** What encrypts AES-GCM in this process; for `doctor` and the log. */
export const gcmProvider: "libcrypto" | "node:crypto" = install() ? "libcrypto" : "node:crypto";
