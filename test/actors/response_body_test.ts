import assert from "node:assert/strict";
import { fileBody, takenByRuntime } from "../../actors/response_body.ts";
import type { Handle } from "../../src/vfs/vfs.ts";
import { onlyWith } from "../harness.ts";

const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7919) >> 3);

const fileOf = (content: Uint8Array) =>
  onlyWith<Handle>({
    read(offset: number, into: Uint8Array) {
      const part = content.subarray(offset, offset + into.length);
      into.set(part);
      return Promise.resolve(part.length);
    },
  });

Deno.test("fileBody() gives exactly the parts, and fails where the file became shorter", async () => {
  const content = bytes(700_000);
  const file = fileOf(content);
  const read = (from: number, to: number) =>
    new Response(fileBody(file, [{ from, to }]).body).bytes();
  assert.deepEqual(await read(1, 699_999), content.subarray(1, 699_999));
  assert.deepEqual(await read(0, 0), new Uint8Array(0));
  await assert.rejects(read(0, 700_001), /shorter/);
  const { body } = fileBody(file, [
    Uint8Array.of(1, 2),
    { from: 699_990, to: 700_000 },
    Uint8Array.of(3),
    { from: 5, to: 5 },
    { from: 0, to: 300_000 },
  ]);
  assert.deepEqual(
    await new Response(body).bytes(),
    Uint8Array.from([1, 2, ...content.subarray(699_990), 3, ...content.subarray(0, 300_000)]),
  );
});

Deno.test("fileBody(): a body that is cut fails, and one that has ended is let be", async () => {
  const file = fileOf(bytes(700_000));
  const { body, cut } = fileBody(file, [{ from: 0, to: 700_000 }]);
  cut();
  await assert.rejects(new Response(body).bytes(), /over/);
  const short = fileBody(file, [{ from: 0, to: 10 }]);
  assert.equal((await new Response(short.body).bytes()).length, 10);
  short.cut();
  const failed = fileBody(file, [{ from: 699_999, to: 700_002 }]);
  await assert.rejects(new Response(failed.body).bytes(), /shorter/);
  failed.cut();
});

Deno.test("fileBody() detaches a chunk when the next is asked for, for the runtime alone", async () => {
  const file = fileOf(bytes(700_000));
  for (const lent of [false, true]) {
    const { body } = fileBody(file, [{ from: 0, to: 700_000 }]);
    if (lent) takenByRuntime(body);
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    assert.deepEqual(
      chunks.map((chunk) => (chunk.buffer as ArrayBuffer).detached),
      lent ? [true, true, false] : [false, false, false],
    );
  }
  takenByRuntime(null);
  takenByRuntime(new Response("another's").body);
});

Deno.test("fileBody(): what the runtime sends to a client that is slow is whole", async () => {
  const content = bytes(8_000_000);
  const file = fileOf(content);
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, () => {
    const { body } = fileBody(file, [{ from: 0, to: content.length }]);
    takenByRuntime(body);
    return new Response(body);
  });
  try {
    const read = async (pause: number) => {
      const got = new Uint8Array(content.length);
      let at = 0;
      for await (const chunk of (await fetch(`http://127.0.0.1:${server.addr.port}`)).body ?? []) {
        got.set(chunk, at);
        at += chunk.length;
        if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
      }
      assert.equal(at, content.length);
      assert.ok(got.every((byte, i) => byte === content[i]));
    };
    await Promise.all([read(0), read(0), read(1), read(5)]);
  } finally {
    await server.shutdown();
  }
});
