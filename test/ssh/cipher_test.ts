import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import fc from "fast-check";
import ssh2Crypto from "ssh2/lib/protocol/crypto.js";
import { choose, wantedProvider } from "../../adapters/ssh/ciphers/choice.ts";
import { knownAnswers } from "../../adapters/ssh/ciphers/known_answers.ts";
import {
  type Bytes,
  type Keys,
  paddingFor,
  type Provider,
  shapeOf,
  type Suite,
  WrongTag,
} from "../../adapters/ssh/ciphers/port.ts";
import { pickProviders } from "../../adapters/ssh/ciphers/providers.ts";
import { flawOf, testKeys, testPackets } from "../../adapters/ssh/ciphers/self_test.ts";
import { surveyCiphers } from "../../adapters/ssh/ciphers/survey.ts";
import { cipherLabel, labelOf, macLabel, suites } from "../../adapters/ssh/ciphers/suites.ts";
import { testIf } from "../e2e/tools.ts";
import { candidates, forEachSuite, providers, randomKeys, serving } from "./cipher_support.ts";
import { vectors } from "./cipher_vectors.ts";

/** A packet in clear, `before` bytes into memory that has room for the tag and `after` bytes more. */
const clearPacket = (suite: Suite, payload: Uint8Array, before = 0, after = 0) => {
  const shape = shapeOf(suite);
  const padding = paddingFor(shape, payload.length);
  const length = 5 + payload.length + padding;
  const memory = new Uint8Array(before + length + shape.overhead + after).fill(0xa5);
  new DataView(memory.buffer).setUint32(before, length - 4);
  memory[before + 4] = padding;
  memory.set(payload, before + 5);
  memory.fill(7, before + 5 + payload.length, before + length);
  return { memory, length };
};

for (const provider of providers) {
  Deno.test(`sealing gives the bytes of the specifications, by ${provider.name}`, () => {
    for (const { from, suite, keys, clear, at, sealed } of vectors) {
      if (!provider.supports(suite)) continue;
      const memory = new Uint8Array(clear.length + shapeOf(suite).overhead);
      memory.set(clear);
      const sealer = provider.sealer(suite, keys);
      sealer.seal(memory, 0, clear.length);
      sealer.free();
      assert.deepEqual(memory.slice(at, at + sealed.length), Uint8Array.from(sealed), from);
      if (clear.length < 16) continue;
      const opener = provider.opener(suite, keys);
      opener.lengthAt(memory, 0);
      opener.open(memory, 0, clear.length);
      opener.free();
      assert.deepEqual(memory.slice(4, clear.length), Uint8Array.from(clear.subarray(4)), from);
    }
  });
}

const ssh2 = ssh2Crypto as unknown as {
  readonly init: Promise<void>;
  readonly CIPHER_INFO: Readonly<Record<string, object>>;
  readonly MAC_INFO: Readonly<Record<string, object>>;
  createCipher(config: object): { encrypt(packet: Buffer): void };
};

Deno.test("known answers: every suite has one, and they are what ssh2's own ciphers make", async () => {
  await ssh2.init;
  for (const suite of suites) {
    const { key, iv, macKey, sequence } = testKeys(suite);
    const digest = createHash("sha256");
    const cipher = ssh2.createCipher({
      outbound: {
        seqno: sequence,
        onWrite: (bytes: Uint8Array) => void digest.update(bytes),
        cipherInfo: ssh2.CIPHER_INFO[cipherLabel(suite.cipher)],
        cipherKey: Buffer.from(key),
        cipherIV: Buffer.from(iv),
        macInfo: suite.mac && ssh2.MAC_INFO[macLabel(suite.mac)],
        macKey: Buffer.from(macKey),
        forceNative: true,
      },
    });
    const { overhead } = shapeOf(suite);
    for (const packet of testPackets(suite)) {
      cipher.encrypt(Buffer.from(packet.slice(0, packet.length - overhead)));
    }
    const label = labelOf(suite);
    assert.equal(knownAnswers[label], digest.digest("hex").slice(0, 32), label);
  }
  assert.equal(Object.keys(knownAnswers).length, suites.length);
});

forEachSuite("flawOf() finds nothing wrong", (provider, suite) => {
  assert.equal(flawOf(provider, suite), undefined);
});

