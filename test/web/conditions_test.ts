import assert from "node:assert/strict";
import type { Entry } from "../../src/model/entry.ts";
import { checkConditions, etagOf, sameVersion } from "../../actors/http_conditions.ts";
import { parseRange } from "../../web/api/range.ts";
import { contentHeaders, disposition } from "../../web/api/disposition.ts";

const entry: Entry = { name: "a", kind: "file", size: 10, mtime: 1_700_000_000_500 };
const date = new Date(1_700_000_000_000).toUTCString();
const ask = (headers: Record<string, string>, method = "GET", there: Entry | undefined = entry) =>
  checkConditions({ headers: new Headers(headers), method }, there);

Deno.test("checkConditions() follows the order of RFC 9110", () => {
  const tag = etagOf(entry);
  assert.match(tag, /^"[\x21-\x7e]+"$/);
  assert.equal(ask({}), undefined);
  assert.equal(ask({ "if-match": tag }), undefined);
  assert.equal(ask({ "if-match": `"x", ${tag}` }), undefined);
  assert.equal(ask({ "if-match": '"x"' }), 412);
  assert.equal(ask({ "if-match": `W/${tag}` }), 412);
  assert.equal(
    checkConditions({ headers: new Headers({ "if-match": "*" }), method: "POST" }, undefined),
    412,
  );
  assert.equal(ask({ "if-none-match": `W/${tag}` }), 304);
  assert.equal(ask({ "if-none-match": tag }, "HEAD"), 304);
  assert.equal(ask({ "if-none-match": "*" }, "POST"), 412);
  assert.equal(ask({ "if-none-match": '"x"', "if-modified-since": date }), undefined);
  assert.equal(ask({ "if-modified-since": date }), 304);
  assert.equal(ask({ "if-modified-since": "never" }), undefined);
  assert.equal(ask({ "if-unmodified-since": date }), undefined);
  assert.equal(ask({ "if-unmodified-since": new Date(0).toUTCString() }), 412);
});

Deno.test("sameVersion() holds for the very tag or second only", () => {
  const same = (value: string) => sameVersion(new Headers({ "if-range": value }), entry);
  assert.equal(sameVersion(new Headers(), entry), true);
  assert.equal(same(etagOf(entry)), true);
  assert.equal(same(`W/${etagOf(entry)}`), false);
  assert.equal(same(date), true);
  assert.equal(same(new Date(0).toUTCString()), false);
  assert.equal(same("rubbish"), false);
});

Deno.test("parseRange() takes one range of bytes and nothing else", () => {
  assert.equal(parseRange(null, 10), undefined);
  assert.equal(parseRange("lines=1-2", 10), undefined);
  assert.equal(parseRange("bytes=a-b", 10), undefined);
  assert.equal(parseRange("bytes=-", 10), undefined);
  assert.deepEqual(parseRange("bytes=0-0", 10), { from: 0, to: 1 });
  assert.deepEqual(parseRange("bytes=4-", 10), { from: 4, to: 10 });
  assert.deepEqual(parseRange("bytes=-20", 10), { from: 0, to: 10 });
  assert.deepEqual(parseRange("bytes=9-9999999999999999", 10), { from: 9, to: 10 });
  for (const none of ["5-4", "10-", "-0", "0-1,3-4", "0-,"]) {
    assert.equal(parseRange(`bytes=${none}`, 10), "unsatisfiable");
  }
  assert.equal(parseRange("bytes=0-", 0), "unsatisfiable");
});

Deno.test("disposition() keeps every name inside its quotes", () => {
  assert.equal(
    disposition("attachment", 'a"\\;\r\nX: y%é'),
    `attachment; filename="a__;__X: y__"; filename*=UTF-8''a%22%5C%3B%0D%0AX%3A%20y%25%C3%A9`,
  );
  assert.equal(
    disposition("inline", "'()*"),
    `inline; filename="'()*"; filename*=UTF-8''%27%28%29%2A`,
  );
});

Deno.test("contentHeaders() shows only what runs nothing", () => {
  const kind = (name: string, inline = true) =>
    contentHeaders(name, inline)["content-disposition"]?.split(";")[0];
  for (const name of ["a.pdf", "a.PNG", "a.txt", "a.mp4"]) assert.equal(kind(name), "inline");
  for (const name of ["a.html", "a.svg", "a.xml", "a", "a.pdf.exe", "a.constructor", ".js"]) {
    assert.equal(kind(name), "attachment");
  }
  assert.equal(kind("a.pdf", false), "attachment");
});
