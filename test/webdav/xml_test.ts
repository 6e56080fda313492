import assert from "node:assert/strict";
import { Either } from "effect";
import { escapeXml, parseXml, textOf, writeXml } from "../../adapters/webdav/xml.ts";

const refused = (text: string) =>
  assert.ok(Either.isLeft(parseXml(text)), `taken: ${text.slice(0, 60)}`);
const parsed = (text: string) => Either.getOrThrowWith(parseXml(text), (why) => new Error(why));

Deno.test("parseXml() refuses what is no document, or more than one", () => {
  for (
    const text of [
      "",
      "<a",
      "<a>",
      "<a></b>",
      "<a/><b/>",
      "text",
      "<a>&x;</a>",
      "<a>&#0;</a>",
      "<a b=c/>",
      "<a b='1' b='2'/>",
      "<p:a/>",
      "<a xmlns:p=''/>",
      "<a>]]></a>",
      "<a><!-- -- --></a>",
      "<?xml version='1.0' encoding='utf-16'?><a/>",
    ]
  ) refused(text);
});

Deno.test("parseXml() refuses document types, so there are no entities to expand or fetch", () => {
  refused('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>');
  refused('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>');
});

Deno.test("parseXml() refuses deep and wide documents", () => {
  refused("<a>".repeat(100) + "</a>".repeat(100));
  refused(`<a>${"<b/>".repeat(30_000)}</a>`);
});

Deno.test("writeXml() gives back the same element wherever it stands", () => {
  const text =
    `<x:p xmlns:x="urn:x" xmlns:y="urn:y" y:k="&quot;&lt;" xml:lang="de">a&amp;<![CDATA[<b>]]>` +
    `<c xmlns="">&#x1F600;</c><D:d xmlns:D="DAV:"/></x:p>`;
  const element = parsed(text);
  assert.deepEqual(parsed(writeXml(element)), element);
  assert.equal(textOf(element), "a&<b>\u{1f600}");
});

Deno.test("escapeXml() lets no character through that a document must not hold", () => {
  for (const name of ["\ufffe", "\uffff", 'a<&>"b', "ü\u{1f600}"]) {
    const element = parsed(`<a b="${escapeXml(name)}">${escapeXml(name)}</a>`);
    assert.equal(textOf(element), name.replace(/[\ufffe\uffff]/g, "\ufffd"));
  }
});
