import { ConfigError, type ConfigProblem } from "../../src/errors.ts";
import type { Settings } from "../../src/config/config.ts";

/** The algorithms that this server offers, best first. */
export interface Algorithms {
  readonly kex: ReadonlyArray<string>;
  readonly serverHostKey: ReadonlyArray<string>;
  readonly cipher: ReadonlyArray<string>;
  readonly mac: ReadonlyArray<string>;
  /** For client keys; also announced as server-sig-algs. */
  readonly publicKey: ReadonlyArray<string>;
}

interface Choice {
  readonly setting:
    | "kex_algorithms"
    | "host_key_algorithms"
    | "ciphers"
    | "macs"
    | "public_key_algorithms";
  readonly safe: ReadonlyArray<string>;
  /** Known to work, weak or slow, and so only by configuration (BEHAVIOUR SSH-08). */
  readonly optional: ReadonlyArray<string>;
}

const certificate = (name: string) => `${name}-cert-v01@openssh.com`;

// SECURITY.md 3.1 items 10 to 14 say what works under Deno and what does not:
// nistp521 key exchange, group exchange and compression are not offered.
const CHOICES = {
  kex: {
    setting: "kex_algorithms",
    safe: [
      "curve25519-sha256",
      "curve25519-sha256@libssh.org",
      "ecdh-sha2-nistp256",
      "ecdh-sha2-nistp384",
      "diffie-hellman-group16-sha512",
      "diffie-hellman-group14-sha256",
    ],
    optional: ["diffie-hellman-group18-sha512", "diffie-hellman-group14-sha1"],
  },
  serverHostKey: {
    setting: "host_key_algorithms",
    safe: [
      certificate("ssh-ed25519"),
      certificate("ecdsa-sha2-nistp256"),
      certificate("ecdsa-sha2-nistp384"),
      certificate("ecdsa-sha2-nistp521"),
      certificate("rsa-sha2-512"),
      certificate("rsa-sha2-256"),
      "ssh-ed25519",
      "ecdsa-sha2-nistp256",
      "ecdsa-sha2-nistp384",
      "ecdsa-sha2-nistp521",
      "rsa-sha2-512",
      "rsa-sha2-256",
    ],
    optional: [],
  },
  cipher: {
    setting: "ciphers",
    safe: [
      "aes128-gcm@openssh.com",
      "aes256-gcm@openssh.com",
      "chacha20-poly1305@openssh.com",
      "aes128-ctr",
      "aes192-ctr",
      "aes256-ctr",
    ],
    optional: ["aes128-cbc", "aes256-cbc"],
  },
  mac: {
    setting: "macs",
    safe: [
      "hmac-sha2-256-etm@openssh.com",
      "hmac-sha2-512-etm@openssh.com",
      "hmac-sha2-256",
      "hmac-sha2-512",
    ],
    optional: ["hmac-sha1-etm@openssh.com", "hmac-sha1"],
  },
  publicKey: {
    setting: "public_key_algorithms",
    safe: [
      "ssh-ed25519",
      certificate("ssh-ed25519"),
      "sk-ssh-ed25519@openssh.com",
      "sk-ssh-ed25519-cert-v01@openssh.com",
      "ecdsa-sha2-nistp256",
      certificate("ecdsa-sha2-nistp256"),
      "ecdsa-sha2-nistp384",
      certificate("ecdsa-sha2-nistp384"),
      "ecdsa-sha2-nistp521",
      certificate("ecdsa-sha2-nistp521"),
      "sk-ecdsa-sha2-nistp256@openssh.com",
      "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
      "rsa-sha2-512",
      certificate("rsa-sha2-512"),
      "rsa-sha2-256",
      certificate("rsa-sha2-256"),
    ],
    optional: [],
  },
} as const satisfies Record<keyof Algorithms, Choice>;

/** The lists to offer: the configured ones, else the safe ones. Names every unknown algorithm. */
export const chooseAlgorithms = (settings: Settings["sftpd"]): Algorithms | ConfigError => {
  const problems: ConfigProblem[] = [];
  const pick = ({ setting, safe, optional }: Choice): ReadonlyArray<string> => {
    const wanted = settings[setting];
    if (wanted.length === 0) return safe;
    const known = [...safe, ...optional];
    for (const name of wanted) {
      if (known.includes(name)) continue;
      problems.push({
        where: `sftpd.${setting}`,
        what: `${JSON.stringify(name)} is unknown or not supported; choose from ${
          known.join(", ")
        }`,
      });
    }
    return [...new Set(wanted)];
  };
  const chosen = {
    kex: pick(CHOICES.kex),
    serverHostKey: pick(CHOICES.serverHostKey),
    cipher: pick(CHOICES.cipher),
    mac: pick(CHOICES.mac),
    publicKey: pick(CHOICES.publicKey),
  };
  return problems.length > 0 ? new ConfigError({ problems }) : chosen;
};
