import assert from "node:assert/strict";
import { Either } from "effect";
import fc from "fast-check";
import { checksumOf, concatOf, countOf, metadataOf } from "../../web/api/tus/headers.ts";

const right = <A, E>(read: Either.Either<A, E>): A => {
  assert.ok(Either.isRight(read), JSON.stringify(read));
  return read.right;
};
const refused = (read: Either.Either<unknown, { readonly status: number }>) => {
  assert.ok(Either.isLeft(read), JSON.stringify(read));
  assert.equal(read.left.status, 400);
};
const b64 = (text: string) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
const id = "0123456789abcdef0123456789abcdef";

Deno.test("metadataOf() reads pairs, and keys without a value", () => {
  const pairs = right(metadataOf(`filename ${b64("ü, ü.txt")},flag, empty ,x ${b64("1")}`));
  assert.deepEqual([...pairs], [["filename", "ü, ü.txt"], ["flag", ""], ["empty", ""], ["x", "1"]]);
  assert.equal(right(metadataOf(null)).size, 0);
});

Deno.test("metadataOf() refuses keys that come twice, what is no base64 and what is no UTF-8", () => {
  for (
    const text of [
      `a ${b64("1")},a ${b64("2")}`,
      "a b c",
      "a !",
      "a /w==",
      "a YQ=",
      `a ${b64("a".repeat(8192))}`,
    ]
  ) {
    refused(metadataOf(text));
  }
});

Deno.test("metadataOf() gives back whatever a client wrote as it should", () => {
  const key = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_.-]{0,10}$/);
  fc.assert(fc.property(fc.dictionary(key, fc.string({ unit: "grapheme" })), (pairs) => {
    const entries = Object.entries(pairs);
    const header = entries.map(([k, v]) => `${k} ${b64(v)}`).join(",");
    assert.deepEqual([...right(metadataOf(header))], entries);
  }));
});

Deno.test("no header makes a reader throw", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    metadataOf(text);
    checksumOf(text);
    concatOf(text, "/p");
  }));
});

Deno.test("countOf() reads safe numbers only", () => {
  const of = (text: string) => countOf(new Headers({ "upload-length": text }), "upload-length");
  assert.equal(right(of("0")), 0);
  assert.equal(right(of("9007199254740991")), Number.MAX_SAFE_INTEGER);
  for (const text of ["-1", "1.0", "1e3", "0x1", "9007199254740992", "", "a"]) refused(of(text));
});

Deno.test("checksumOf() knows its algorithms and the size of their digests", () => {
  const digest = btoa("\0".repeat(20));
  const read = right(checksumOf(`sha1 ${digest}`));
  assert.deepEqual(read, { algorithm: "sha1", digest: new Uint8Array(20) });
  assert.equal(right(checksumOf(null)), undefined);
  for (const text of ["sha1", `sha256 ${digest}`, `crc32 ${digest}`, `toString ${digest}`, ""]) {
    refused(checksumOf(text));
  }
});

Deno.test("concatOf() takes addresses of this server's uploads, whole or relative", () => {
  const parts = right(concatOf(`final;/p/${id} http://a:1/p/${id}`, "/p"));
  assert.deepEqual(parts, { kind: "final", parts: [id, id] });
  assert.deepEqual(right(concatOf("partial", "/p")), { kind: "partial" });
  assert.deepEqual(right(concatOf(null, "/p")), { kind: "none" });
  for (const list of ["", `/q/${id}`, "/p/..", `/p/${id}/x`, `/p/${id.toUpperCase()}z`]) {
    refused(concatOf(`final;${list}`, "/p"));
  }
  refused(concatOf(`final;${`/p/${id} `.repeat(1001)}`, "/p"));
});
