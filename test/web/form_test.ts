import assert from "node:assert/strict";
import { Form } from "../../web/api/form.ts";

const encoder = new TextEncoder();
const head = (name: string, filename?: string) =>
  `\r\n--B\r\nContent-Disposition: form-data; name="${name}"` +
  `${filename === undefined ? "" : `; filename="${filename}"`}\r\n\r\n`;
const request = (body: ReadableStream<Uint8Array<ArrayBuffer>> | string) =>
  new Request("http://x", {
    method: "POST",
    headers: { "content-type": "multipart/form-data; boundary=B" },
    body,
  });
/** A body that comes in pieces of `size`. */
const pieces = (text: string, size: number) => {
  const bytes = encoder.encode(text);
  let at = 0;
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at += size));
    },
  });
};
const textOf = async (data: AsyncIterable<Uint8Array>) => {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of data) text += decoder.decode(chunk, { stream: true });
  return text;
};
const all = async (form: Form) => {
  const found = [];
  for (let file = await form.next(); file; file = await form.next()) {
    found.push([file.field, file.filename, await textOf(file.data)]);
  }
  return found;
};

// A file field that was left empty has an empty name, and is none.
Deno.test("Form reads the same files however the body is cut", async () => {
  const text = head("filenames", "é/a") + "one\r\n--not" + head("note") + "x" +
    head("filenames", "") + head("filenames", "b") + "two" + "\r\n--B--\r\n";
  for (const size of [1, 2, 3, 7, 64, 10_000]) {
    assert.deepEqual(await all(new Form(request(pieces(text, size)))), [
      ["filenames", "é/a", "one\r\n--not"],
      ["filenames", "b", "two"],
    ], `pieces of ${size}`);
  }
});

Deno.test("Form never ends a file that was cut", async () => {
  const whole = head("filenames", "a") + "x".repeat(1000);
  for (const text of [whole, whole + "\r\n--", whole + "\r\n--B"]) {
    const form = new Form(request(pieces(text, 100)));
    const file = await form.next();
    assert.ok(file);
    // At the last of them the file is whole, and the form is not.
    await assert.rejects(
      (async () => {
        await textOf(file.data);
        await form.next();
      })(),
      text.slice(-5),
    );
  }
});

Deno.test("Form passes on that the body failed", async () => {
  let started = false;
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      if (started) return controller.error(new Error("reset"));
      started = true;
      controller.enqueue(encoder.encode(head("filenames", "a") + "xxxx"));
    },
  });
  const file = await new Form(request(body)).next();
  assert.ok(file);
  await assert.rejects(textOf(file.data));
});

for (
  const [what, most, then] of [
    ["a part is", 1_000_000, "x".repeat(65_536)],
    ["files of a byte are", 200_000, ("x" + head("filenames", "b")).repeat(900)],
  ] as const
) {
  Deno.test(`Form lets the body wait while ${what} not taken`, async () => {
    let given = 0;
    const chunk = encoder.encode(then);
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull(controller) {
        controller.enqueue(given === 0 ? encoder.encode(head("filenames", "a")) : chunk.slice());
        given += chunk.length;
      },
    }, { highWaterMark: 0 });
    const form = new Form(request(body));
    assert.ok(await form.next());
    for (let i = 0; i < 100; i++) await new Promise((resolve) => setTimeout(resolve));
    assert.ok(given < most, `${given} bytes were read ahead`);
    form.cancel();
  });
}

Deno.test("Form goes through thousands of files of a byte", async () => {
  const text = (head("filenames", "a") + "x").repeat(20_000) + "\r\n--B--\r\n";
  assert.equal((await all(new Form(request(pieces(text, 65_536))))).length, 20_000);
});

Deno.test("Form refuses what is no form", async () => {
  assert.throws(() => new Form(new Request("http://x", { method: "POST", body: "x" })));
  await assert.rejects(all(new Form(request("nothing"))));
});
