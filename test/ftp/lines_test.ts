import assert from "node:assert/strict";
import { type Line, LineReader, maxLineBytes } from "../../adapters/ftp/lines.ts";

/** Feeds chunks and answers what came: the text of a line, or what is wrong with it. */
const read = (...chunks: ReadonlyArray<string | Uint8Array>): string[] => {
  const reader = new LineReader();
  const found: string[] = [];
  const line = (one: Line) => {
    found.push("text" in one ? one.text : `<${one.bad}>`);
    return true;
  };
  for (const chunk of chunks) {
    reader.feed(typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk, line);
  }
  return found;
};

Deno.test("LineReader puts a line together however its bytes come", () => {
  const text = 'USER änna\r\nPASS a"b -x  c \r\n';
  const whole = ["USER änna", 'PASS a"b -x  c '];
  assert.deepEqual(read(text), whole);
  assert.deepEqual(
    read(...[...new TextEncoder().encode(text)].map((b) => Uint8Array.of(b))),
    whole,
  );
});

Deno.test("LineReader takes LF as an end, and keeps a CR that is none", () => {
  assert.deepEqual(read("A\nB\r\n\r\nC\rD\r\nE\r\r\n"), ["A", "B", "", "C\rD", "E\r"]);
});

Deno.test("LineReader drops telnet commands, split or not", () => {
  const abort = Uint8Array.of(255, 244, 255, 242);
  assert.deepEqual(read(abort, "ABOR\r\n"), ["ABOR"]);
  assert.deepEqual(read("N", Uint8Array.of(255), Uint8Array.of(251), Uint8Array.of(1), "OOP\r\n"), [
    "NOOP",
  ]);
  assert.deepEqual(read(Uint8Array.of(255, 255), "X\r\n"), ["<not UTF-8>"]);
});

Deno.test("LineReader tells of bytes that are not UTF-8", () => {
  assert.deepEqual(read(Uint8Array.of(0x41, 0xc3, 0x28, 0x0a), "B\n"), ["<not UTF-8>", "B"]);
  assert.deepEqual(read(Uint8Array.of(0xc0, 0xaf, 0x0a)), ["<not UTF-8>"]);
});

Deno.test("LineReader tells once of a line that is too long, drops it, and goes on", () => {
  const long = "x".repeat(maxLineBytes);
  assert.deepEqual(read(`${long}\nA\n`), [long, "A"]);
  assert.deepEqual(read(`${long}x`, long, long, "\r\nA\r\n"), ["<too long>", "A"]);
});

Deno.test("LineReader stops where it is told to", () => {
  const reader = new LineReader();
  const rests: number[] = [];
  reader.feed(new TextEncoder().encode("AUTH TLS\r\nUSER x\r\n"), (_, rest) => {
    rests.push(rest);
    return false;
  });
  assert.deepEqual(rests, [8]);
});