forEachSuite("seal() and open() touch their packet alone, and count", (provider, suite) => {
  const keys = randomKeys(suite, 0xffff_ffff);
  const sealer = provider.sealer(suite, keys), opener = provider.opener(suite, keys);
  const payload = new Uint8Array(200).fill(3);
  for (const sequence of [0xffff_ffff, 0, 1]) {
    assert.equal(sealer.sequence, sequence);
    assert.equal(opener.sequence, sequence);
    const { memory, length } = clearPacket(suite, payload, 37, 21);
    const clear = memory.slice();
    sealer.seal(memory, 37, length);
    assert.ok(Buffer.compare(memory.subarray(42, 37 + length), clear.subarray(42, 37 + length)));
    const { overhead } = sealer.shape;
    const end = 37 + length + overhead;
    assert.deepEqual(memory.slice(0, 37), clear.slice(0, 37));
    assert.deepEqual(memory.slice(end), clear.slice(end));
    const sealed = memory.slice();
    assert.equal(opener.lengthAt(memory, 37), length - 4);
    opener.open(memory, 37, length);
    assert.deepEqual(memory.slice(41, 37 + length), clear.slice(41, 37 + length));
    assert.deepEqual(memory.slice(0, 37), sealed.slice(0, 37));
    assert.deepEqual(memory.slice(37 + length), sealed.slice(37 + length));
  }
  sealer.free();
  sealer.free();
  opener.free();
  opener.free();
});

const arbitrary = fc.record({
  payloads: fc.array(fc.uint8Array({ maxLength: 700 }), { minLength: 1, maxLength: 4 }),
  sequence: fc.oneof(fc.nat(), fc.constantFrom(0xffff_ffff, 0xffff_fffe, 0x7fff_ffff)),
});

Deno.test("providers seal random packets to the same bytes, and open each other's", () => {
  for (const suite of suites) {
    const able = providers.filter((provider) => provider.supports(suite));
    fc.assert(
      fc.property(arbitrary, ({ payloads, sequence }) => {
        const keys = randomKeys(suite, sequence);
        const sealers = able.map((provider) => provider.sealer(suite, keys));
        const openers = able.map((provider) => provider.opener(suite, keys));
        for (const payload of payloads) {
          const made = sealers.map((sealer) => {
            const { memory, length } = clearPacket(suite, payload);
            sealer.seal(memory, 0, length);
            return memory;
          });
          const [first] = made;
          for (const other of made) assert.deepEqual(other, first);
          for (const [i, opener] of openers.entries()) {
            const memory = made.at(i - 1) as Bytes;
            const length = opener.lengthAt(memory, 0) + 4;
            opener.open(memory, 0, length);
            assert.deepEqual(memory.slice(5, 5 + payload.length), payload);
          }
        }
        for (const direction of [...sealers, ...openers]) direction.free();
      }),
      { numRuns: 12 },
    );
  }
});

const sealedOnce = (provider: Provider, suite: Suite, keys: Keys) => {
  const { memory, length } = clearPacket(suite, new Uint8Array(80).fill(9));
  const sealer = provider.sealer(suite, keys);
  sealer.seal(memory, 0, length);
  sealer.free();
  return { memory, length };
};

forEachSuite("SECURITY: open() refuses a packet with any bit changed", (provider, suite) => {
  const keys = randomKeys(suite);
  const { memory: sealed, length } = sealedOnce(provider, suite, keys);
  // Every byte of length, padding length, payload, padding and tag.
  for (let at = 0; at < sealed.length; at++) {
    const memory = sealed.slice();
    memory[at] = memory[at]! ^ (1 << (at & 7));
    const opener = provider.opener(suite, keys);
    opener.lengthAt(memory, 0);
    assert.throws(() => opener.open(memory, 0, length), WrongTag, `byte ${at}`);
    opener.free();
  }
});

forEachSuite("SECURITY: open() refuses a packet out of its turn", (provider, suite) => {
  const keys = randomKeys(suite, 5);
  const { memory, length } = sealedOnce(provider, suite, keys);
  const opener = provider.opener(suite, keys);
  const again = memory.slice();
  opener.lengthAt(memory, 0);
  opener.open(memory, 0, length);
  opener.lengthAt(again, 0);
  assert.throws(() => opener.open(again, 0, length), WrongTag);
  opener.free();
});

forEachSuite("a freed direction throws, and the process lives on", (provider, suite) => {
  if (provider.name !== "libcrypto") return;
  const sealer = provider.sealer(suite, randomKeys(suite));
  sealer.free();
  const { memory, length } = clearPacket(suite, new Uint8Array(10));
  assert.throws(() => sealer.seal(memory, 0, length), /after free/);
  const opener = provider.opener(suite, randomKeys(suite));
  opener.free();
  assert.throws(() => {
    opener.lengthAt(memory, 0);
    opener.open(memory, 0, length);
  }, /after free/);
  const short = { ...randomKeys(suite), key: new Uint8Array(15) };
  assert.throws(() => provider.sealer(suite, short), /wrong key/);
});

