import { Either } from "effect";
import fc from "fast-check";
import assert from "node:assert/strict";
import { parseIf } from "../../adapters/webdav/conditions.ts";
import { href, parseDestination, parseTarget } from "../../adapters/webdav/paths.ts";
import { parseRanges } from "../../actors/http_ranges.ts";
import { parseXml, writeXml } from "../../adapters/webdav/xml.ts";
import { parseClientPath } from "../../src/vpath.ts";

const runs = { numRuns: 3000 };
const of = (...parts: string[]) =>
  fc.array(fc.oneof(fc.constantFrom(...parts), fc.string({ maxLength: 4 })), { maxLength: 30 })
    .map((all) => all.join(""));

const xml = of(
  "<a>",
  "</a>",
  "<D:b xmlns:D='DAV:'>",
  "</D:b>",
  "<x xmlns='urn:x' y='1'/>",
  "<![CDATA[",
  "]]>",
  "<!--",
  "-->",
  "<?xml version='1.0'?>",
  "<!DOCTYPE a [<!ENTITY b 'c'>]>",
  "&amp;",
  "&b;",
  "&#x41;",
  "text",
  "\0",
  "<",
  ">",
  "&",
);

Deno.test("parseXml() never throws, and what it takes is written and read back the same", () => {
  fc.assert(
    fc.property(fc.oneof(xml, fc.string({ unit: "binary" })), (text) => {
      const read = parseXml(text);
      if (Either.isLeft(read)) return;
      assert.deepEqual(Either.getOrUndefined(parseXml(writeXml(read.right))), read.right);
    }),
    runs,
  );
});

Deno.test("parseXml() is quick with what is long", () => {
  const long = [
    "<a>".repeat(21_000),
    `<a ${Array.from({ length: 6000 }, (_, i) => `b${i}='1'`).join(" ")}/>`,
    `<a>${"&amp;".repeat(13_000)}</a>`,
    `<a>${"<![CDATA[]]>".repeat(5000)}</a>`,
    `<a xmlns:${"x".repeat(60_000)}='urn:x'/>`,
    `<!--${"-".repeat(60_000)}`,
    `<a>${"]".repeat(60_000)}</a>`,
    `<!DOCTYPE a [${"<!ENTITY b 'c'>".repeat(4000)}]><a/>`,
  ];
  for (const text of long) {
    const before = performance.now();
    parseXml(text);
    assert.ok(performance.now() - before < 1000, text.slice(0, 40));
  }
});

Deno.test("parseIf() never throws and takes nothing that a list does not hold", () => {
  const header = of(
    "(",
    ")",
    "<urn:uuid:a>",
    '["e"]',
    '[W/"e"]',
    "Not ",
    " ",
    "<http://h/dav/x>",
    "<",
    ">",
    "[",
    "]",
    '"',
  );
  fc.assert(
    fc.property(header, (text) => {
      for (const { conditions } of parseIf(text) ?? []) {
        assert.ok(conditions.length > 0);
        for (const { token, etag } of conditions) {
          assert.ok((token === undefined) !== (etag === undefined));
          assert.ok(text.includes(token ?? etag ?? ""));
        }
      }
    }),
    runs,
  );
  const before = performance.now();
  for (const part of ["(", "<a", "(<a>", "(Not ", '(["', "(<a>)", "<a> (<b>)"]) {
    parseIf(part.repeat(Math.floor(16_000 / part.length)));
  }
  assert.ok(performance.now() - before < 2000);
});

Deno.test("parseRanges() never throws, and answers what is in the file, in order, apart", () => {
  const header = of("0-", "-1", "5-9", ",", "-", "0", "9007199254740993", "bytes=", " ", "1-0");
  fc.assert(
    fc.property(header, fc.nat(1000), (text, size) => {
      let end = -1;
      for (const { from, to } of parseRanges(`bytes=${text}`, size) ?? []) {
        assert.ok(from > end && from < to && to <= size, `${text} ${from} ${to}`);
        end = to;
      }
    }),
    runs,
  );
});

const path = of(
  "/",
  "..",
  ".",
  "%2e",
  "%2F",
  "%5c",
  "\\",
  "a",
  "%00",
  "%c3%a9",
  "%",
  "?",
  "#",
  "//",
);

Deno.test("parseTarget() and parseDestination() never throw and never leave the tree", () => {
  const request = { url: "http://h/dav/", headers: new Headers({ host: "h" }) };
  fc.assert(
    fc.property(path, fc.constantFrom("", "http://h", "http://other", "ftp:"), (text, host) => {
      const found = [
        parseTarget(`/dav/${text}`, "/dav"),
        parseDestination(`${host}/dav/${text}`, request, "/dav"),
        parseDestination(text, request, "/dav"),
      ];
      for (const one of found) {
        if (Either.isLeft(one)) {
          assert.ok([400, 403, 502].includes(one.left.status));
          continue;
        }
        const { path } = one.right;
        assert.ok(path.startsWith("/") && !path.split("/").includes(".."), path);
        assert.deepEqual(Either.getOrUndefined(parseClientPath(path)), path);
        // What is shown leads back to the same place.
        const again = parseTarget(href("/dav", path, false), "/dav");
        assert.equal(Either.getOrThrow(again).path, path);
      }
    }),
    runs,
  );
});
