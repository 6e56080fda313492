import assert from "node:assert/strict";
import { Effect, Either } from "effect";
import { dirEntry } from "../../web/api/dirs.ts";
import { failureResponse, refuse } from "../../web/api/failure.ts";
import { flagOf, milliseconds, parseQuery, readJson } from "../../web/api/request.ts";
import { FsError } from "../../src/errors.ts";
import { live } from "../harness.ts";

Deno.test("parseQuery() reads what a client wrote and guesses nothing", () => {
  const read = (query: string) => Either.map(parseQuery(`/x${query}`), (map) => [...map]);
  assert.deepEqual(read(""), Either.right([]));
  assert.deepEqual(
    read("?a=b+c%20d%2B&e&f=g=h#i"),
    Either.right([
      ["a", "b c d+"],
      ["e", ""],
      ["f", "g=h"],
    ]),
  );
  for (const bad of ["?a=%ff", "?a=%c0%ae", "?a=%", "?a=1&a=2", "?a=1&%61=2", "?a=%ed%a0%80"]) {
    assert.ok(Either.isLeft(read(bad)), bad);
  }
});

Deno.test("flagOf() is false unless it is told", () => {
  const flag = (value: string) => flagOf(new Map([["x", value]]), "x");
  assert.deepEqual(["1", "true", "T", "0", "", "yes"].map(flag), [
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
  assert.equal(flagOf(new Map(), "x"), false);
});

Deno.test("milliseconds() tells none from nonsense", () => {
  assert.equal(milliseconds(null), undefined);
  assert.equal(milliseconds("1500000000000"), 15e11);
  for (const bad of ["x", "-1", "1e3", "1.5", -1, 1.5, "99999999999999999", NaN]) {
    assert.ok(Number.isNaN(milliseconds(bad)), String(bad));
  }
});

live(
  "readJson() refuses what is too large, cut in a letter or none",
  () =>
    Effect.gen(function* () {
      const ask = (body: BodyInit) =>
        Effect.either(readJson(new Request("http://x", { method: "POST", body })));
      assert.deepEqual(yield* ask('["é"]'), Either.right(["é"]));
      for (
        const [body, status] of [["{", 400], [new Uint8Array([0x22, 0xc3]), 400], [
          " ".repeat(2 ** 20 + 1),
          413,
        ]] as const
      ) {
        const answer = yield* ask(body);
        assert.equal(Either.isLeft(answer) && answer.left.status, status);
      }
    }),
);

Deno.test("failureResponse() has one shape, and that of RFC 9457 for who asks", async () => {
  const error = new FsError({
    reason: "QuotaExceeded",
    op: "write",
    path: "/a",
    cause: new Error("secret"),
  });
  const plain = failureResponse(error, new Request("http://x"), "id");
  assert.equal(plain.status, 507);
  assert.deepEqual(await plain.json(), {
    message: "Insufficient Storage",
    error: "Insufficient Storage",
  });
  const headers = { accept: "text/html, application/problem+json" };
  const problem = failureResponse(refuse(400, "no"), new Request("http://x", { headers }), "id");
  assert.deepEqual(await problem.json(), {
    type: "about:blank",
    title: "Bad Request",
    status: 400,
    detail: "no",
    request_id: "id",
  });
});

Deno.test("dirEntry() has the mode bits that the API's clients know", () => {
  const at = { name: "a", size: 5, mtime: 1_500_000_000_123 };
  assert.deepEqual(dirEntry({ ...at, kind: "file", mode: 0o4640 }), {
    name: "a",
    size: 5,
    mode: 0o640,
    last_modified: "2017-07-14T02:40:00Z",
  });
  assert.equal(dirEntry({ ...at, kind: "dir" }).mode, 2 ** 31 + 0o755);
  assert.equal(dirEntry({ ...at, kind: "symlink", mode: 0o777 }).mode, 2 ** 27 + 0o777);
});
