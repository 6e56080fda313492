import assert from "node:assert/strict";
import { parseIf } from "../../adapters/webdav/conditions.ts";
import { parseRanges } from "../../actors/http_ranges.ts";

Deno.test("parseIf() reads tagged and untagged lists", () => {
  assert.deepEqual(parseIf('(<urn:a> ["e"]) (Not <DAV:no-lock>)'), [
    {
      resource: undefined,
      conditions: [{ not: false, token: "urn:a" }, { not: false, etag: '"e"' }],
    },
    { resource: undefined, conditions: [{ not: true, token: "DAV:no-lock" }] },
  ]);
  assert.equal(parseIf("</a> (<urn:a>) (<urn:b>) </c> (<urn:d>)")?.[2]?.resource, "/c");
});

Deno.test("parseIf() refuses what is malformed", () => {
  for (const header of ["", "()", "(<a>", "<a>", "(<a>) <b> (<c>)", "([e])", "x"]) {
    assert.equal(parseIf(header), undefined, header);
  }
});

Deno.test("parseIf() takes no longer for what nearly matches", () => {
  const began = performance.now();
  for (const part of ["[]", '["e"]', "<a>", "<a> ", "[", "x", "not <a>"]) {
    assert.equal(parseIf("(" + part.repeat(Math.floor(16_000 / part.length))), undefined, part);
  }
  assert.ok(performance.now() - began < 2000);
});

Deno.test("parseRanges() joins what touches and bounds what does not", () => {
  const same = Array.from({ length: 1000 }, () => "0-9").join(",");
  assert.deepEqual(parseRanges(`bytes=${same}`, 100), [{ from: 0, to: 10 }]);
  const apart = Array.from({ length: 1000 }, (_, i) => `${i * 2}-${i * 2}`).join(",");
  assert.deepEqual(parseRanges(`bytes=${apart}`, 5000), []);
  assert.deepEqual(parseRanges("bytes=-0", 5), []);
  assert.deepEqual(parseRanges("bytes=9-", 5), []);
  assert.deepEqual(parseRanges("bytes=3-1", 5), []);
  assert.equal(parseRanges("lines=1-2", 5), undefined);
  assert.equal(parseRanges("bytes=a-b", 5), undefined);
});
