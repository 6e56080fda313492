import assert from "node:assert/strict";
import type { Handle } from "../../src/vfs/vfs.ts";
import { PieceWriter } from "../../actors/piece_writer.ts";
import { receiveBody } from "../../actors/request_body.ts";
import { onlyWith } from "../harness.ts";

/** A file that keeps what it is given, and looks on how. */
const kept = () => {
  const writes: { offset: number; length: number }[] = [];
  let bytes = new Uint8Array(0);
  let under = 0;
  let most = 0;
  const handle = onlyWith<Handle>({
    async write(offset: number, chunk: Uint8Array) {
      most = Math.max(most, ++under);
      await new Promise((resolve) => setTimeout(resolve));
      writes.push({ offset, length: chunk.length });
      const grown = new Uint8Array(Math.max(bytes.length, offset + chunk.length));
      grown.set(bytes);
      grown.set(chunk, offset);
      bytes = grown;
      under -= 1;
    },
    read(offset: number, into: Uint8Array) {
      const part = bytes.subarray(offset, offset + into.length);
      into.set(part);
      return Promise.resolve(part.length);
    },
  });
  return { handle, writes, most: () => most, bytes: () => bytes };
};
const noise = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7919) >> 3);

Deno.test("PieceWriter writes large pieces in order, and all of them", async () => {
  const file = kept();
  const writer = new PieceWriter(file.handle);
  const sent = noise(1_500_000);
  for (let at = 0; at < sent.length; at += 33_333) {
    const chunk = sent.slice(at, at + 33_333);
    await writer.push(chunk);
    // It is the caller's again.
    chunk.fill(0);
  }
  await writer.end();
  assert.deepEqual(file.bytes(), sent);
  assert.equal(writer.position, sent.length);
  assert.deepEqual(file.writes.map(({ length }) => length), [524_288, 524_288, 451_424]);
  assert.equal(file.most(), 1);
});

Deno.test("receiveBody() takes a stream of bytes into the pieces that are written, however they come", async () => {
  const sent = noise(1_300_000);
  for (const length of [1, 65_536, 524_288, 999_999]) {
    const file = kept();
    let at = 0;
    const body = new ReadableStream({
      type: "bytes",
      pull: (controller) => {
        const view = controller.byobRequest?.view as Uint8Array | undefined;
        const room = view ? Math.min(view.byteLength, length) : length;
        const part = sent.subarray(at, length === 1 && at > 99 ? undefined : at + room);
        at += Math.min(part.length, view?.byteLength ?? part.length);
        if (view && part.length > 0) {
          const fits = part.subarray(0, view.byteLength);
          view.set(fits);
          controller.byobRequest?.respond(fits.length);
        } else if (part.length > 0) controller.enqueue(part.slice());
        if (part.length === 0) {
          controller.close();
          controller.byobRequest?.respond(0);
        }
      },
    }) as ReadableStream<Uint8Array<ArrayBuffer>>;
    const headers = { "content-length": String(sent.length) };
    const request = new Request("http://x", { method: "PUT", body, headers });
    await receiveBody(request, file.handle, new AbortController().signal);
    assert.deepEqual(file.bytes(), sent);
    assert.equal(file.most(), 1);
  }
});

Deno.test("PieceWriter rejects with what a write failed with, at the latest at the end", async () => {
  const failing = onlyWith<Handle>({ write: () => Promise.reject(new Error("full")) });
  const writer = new PieceWriter(failing);
  await writer.push(new Uint8Array(10));
  await assert.rejects(writer.end(), /full/);
});

Deno.test("receiveBody() rejects a body that is shorter than its length says", async () => {
  const file = kept();
  const headers = { "content-length": "5" };
  const body = (text: string) => new Request("http://x", { method: "POST", body: text, headers });
  const { signal } = new AbortController();
  await receiveBody(body("12345"), file.handle, signal);
  await assert.rejects(receiveBody(body("1234"), file.handle, signal));
});
