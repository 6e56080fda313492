/** Memory that is sealed and opened in place; never a SharedArrayBuffer. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** The ciphers, without `@openssh.com`. */
export type CipherName =
  | "aes128-gcm"
  | "aes256-gcm"
  | "chacha20-poly1305"
  | "aes128-ctr"
  | "aes192-ctr"
  | "aes256-ctr"
  | "aes128-cbc"
  | "aes256-cbc";

/** A MAC by its hash; `etm`: over what was encrypted, the length in clear (`-etm@openssh.com`). */
export interface MacName {
  readonly hash: "sha1" | "sha256" | "sha512";
  readonly etm: boolean;
}

/** What protects one direction: a cipher that authenticates, or a cipher with a MAC. */
export interface Suite {
  readonly cipher: CipherName;
  /** Absent exactly for the ciphers that authenticate themselves (GCM, chacha20-poly1305). */
  readonly mac?: MacName;
}

/** What the key exchange made for one direction (RFC 4253 section 7.2). */
export interface Keys {
  readonly key: Uint8Array;
  /** Empty for chacha20-poly1305. */
  readonly iv: Uint8Array;
  /** Empty where the suite has no MAC. */
  readonly macKey: Uint8Array;
  /** Sequence number of the first packet. */
  readonly sequence: number;
}

/** How packets of a suite lie in memory. All in bytes. */
export interface Shape {
  /** Tag or MAC behind each packet. */
  readonly overhead: number;
  /** The padded part of a packet is a multiple of this. */
  readonly blockSize: number;
  /** Whether the four length bytes are part of what is padded (plain MACs only). */
  readonly padsLength: boolean;
  /** Bytes of a packet that must be there to learn its length. */
  readonly headLength: number;
}

/**
 * Seals the packets of one direction, one after the other, and counts them.
 *
 * Not to be used after `free`, nor once a call threw.
 */
export interface Sealer {
  readonly shape: Shape;
  /** Sequence number of the next packet. ssh2 sets it to 0 in strict key exchange. */
  sequence: number;
  /**
   * Seals in place the packet `uint32 length | uint8 padding | payload | padding` that lies in
   * `memory` at `at`, `length` bytes in all, and writes `shape.overhead` bytes right behind it.
   * Touches nothing else.
   */
  seal(memory: Bytes, at: number, length: number): void;
  /** Gives up the keys and foreign memory. Idempotent. */
  free(): void;
}

/**
 * Opens the packets of one direction. For each packet first `lengthAt`, once; then `open`, once.
 *
 * Not to be used after `free`, nor once a call threw.
 */
export interface Opener {
  readonly shape: Shape;
  sequence: number;
  /**
   * Reads the `uint32 length` of the next packet, of which `shape.headLength` bytes lie at `at`; may
   * decrypt those bytes in place. The length is not authenticated yet: check its range.
   */
  lengthAt(memory: Bytes, at: number): number;
  /**
   * Decrypts in place the packet whose length was read: `length` bytes (the length field included) at
   * `at`, then its tag or MAC. Throws {@linkcode WrongTag} if it was not sealed so by the other side;
   * what lies in `memory` then is not to be looked at. Compares in constant time. The four length
   * bytes may be left encrypted.
   */
  open(memory: Bytes, at: number, length: number): void;
  free(): void;
}

/** One implementation of some suites. */
export interface Provider {
  readonly name: "libcrypto" | "sodium" | "node";
  supports(suite: Suite): boolean;
  /** `suite` is supported. */
  sealer(suite: Suite, keys: Keys): Sealer;
  opener(suite: Suite, keys: Keys): Opener;
}

/** A packet that was changed on its way, or never sealed by the other side. */
export class WrongTag extends Error {
  override readonly name = "WrongTag";
  constructor() {
    super("Invalid MAC");
  }
}

const macLengths = { sha1: 20, sha256: 32, sha512: 64 } as const;

/** How packets of `suite` lie in memory, whatever provider seals them. */
export const shapeOf = ({ cipher, mac }: Suite): Shape => {
  if (cipher === "chacha20-poly1305") {
    return { overhead: 16, blockSize: 8, padsLength: false, headLength: 4 };
  }
  if (!mac) return { overhead: 16, blockSize: 16, padsLength: false, headLength: 4 };
  return {
    overhead: macLengths[mac.hash],
    blockSize: 16,
    padsLength: !mac.etm,
    headLength: mac.etm ? 4 : 16,
  };
};

const keyLengths: Readonly<Record<CipherName, readonly [key: number, iv: number]>> = {
  "aes128-gcm": [16, 12],
  "aes256-gcm": [32, 12],
  "chacha20-poly1305": [64, 0],
  "aes128-ctr": [16, 16],
  "aes192-ctr": [24, 16],
  "aes256-ctr": [32, 16],
  "aes128-cbc": [16, 16],
  "aes256-cbc": [32, 16],
};

/** Bytes of the key and the IV of a cipher. */
export const keyLengthsOf = ({ cipher }: Suite): { readonly key: number; readonly iv: number } => {
  const [key, iv] = keyLengths[cipher];
  return { key, iv };
};

/** Bytes of padding for a payload: at least four, and the whole a multiple of the block size. */
export const paddingFor = ({ blockSize, padsLength }: Shape, payloadLength: number): number => {
  const least = (padsLength ? 5 : 1) + payloadLength;
  const padding = blockSize - (least & (blockSize - 1));
  return padding < 4 ? padding + blockSize : padding;
};

/** Whether `length`, as read from the wire, is one that a packet can have; the largest is the caller's. */
export const possibleLength = ({ blockSize, padsLength }: Shape, length: number): boolean =>
  length >= 5 && ((padsLength ? length + 4 : length) & (blockSize - 1)) === 0;

/** The big-endian number at `at`. */
export const uint32At = (memory: Uint8Array, at: number): number =>
  ((memory[at] ?? 0) << 24 | (memory[at + 1] ?? 0) << 16 |
    (memory[at + 2] ?? 0) << 8 | (memory[at + 3] ?? 0)) >>> 0;

/** Writes `value` big-endian at `at`. */
export const writeUint32 = (memory: Uint8Array, at: number, value: number): void => {
  memory[at] = value >>> 24;
  memory[at + 1] = value >>> 16;
  memory[at + 2] = value >>> 8;
  memory[at + 3] = value;
};
