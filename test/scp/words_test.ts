import { Option } from "effect";
import fc from "fast-check";
import assert from "node:assert/strict";
import { maxLine, splitWords } from "../../adapters/ssh/commands/words.ts";

const split = (line: string) => Option.getOrUndefined(splitWords(line));

const literal: ReadonlyArray<[string, string[]]> = [
  ["", []],
  ["   \t ", []],
  ["scp -t .", ["scp", "-t", "."]],
  ["  md5sum\t/a  /b ", ["md5sum", "/a", "/b"]],
  ["md5sum 'a b' \"c d\" e\\ f", ["md5sum", "a b", "c d", "e f"]],
  ["cd ''", ["cd", ""]],
  [`a'b'"c"\\d`, ["abcd"]],
  [`'it'\\''s'`, ["it's"]],
  [`"a\\"b\\\\c\\$d\\\`e\\f"`, ['a"b\\c$d`e\\f']],
  ["scp -f *.txt ~/x {a,b} [c] ? !", ["scp", "-f", "*.txt", "~/x", "{a,b}", "[c]", "?", "!"]],
  ["scp -t '$(id)' '`id`' 'a;b|c>d'", ["scp", "-t", "$(id)", "`id`", "a;b|c>d"]],
  ["scp -t \\$\\(id\\)", ["scp", "-t", "$(id)"]],
  ["cd #x %USERNAME%", ["cd", "#x", "%USERNAME%"]],
];
for (const [line, words] of literal) {
  Deno.test(`splitWords() splits ${JSON.stringify(line)}`, () => {
    assert.deepEqual(split(line), words);
  });
}

const refused = [
  "scp -t $(id)",
  "scp -t `id`",
  "scp -t $HOME",
  'scp -t "$HOME"',
  'scp -t "`id`"',
  "scp -t a; id",
  "scp -t a && id",
  "scp -t a | cat",
  "scp -t a > b",
  "scp -t <b",
  "(id)",
  "pwd\nid",
  "pwd\0id",
  "'a\0b'",
  "'open",
  '"open',
  "open\\",
  "a".repeat(maxLine + 1),
];
for (const line of refused) {
  Deno.test(`splitWords() refuses ${JSON.stringify(line.slice(0, 40))}`, () => {
    assert.equal(split(line), undefined);
  });
}

const quote = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;

Deno.test("splitWords() gives back every word that was single-quoted", () => {
  const word = fc.string({ unit: "grapheme" }).map((w) => w.replaceAll("\0", ""));
  fc.assert(fc.property(fc.array(word), (words) => {
    assert.deepEqual(split(words.map(quote).join(" ")), words);
  }));
});
