import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { knownAnswers } from "./known_answers.ts";
import {
  type Bytes,
  keyLengthsOf,
  type Keys,
  paddingFor,
  type Provider,
  shapeOf,
  type Suite,
  WrongTag,
} from "./port.ts";
import { labelOf } from "./suites.ts";

const pattern = (length: number, seed: number): Bytes => {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = i * seed + (i >> 3) + seed;
  return bytes;
};
const clear = pattern(1100, 5);

/** Keys of the known answers. All counters are about to carry, the sequence number to wrap. */
export const testKeys = (suite: Suite): Keys => {
  const lengths = keyLengthsOf(suite);
  return {
    key: pattern(lengths.key, 7),
    iv: pattern(lengths.iv, 11).fill(0xff, 4),
    macKey: pattern(suite.mac ? shapeOf(suite).overhead : 0, 13),
    sequence: 0xffff_fffe,
  };
};

/** Three packets in clear, padded for `suite`, each with room for its tag. */
export const testPackets = (suite: Suite): ReadonlyArray<Bytes> =>
  [0, 1000, 77].map((payloadLength) => {
    const shape = shapeOf(suite);
    const padding = paddingFor(shape, payloadLength);
    const length = 5 + payloadLength + padding;
    const packet = new Uint8Array(length + shape.overhead);
    packet.set(clear.subarray(0, length));
    new DataView(packet.buffer).setUint32(0, length - 4);
    packet[4] = padding;
    return packet;
  });

/**
 * What is wrong with `provider` for `suite`; undefined if nothing is: it seals the known packets to
 * the known bytes (which ssh2's own ciphers made), opens them again, and refuses one that was changed.
 */
export const flawOf = (provider: Provider, suite: Suite): string | undefined => {
  try {
    const { overhead } = shapeOf(suite);
    const plain = testPackets(suite);
    const packets = plain.map((packet) => Uint8Array.from(packet));
    const sealer = provider.sealer(suite, testKeys(suite));
    const opener = provider.opener(suite, testKeys(suite));
    try {
      const digest = createHash("sha256");
      for (const packet of packets) {
        sealer.seal(packet, 0, packet.length - overhead);
        digest.update(packet);
      }
      if (digest.digest("hex").slice(0, 32) !== knownAnswers[labelOf(suite)]) {
        return "seals to other bytes than it should";
      }
      return packets.map((packet, i) => {
        const length = packet.length - overhead;
        const last = i === packets.length - 1;
        if (opener.lengthAt(packet, 0) !== length - 4) return "reads a wrong length";
        if (last) packet[length - 1] = (packet[length - 1] ?? 0) ^ 1;
        try {
          opener.open(packet, 0, length);
          if (last) return "opens a packet that was changed";
        } catch (error) {
          return last && error instanceof WrongTag ? undefined : "does not open what it sealed";
        }
        const original = plain[i]?.subarray(4, length) ?? packet;
        return Buffer.compare(packet.subarray(4, length), original) === 0
          ? undefined
          : "opens to other bytes than were sealed";
      }).find((flaw) => flaw !== undefined);
    } finally {
      sealer.free();
      opener.free();
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};
