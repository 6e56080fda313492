import { Buffer } from "node:buffer";
import type { Keys, Suite } from "../../adapters/ssh/ciphers/port.ts";

export const hex = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(Buffer.from(text.replace(/\s/g, ""), "hex"));

/** What a specification says that a packet in clear becomes. The body of `sealed` may be given alone. */
export interface Vector {
  readonly from: string;
  readonly suite: Suite;
  readonly keys: Keys;
  readonly clear: Uint8Array;
  /** Where `sealed` begins in the sealed packet; it may reach into the tag or MAC. */
  readonly at: number;
  readonly sealed: Uint8Array;
}

const none = new Uint8Array(0);
const mac = { hash: "sha256", etm: false } as const;

// SP 800-38A, appendix F: four blocks.
const blocks = hex(`6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51
  30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710`);
const key128 = hex("2b7e151628aed2a6abf7158809cf4f3c");
const key192 = hex("8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b");
const key256 = hex("603deb1015ca71be2b73aef0857d7781 1f352c073b6108d72d9810a30914dff4");

const block = (
  section: string,
  cipher: Suite["cipher"],
  key: Uint8Array,
  sealed: string,
): Vector => ({
  from: `SP 800-38A ${section}`,
  suite: { cipher, mac },
  keys: {
    key,
    iv: hex(
      cipher.endsWith("ctr")
        ? "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
        : "000102030405060708090a0b0c0d0e0f",
    ),
    macKey: new Uint8Array(32),
    sequence: 0,
  },
  clear: blocks,
  at: 0,
  sealed: hex(sealed),
});

// McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 4 and 16. Their associated
// data is not the four bytes that SSH has, so only the ciphertext is theirs; tags are compared
// between the providers.
const gcm = (testCase: number, cipher: Suite["cipher"], key: string, sealed: string): Vector => ({
  from: `the GCM specification, test case ${testCase}`,
  suite: { cipher },
  keys: { key: hex(key), iv: hex("cafebabefacedbaddecaf888"), macKey: none, sequence: 0 },
  clear: hex(`feedface
    d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
    1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39`),
  at: 4,
  sealed: hex(sealed),
});
const gcmKey = "feffe9928665731c6d6a8f9467308308";

// RFC 4231 (SHA-2) and RFC 2202 (SHA-1): the first four bytes of the message are the sequence number.
const hmac = (
  from: string,
  hash: "sha1" | "sha256" | "sha512",
  macKey: Uint8Array,
  message: Uint8Array,
  sealed: string,
): Vector => ({
  from,
  suite: { cipher: "aes128-ctr", mac: { hash, etm: false } },
  keys: {
    key: key128,
    iv: new Uint8Array(16),
    macKey,
    sequence: new DataView(message.buffer).getUint32(0),
  },
  clear: message.subarray(4),
  at: message.length - 4,
  sealed: hex(sealed),
});
const case1 = [new Uint8Array(20).fill(0x0b), new TextEncoder().encode("Hi There")] as const;
const case3 = [new Uint8Array(20).fill(0xaa), new Uint8Array(50).fill(0xdd)] as const;

export const vectors: ReadonlyArray<Vector> = [
  gcm(
    4,
    "aes128-gcm",
    gcmKey,
    `42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
     21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091`,
  ),
  gcm(
    16,
    "aes256-gcm",
    gcmKey + gcmKey,
    `522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
     8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662`,
  ),
  block(
    "F.5.1",
    "aes128-ctr",
    key128,
    `874d6191b620e3261bef6864990db6ce 9806f66b7970fdff8617187bb9fffdff
     5ae4df3edbd5d35e5b4f09020db03eab 1e031dda2fbe03d1792170a0f3009cee`,
  ),
  block(
    "F.5.3",
    "aes192-ctr",
    key192,
    `1abc932417521ca24f2b0459fe7e6e0b 090339ec0aa6faefd5ccc2c6f4ce8e94
     1e36b26bd1ebc670d1bd1d665620abf7 4f78a7f6d29809585a97daec58c6b050`,
  ),
  block(
    "F.5.5",
    "aes256-ctr",
    key256,
    `601ec313775789a5b7a7f504bbf3d228 f443e3ca4d62b59aca84e990cacaf5c5
     2b0930daa23de94ce87017ba2d84988d dfc9c58db67aada613c2dd08457941a6`,
  ),
  block(
    "F.2.1",
    "aes128-cbc",
    key128,
    `7649abac8119b246cee98e9b12e9197d 5086cb9b507219ee95db113a917678b2
     73bed6b8e3c1743b7116e69e22229516 3ff1caa1681fac09120eca307586e1a7`,
  ),
  block(
    "F.2.5",
    "aes256-cbc",
    key256,
    `f58c4c04d6e5f1ba779eabfb5f7bfbd6 9cfc4e967edb808d679f777bc6702c7d
     39f23369a9d9bacfa530e26304231461 b2eb05e2c39be9fcda6c19078c6a9d1b`,
  ),
  hmac(
    "RFC 4231 4.2",
    "sha256",
    ...case1,
    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
  ),
  hmac(
    "RFC 4231 4.2",
    "sha512",
    ...case1,
    `87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde
     daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854`,
  ),
  hmac(
    "RFC 4231 4.4",
    "sha256",
    ...case3,
    "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
  ),
  hmac(
    "RFC 4231 4.4",
    "sha512",
    ...case3,
    `fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39
     bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb`,
  ),
  hmac("RFC 2202 3", "sha1", ...case1, "b617318655057264e28bc0b6fb378c8ef146be00"),
  hmac("RFC 2202 3", "sha1", ...case3, "125d7342b9ac11cd91a39af48aa17b4f63f175d3"),
  {
    from: "draft-ietf-sshm-chacha20-poly1305, appendix A",
    suite: { cipher: "chacha20-poly1305" },
    keys: {
      key: hex(`8bbff6855fc102338c373e73aac0c914f076a905b2444a32eecaffeae22becc5
                e9b7a7a5825a8249346ec1c28301cf394543fc7569887d76e168f37562ac0740`),
      iv: none,
      macKey: none,
      sequence: 7,
    },
    clear: hex(`00000048065e00000000000000384c6f72656d20697073756d20646f6c6f7220
                73697420616d65742c20636f6e7365637465747572206164697069736963696e
                6720656c69744e43e804dc6c`),
    at: 0,
    sealed: hex(`2c3ecce4a5bc05895bf07a7ba956b6c68829ac7c83b780b7000ecde745afc705
                 bbc378ce03a280236b87b53bed5839662302b164b6286a48cd1e097138e3cb90
                 9b8b2b829dd18d2a35ff82d9 95349e855bf02c298ef775f2d1a7e8b8`),
  },
];
