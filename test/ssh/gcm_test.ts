import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { AesGcm } from "../../adapters/ssh/ciphers/aes_gcm.ts";
import { GcmCipher, GcmDecipher } from "../../adapters/ssh/ciphers/gcm_packets.ts";
import { loadLibcrypto } from "../../adapters/ssh/ciphers/libcrypto.ts";
import { passesSelfTest } from "../../adapters/ssh/ciphers/self_test.ts";
import { testIf } from "../e2e/tools.ts";

const loaded = loadLibcrypto();
const lib = loaded as NonNullable<typeof loaded>;
const test = (name: string, body: () => void) =>
  testIf(loaded !== undefined, "libcrypto is not installed", name, () => {
    body();
    return Promise.resolve();
  });
const hex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));

/** A cipher and a decipher with the same key; what arrives is collected. */
const pair = (keyLength: number) => {
  const key = randomBytes(keyLength), iv = randomBytes(12);
  const wire: Buffer[] = [], payloads: Buffer[] = [];
  const cipher = new GcmCipher(lib, {
    seqno: 0,
    cipherKey: key,
    cipherIV: iv,
    onWrite: (bytes) => wire.push(bytes),
  });
  const decipher = new GcmDecipher(lib, {
    seqno: 0,
    decipherKey: key,
    decipherIV: iv,
    onPayload: (payload) => {
      payloads.push(payload);
      return undefined;
    },
  });
  const send = (payload: Uint8Array) => {
    const packet = cipher.allocPacket(payload.length);
    packet.set(payload, 5);
    cipher.encrypt(packet as Buffer<ArrayBuffer>);
  };
  const free = () => (cipher.free(), decipher.free());
  return { key, iv, wire, payloads, cipher, decipher, send, free };
};
const received = (chunk: Uint8Array) => Buffer.from(Uint8Array.from(chunk).buffer);

test("AES-GCM known answers: test case 4 of the GCM specification, with libcrypto", () => {
  // McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B; its associated data cut to
  // the four bytes that SSH has, so the tag comes from the same case by node:crypto.
  const key = hex("feffe9928665731c6d6a8f9467308308"), iv = hex("cafebabefacedbaddecaf888");
  const plain = hex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72" +
      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
  );
  const expected = hex(
    "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e" +
      "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
  );
  const gcm = new AesGcm(lib, true, key, iv);
  const out = new Uint8Array(plain.length), tag = new Uint8Array(16);
  gcm.begin(hex("feedface"));
  gcm.update(out, plain);
  gcm.seal(tag);
  gcm.free();
  assert.deepEqual(out, expected);
  const other = createCipheriv("aes-128-gcm", key, iv);
  other.setAAD(hex("feedface"));
  other.update(plain);
  other.final();
  assert.deepEqual(Buffer.from(tag), other.getAuthTag());
});

test("passesSelfTest() holds for this machine's library", () => {
  assert.equal(passesSelfTest(lib), true);
});

for (const keyLength of [16, 32]) {
  test(`GcmCipher: node:crypto opens what it sealed, ${keyLength * 8} bit`, () => {
    const { key, iv, wire, send, free } = pair(keyLength);
    const counter = Buffer.from(iv);
    for (const size of [0, 1, 11, 12, 255, 4096, 32768]) {
      const payload = randomBytes(size);
      send(payload);
      const packet = wire.pop()!;
      const algorithm = keyLength === 16 ? "aes-128-gcm" : "aes-256-gcm";
      const other = createDecipheriv(algorithm, key, counter);
      other.setAAD(packet.subarray(0, 4));
      other.setAuthTag(packet.subarray(-16));
      const plain = other.update(packet.subarray(4, -16));
      other.final();
      assert.equal(packet.readUInt32BE(0), packet.length - 20);
      assert.ok(plain[0]! >= 4 && plain.length % 16 === 0);
      assert.deepEqual(plain.subarray(1, plain.length - plain[0]!), payload);
      counter.writeBigUInt64BE(counter.readBigUInt64BE(4) + 1n, 4);
    }
    free();
  });

  test(`GcmDecipher: packets come out whole however they are cut, ${keyLength * 8} bit`, () => {
    for (const cut of [1, 3, 4, 5, 16, 17, 20, 1000, Infinity]) {
      const { wire, payloads, decipher, send, free } = pair(keyLength);
      const sent = [0, 7, 300, 2000].map((size) => randomBytes(size));
      for (const payload of sent) send(payload);
      const all = Buffer.concat(wire);
      for (let at = 0; at < all.length; at += cut) {
        const chunk = received(all.subarray(at, Math.min(all.length, at + cut)));
        assert.equal(decipher.decrypt(chunk, 0, chunk.length), undefined);
      }
      assert.deepEqual(payloads, sent);
      assert.equal(decipher.inSeqno, sent.length);
      free();
    }
  });
}

test("GcmDecipher refuses a packet with any byte changed, and gives nothing of it away", () => {
  for (const at of [4, 5, 20, -17, -16, -1]) {
    const { wire, payloads, decipher, send, free } = pair(16);
    send(randomBytes(64));
    const packet = received(wire[0]!);
    const index = at < 0 ? packet.length + at : at;
    packet[index] = packet[index]! ^ 1;
    assert.throws(() => decipher.decrypt(packet, 0, packet.length), /Invalid MAC/);
    assert.equal(payloads.length, 0);
    free();
  }
});

test("GcmDecipher refuses impossible lengths before it allocates", () => {
  for (const length of [0, 8, 15, 17, 35000, 0x80000000, 0xffffffff]) {
    const { decipher, free } = pair(16);
    const head = Buffer.from(new ArrayBuffer(4));
    head.writeUInt32BE(length >>> 0);
    assert.throws(() => decipher.decrypt(head, 0, 4), /Bad packet length/);
    free();
  }
});

test("GcmCipher seals a packet that another cipher made room for, and nothing after free()", () => {
  const { wire, payloads, cipher, decipher, free } = pair(16);
  const packet = Buffer.from([0, 0, 0, 16, 4, ...new Array(15).fill(9)]);
  cipher.encrypt(packet as Buffer<ArrayBuffer>);
  const chunk = received(wire[0]!);
  decipher.decrypt(chunk, 0, chunk.length);
  assert.deepEqual(payloads, [Buffer.from(new Array(11).fill(9))]);
  free();
  free();
  cipher.encrypt(packet as Buffer<ArrayBuffer>);
  assert.equal(wire.length, 1);
});
