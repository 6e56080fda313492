import type { CipherName, MacName, Suite } from "./port.ts";

const authenticated: ReadonlyArray<CipherName> = ["aes128-gcm", "aes256-gcm", "chacha20-poly1305"];
const plain: ReadonlyArray<CipherName> = [
  "aes128-ctr",
  "aes192-ctr",
  "aes256-ctr",
  "aes128-cbc",
  "aes256-cbc",
];
const macs: ReadonlyArray<MacName> = (["sha256", "sha512", "sha1"] as const)
  .flatMap((hash) => [{ hash, etm: true }, { hash, etm: false }]);

/** Everything that `algorithms.ts` may offer. */
export const suites: ReadonlyArray<Suite> = [
  ...authenticated.map((cipher) => ({ cipher })),
  ...plain.flatMap((cipher) => macs.map((mac) => ({ cipher, mac }))),
];

/** The cipher as it is negotiated. */
export const cipherLabel = (cipher: CipherName): string =>
  authenticated.includes(cipher) ? `${cipher}@openssh.com` : cipher;

/** The MAC as it is negotiated. */
export const macLabel = ({ hash, etm }: MacName): string =>
  `hmac-${hash.replace(/^sha(?=\d{3})/, "sha2-")}${etm ? "-etm@openssh.com" : ""}`;

/** Both, for people and as a key of maps. */
export const labelOf = ({ cipher, mac }: Suite): string =>
  mac ? `${cipherLabel(cipher)} ${macLabel(mac)}` : cipherLabel(cipher);
