import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { PacketCipher, PacketDecipher } from "../../adapters/ssh/ciphers/packets.ts";
import type { Provider, Suite } from "../../adapters/ssh/ciphers/port.ts";
import { suites } from "../../adapters/ssh/ciphers/suites.ts";
import { forEachSuite, randomKeys, serving } from "./cipher_support.ts";

/** A cipher and a decipher with the same key; what arrives is collected. */
const pair = (provider: Provider, suite: Suite) => {
  const keys = randomKeys(suite);
  const wire: Buffer[] = [], payloads: Buffer[] = [];
  const cipher = new PacketCipher(provider.sealer(suite, keys), (bytes) => void wire.push(bytes));
  const decipher = new PacketDecipher(provider.opener(suite, keys), (payload) => {
    payloads.push(payload);
    return undefined;
  });
  const send = (payload: Uint8Array) => {
    const packet = cipher.allocPacket(payload.length);
    packet.set(payload, 5);
    cipher.encrypt(packet as Buffer<ArrayBuffer>);
  };
  const free = () => (cipher.free(), decipher.free());
  return { wire, payloads, cipher, decipher, send, free };
};
const received = (chunk: Uint8Array) => Buffer.from(Uint8Array.from(chunk).buffer);

/** A payload whose first byte is a message number of the connection protocol. */
const channelData = (length: number) => {
  const payload = randomBytes(length);
  payload[0] = 94;
  return payload;
};

forEachSuite("PacketDecipher: packets come out whole however they are cut", (provider, suite) => {
  for (const cut of [1, 3, 4, 5, 15, 16, 17, 20, 40, 1000, Infinity]) {
    const { wire, payloads, cipher, decipher, send, free } = pair(provider, suite);
    const before = decipher.inSeqno;
    const sent = [
      Buffer.alloc(0),
      randomBytes(1),
      channelData(7),
      channelData(300),
      randomBytes(900),
    ];
    for (const payload of sent) send(payload);
    const all = Buffer.concat(wire);
    for (let at = 0; at < all.length; at += cut) {
      const chunk = received(all.subarray(at, Math.min(all.length, at + cut)));
      assert.equal(decipher.decrypt(chunk, 0, chunk.length), undefined);
    }
    assert.deepEqual(payloads, sent);
    assert.equal(decipher.inSeqno, (before + sent.length) >>> 0);
    assert.equal(cipher.outSeqno, decipher.inSeqno);
    free();
  }
});

const gcm = suites.find(({ cipher }) => cipher === "aes128-gcm") as Suite;
const ctr = suites.find(({ cipher, mac }) => cipher === "aes128-ctr" && !mac?.etm) as Suite;
const chacha = suites.find(({ cipher }) => cipher === "chacha20-poly1305") as Suite;

Deno.test("PacketDecipher gives views of the chunk for channel data that lay in it whole", () => {
  const { wire, payloads, decipher, send, free } = pair(serving(gcm), gcm);
  for (const length of [100, 200, 300]) send(channelData(length));
  const all = Buffer.concat(wire);
  const cut = wire[0]!.length + wire[1]!.length + 30;
  const chunk = received(all.subarray(0, cut)), rest = received(all.subarray(cut));
  decipher.decrypt(chunk, 0, chunk.length);
  decipher.decrypt(rest, 0, rest.length);
  assert.deepEqual(payloads.map(({ length }) => length), [100, 200, 300]);
  assert.equal(payloads[0]!.buffer, chunk.buffer);
  assert.equal(payloads[1]!.buffer, chunk.buffer);
  assert.notEqual(payloads[2]!.buffer, rest.buffer);
  free();
});

Deno.test("PacketDecipher gives copies of key exchange and login messages", () => {
  const { wire, payloads, decipher, send, free } = pair(serving(gcm), gcm);
  const sent = [20, 50, 79].map((type) => Buffer.from([type, 1, 2, 3]));
  for (const payload of sent) send(payload);
  const chunk = received(Buffer.concat(wire));
  decipher.decrypt(chunk, 0, chunk.length);
  chunk.fill(0);
  assert.deepEqual(payloads, sent);
  free();
});

Deno.test("PacketDecipher stops where a payload's handler says so", () => {
  const { wire, decipher, send, free } = pair(serving(gcm), gcm);
  send(channelData(10));
  send(channelData(20));
  const chunk = received(Buffer.concat(wire));
  decipher._onPayload = () => false;
  assert.equal(decipher.decrypt(chunk, 0, chunk.length), wire[0]!.length);
  decipher._onPayload = () => Infinity;
  assert.equal(decipher.decrypt(chunk, wire[0]!.length, chunk.length), Infinity);
  free();
});

Deno.test("PacketDecipher decrypts nothing more when a handler frees it", () => {
  const { wire, decipher, send, free } = pair(serving(ctr), ctr);
  send(channelData(10));
  send(channelData(20));
  const chunk = received(Buffer.concat(wire));
  let seen = 0;
  decipher._onPayload = () => {
    seen++;
    decipher.free();
    return undefined;
  };
  assert.equal(decipher.decrypt(chunk, 0, chunk.length), undefined);
  assert.equal(seen, 1);
  free();
});

forEachSuite("PacketDecipher refuses impossible lengths before it allocates", (provider, suite) => {
  const { overhead, blockSize, padsLength, headLength } = pair(provider, suite).cipher.shape;
  for (const length of [0, 3, 4, blockSize + 1, 35_000 - overhead - 3, 0x8000_0000, 0xffff_fff0]) {
    const { wire, decipher, cipher, free } = pair(provider, suite);
    const packet = cipher.allocPacket(100) as Buffer<ArrayBuffer>;
    packet.writeUInt32BE(length >>> 0);
    cipher.encrypt(packet);
    const head = received(wire[0]!.subarray(0, headLength));
    assert.throws(() => decipher.decrypt(head, 0, head.length), /Bad packet length/, `${length}`);
    free();
  }
  assert.equal(padsLength, suite.mac !== undefined && !suite.mac.etm);
});

Deno.test("PacketDecipher refuses a padding that is too short or too long", () => {
  for (const padding of [0, 3, 16, 255]) {
    const { wire, decipher, cipher, payloads, free } = pair(serving(gcm), gcm);
    const packet = cipher.allocPacket(11) as Buffer<ArrayBuffer>;
    packet[4] = padding;
    cipher.encrypt(packet);
    const chunk = received(wire[0]!);
    assert.throws(() => decipher.decrypt(chunk, 0, chunk.length), /Bad padding length/);
    assert.equal(payloads.length, 0);
    free();
  }
});

Deno.test("PacketCipher pads anew what another cipher made room for, and seals nothing after free()", () => {
  const made = pair(serving(chacha), chacha), used = pair(serving(gcm), gcm);
  const payload = channelData(11);
  const packet = made.cipher.allocPacket(payload.length) as Buffer<ArrayBuffer>;
  packet.set(payload, 5);
  used.cipher.encrypt(packet);
  const chunk = received(used.wire[0]!);
  used.decipher.decrypt(chunk, 0, chunk.length);
  assert.deepEqual(used.payloads, [payload]);
  used.free();
  used.free();
  used.cipher.encrypt(packet);
  assert.equal(used.wire.length, 1);
  made.free();
});
