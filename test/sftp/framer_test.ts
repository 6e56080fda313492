import assert from "node:assert/strict";
import { Framer } from "../../adapters/ssh/sftp/framer.ts";
import { bytes, join } from "./wire.ts";

const packets = (chunks: ReadonlyArray<Uint8Array>): string[] => {
  const framer = new Framer();
  const found: string[] = [];
  for (const chunk of chunks) {
    framer.push(chunk);
    for (let next = framer.next(); next !== undefined; next = framer.next()) {
      if (!(next instanceof Uint8Array)) throw new Error(`length ${next.badLength}`);
      found.push(new TextDecoder().decode(next));
    }
  }
  return found;
};

Deno.test("Framer finds the same packets however the stream is cut", () => {
  const stream = join(
    ...["a", "bc", "def", "g".repeat(300)].map((t) => bytes(new TextEncoder().encode(t))),
  );
  const wanted = packets([stream]);
  assert.deepEqual(wanted.map((each) => each.length), [1, 2, 3, 300]);
  for (let size = 1; size < stream.length; size++) {
    const chunks = [];
    for (let at = 0; at < stream.length; at += size) chunks.push(stream.subarray(at, at + size));
    assert.deepEqual(packets(chunks), wanted);
  }
});

Deno.test("Framer answers packets that outlive the chunk", () => {
  const chunk = bytes(new Uint8Array(100).fill(7));
  const framer = new Framer();
  framer.push(chunk);
  const next = framer.next();
  chunk.fill(0);
  assert.deepEqual(next, new Uint8Array(100).fill(7));
});

Deno.test("Framer: of a packet that waits nothing is told before it is taken, of the awaited one all", () => {
  let taken = 0;
  const framer = new Framer((count) => taken += count);
  const stream = join(bytes(new Uint8Array(50)), bytes(new Uint8Array(60)));
  framer.push(stream.subarray(0, 30));
  assert.equal(taken, 30);
  framer.push(stream.subarray(30, 80));
  assert.equal(taken, 30);
  framer.next();
  assert.equal(taken, 80, "with the part of the next one that is there");
  framer.push(stream.subarray(80));
  framer.next();
  assert.equal(taken, stream.length);
});

Deno.test("Framer says of a bad length once, after the packets before it", () => {
  const framer = new Framer();
  framer.push(join(bytes(new Uint8Array(1)), Uint8Array.of(255, 255, 255, 255, 1, 2, 3)));
  assert.deepEqual(framer.next(), new Uint8Array(1));
  assert.deepEqual(framer.next(), { badLength: 0xffff_ffff });
  assert.equal(framer.next(), undefined);
});