/** A provider that does one thing wrong. */
const broken = (flaw: "seals" | "opens" | "accepts" | "throws"): Provider => {
  const { supports, sealer, opener } = serving({ cipher: "aes128-gcm" });
  return {
    name: "libcrypto",
    supports,
    sealer: (suite, keys) => {
      if (flaw === "throws") throw new Error("no such cipher");
      const made = sealer(suite, keys);
      if (flaw !== "seals") return made;
      const seal = made.seal.bind(made);
      return Object.assign(made, {
        seal: (memory: Bytes, at: number, length: number) => {
          seal(memory, at, length);
          memory[at + length] = memory[at + length]! ^ 1;
        },
      });
    },
    opener: (suite, keys) => {
      const made = opener(suite, keys);
      const open = made.open.bind(made);
      return Object.assign(made, {
        open: (memory: Bytes, at: number, length: number) => {
          try {
            open(memory, at, length);
            if (flaw === "opens") memory[at + 5] = memory[at + 5]! ^ 1;
          } catch (error) {
            if (flaw !== "accepts") throw error;
          }
        },
      });
    },
  };
};
const node = candidates.filter(({ name }) => name === "node");

Deno.test("choose() does not use a provider that fails its self-test, and says so", () => {
  const flaws = {
    seals: /other bytes than it should/,
    opens: /other bytes than were sealed/,
    accepts: /opens a packet that was changed/,
    throws: /no such cipher/,
  };
  for (const [flaw, expected] of Object.entries(flaws)) {
    const found = broken(flaw as keyof typeof flaws);
    for (const wanted of [undefined, "libcrypto"] as const) {
      const choices = choose([{ name: "libcrypto", found }, ...node], wanted);
      for (const { provider, others, complaint } of choices.values()) {
        assert.equal(provider.name, "node");
        assert.match(complaint ?? "", expected);
        assert.match(others.find(({ name }) => name === "libcrypto")?.why ?? "", expected);
      }
    }
  }
});

Deno.test("choose() takes the fastest, else what is there, and tells why not the others", () => {
  const missing = new Error("libcrypto.so.3: cannot open shared object file");
  const choices = choose([{ name: "libcrypto", found: missing }, ...node], undefined);
  for (const { provider, others, complaint } of choices.values()) {
    assert.equal(provider.name, "node");
    assert.equal(complaint, undefined);
    assert.equal(others.find(({ name }) => name === "libcrypto")?.why, missing.message);
  }
  const all = choose(candidates, undefined);
  for (const { suite, provider } of all.values()) assert.equal(provider, serving(suite));
});

for (const wanted of ["libcrypto", "sodium", "node"] as const) {
  const there = providers.some(({ name }) => name === wanted);
  testIf(there, `${wanted} is not installed`, `SLUICE_CIPHERS=${wanted} is obeyed`, async () => {
    for (const { suite, provider, others } of (await pickProviders(wanted)).values()) {
      const able = wanted !== "sodium" || suite.cipher === "chacha20-poly1305";
      assert.equal(provider.name, able ? wanted : "node");
      assert.equal(others.length, 2);
    }
  });
}

Deno.test("choose() complains when what SLUICE_CIPHERS asks for is not there", () => {
  const found = new Error("no libcrypto is known here");
  for (
    const { provider, complaint } of choose([{ name: "libcrypto", found }, ...node], "libcrypto")
      .values()
  ) {
    assert.equal(provider.name, "node");
    assert.match(complaint ?? "", /libcrypto is asked for, but no libcrypto is known here/);
  }
});

Deno.test("surveyCiphers() tells one line a cipher, and refuses a name that is no provider", async () => {
  const survey = await surveyCiphers("node");
  assert.ok(!(survey instanceof Error));
  assert.deepEqual(
    survey.map(({ cipher }) => cipher),
    [...new Set(suites.map(({ cipher }) => cipherLabel(cipher)))],
  );
  for (const { provider, others } of survey) {
    assert.equal(provider, "node");
    assert.deepEqual(others.map(({ why }) => why), Array(2).fill("SLUICE_CIPHERS=node"));
  }
  assert.ok(await surveyCiphers("openssl") instanceof Error);
});

Deno.test("wantedProvider() refuses a name that is no provider", () => {
  assert.equal(wantedProvider(undefined), undefined);
  assert.equal(wantedProvider(""), undefined);
  assert.equal(wantedProvider("node"), "node");
  assert.match(String(wantedProvider("openssl")), /"openssl" is none of libcrypto, sodium, node/);
});

Deno.test("suites have the names that ssh2 negotiates", () => {
  for (const { cipher, mac } of suites) {
    assert.ok(cipherLabel(cipher) in ssh2.CIPHER_INFO, cipherLabel(cipher));
    if (mac) assert.ok(macLabel(mac) in ssh2.MAC_INFO, macLabel(mac));
  }
});
