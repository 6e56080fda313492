import fc from "fast-check";
import assert from "node:assert/strict";
import { FromWire, toWire } from "../../adapters/ftp/ascii.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (value: string) => new TextEncoder().encode(value);
const fromWire = (...chunks: ReadonlyArray<Uint8Array>) => {
  const reader = new FromWire();
  const parts = [...chunks.map((chunk) => reader.convert(chunk).slice()), reader.rest()];
  return text(Uint8Array.from(parts.flatMap((part) => [...part])));
};

Deno.test("toWire() sends each LF as CR LF and nothing else otherwise", () => {
  assert.equal(text(toWire(bytes("a\nb\r\n\nc"))), "a\r\nb\r\r\n\r\nc");
  const plain = bytes("nothing to do");
  assert.equal(toWire(plain), plain);
});

Deno.test("FromWire stores CR LF as LF and keeps a CR that is alone", () => {
  assert.equal(fromWire(bytes("a\r\nb\rc\r\r\nd\r")), "a\nb\rc\r\nd\r");
});

Deno.test("FromWire undoes toWire(), however the bytes are cut", () => {
  const byte = fc.constantFrom(0x0d, 0x0a, 0x61, 0x62);
  fc.assert(
    fc.property(
      fc.array(byte, { maxLength: 40 }),
      fc.array(fc.nat(80), { maxLength: 5 }),
      (all, cuts) => {
        const wire = toWire(Uint8Array.from(all));
        const places = [
          0,
          ...cuts.map((cut) => cut % (wire.length + 1)).sort((a, b) => a - b),
          wire.length,
        ];
        const chunks = places.slice(1).map((end, i) => wire.slice(places[i], end));
        assert.equal(fromWire(...chunks), text(Uint8Array.from(all)));
      },
    ),
    { numRuns: 1000, seed: 4 },
  );
});
