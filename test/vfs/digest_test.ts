import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { startDigest } from "../../src/vfs/digest.ts";

const noise = (length: number, seed: number) =>
  Uint8Array.from({ length }, (_, i) => (i * 7919 + seed) >> 3);

Deno.test("a digest of chunks of all sizes is SHA-256, wherever it is summed", async () => {
  for (const sizes of [[], [0], [5], [300_000, 7, 200_000, 131_072, 1], [9, 400_000]]) {
    const chunks = sizes.map((size, i) => noise(size, i));
    const digest = startDigest(chunks[0] ?? new Uint8Array(0));
    const expected = createHash("sha256");
    for (const chunk of chunks) {
      await digest.update(chunk);
      expected.update(chunk);
    }
    assert.equal(digest.hex(), expected.digest("hex"));
  }
});

Deno.test("chunks that are given before the last is summed are summed in their order", async () => {
  const chunks = Array.from({ length: 20 }, (_, i) => noise(i % 3 === 0 ? 50 : 150_000, i));
  const digests = Array.from({ length: 10 }, () => startDigest(chunks[1] ?? assert.fail()));
  await Promise.all(digests.flatMap((digest) => chunks.map((chunk) => digest.update(chunk))));
  const expected = createHash("sha256");
  for (const chunk of chunks) expected.update(chunk);
  const sum = expected.digest("hex");
  for (const digest of digests) assert.equal(digest.hex(), sum);
});
