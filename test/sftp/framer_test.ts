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

Deno.test("Framer answers a view of the chunk for a packet that lies in it", () => {
  const chunk = bytes(new Uint8Array(100));
  const framer = new Framer();
  framer.push(chunk);
  const next = framer.next();
  assert.ok(next instanceof Uint8Array && next.buffer === chunk.buffer);
});
