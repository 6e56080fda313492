import type { Buffer } from "node:buffer";
import ssh2Crypto from "ssh2/lib/protocol/crypto.js";
import { ConfigError } from "../../../src/errors.ts";
import { type Choice, wantedProvider } from "./choice.ts";
import { PacketCipher, PacketDecipher } from "./packets.ts";
import { pickProviders } from "./providers.ts";
import { cipherLabel, labelOf, macLabel, suites } from "./suites.ts";

/** What ssh2 hands over for packets to the client (crypto.js, createCipher). */
interface Outbound {
  readonly seqno: number;
  readonly onWrite: (bytes: Buffer) => void;
  readonly cipherInfo: object;
  readonly cipherKey: Uint8Array;
  readonly cipherIV: Uint8Array;
  readonly macInfo?: object;
  readonly macKey?: Uint8Array;
}

/** What ssh2 hands over for packets from the client (crypto.js, createDecipher). */
interface Inbound {
  readonly seqno: number;
  readonly onPayload: PacketDecipher["_onPayload"];
  readonly decipherInfo: object;
  readonly decipherKey: Uint8Array;
  readonly decipherIV: Uint8Array;
  readonly macInfo?: object;
  readonly macKey?: Uint8Array;
}

interface Exports {
  readonly CIPHER_INFO: Readonly<Record<string, object>>;
  readonly MAC_INFO: Readonly<Record<string, object>>;
  createCipher: (config: { outbound: Outbound }) => object;
  createDecipher: (config: { inbound: Inbound }) => object;
}

const none = new Uint8Array(0);
let chosen: ReadonlyMap<string, Choice> = new Map();

const exports = ssh2Crypto as unknown as Exports;
const { CIPHER_INFO, MAC_INFO, createCipher, createDecipher } = exports;

/** The suite of ssh2's descriptions, which are the same objects each time. */
const choiceOf = (cipherInfo: object, macInfo: object | undefined): Choice | undefined => {
  const suite = suites.find(({ cipher, mac }) =>
    // The GCM ciphers have two names and so two descriptions.
    (CIPHER_INFO[cipherLabel(cipher)] === cipherInfo || CIPHER_INFO[cipher] === cipherInfo) &&
    (mac === undefined || MAC_INFO[macLabel(mac)] === macInfo)
  );
  return suite && chosen.get(labelOf(suite));
};

// Must be done before ssh2's kex.js is loaded, which takes both functions then. What was not
// prepared, or is not in our lists, stays with ssh2's own.
exports.createCipher = (config) => {
  const { cipherInfo, cipherKey, cipherIV, macInfo, macKey, seqno, onWrite } = config.outbound;
  const choice = choiceOf(cipherInfo, macInfo);
  if (!choice) return createCipher(config);
  const keys = { key: cipherKey, iv: cipherIV, macKey: macKey ?? none, sequence: seqno };
  return new PacketCipher(choice.provider.sealer(choice.suite, keys), onWrite);
};
exports.createDecipher = (config) => {
  const { decipherInfo, decipherKey, decipherIV, macInfo, macKey, seqno, onPayload } =
    config.inbound;
  const choice = choiceOf(decipherInfo, macInfo);
  if (!choice) return createDecipher(config);
  const keys = { key: decipherKey, iv: decipherIV, macKey: macKey ?? none, sequence: seqno };
  return new PacketDecipher(choice.provider.opener(choice.suite, keys), onPayload);
};

let preparing: Promise<ReadonlyMap<string, Choice>> | undefined;

/**
 * Loads, tests and picks the ciphers of this process, once; before the first connection.
 * Rejects with {@linkcode ConfigError} when `SLUICE_CIPHERS` names no provider.
 */
export const prepareCiphers = (): Promise<ReadonlyMap<string, Choice>> =>
  preparing ??= (async () => {
    const wanted = wantedProvider(Deno.env.get("SLUICE_CIPHERS"));
    if (wanted instanceof Error) {
      throw new ConfigError({ problems: [{ where: "SLUICE_CIPHERS", what: wanted.message }] });
    }
    return chosen = await pickProviders(wanted);
  })();
