import assert from "node:assert/strict";
import { Either } from "effect";
import fc from "fast-check";
import {
  components,
  isWithin,
  lineage,
  parent,
  parseClientPath,
  type VPath,
} from "../../src/vpath.ts";

const pieces = fc.constantFrom(
  "..",
  ".",
  "",
  "a",
  "b c",
  "é",
  "\\",
  "..\\",
  "%2e%2e",
  "x/../..",
  "~",
  "\0",
  "\r\n",
);
const raw = fc.oneof(
  fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join("/")),
  fc.string({ unit: "binary", maxLength: 300 }),
);
const base = fc.array(fc.constantFrom("a", "b", "..."), { maxLength: 5 }).map((p) =>
  ("/" + p.join("/")) as VPath
);

Deno.test("SECURITY 6.1: parseClientPath() is canonical, idempotent and never escapes", () =>
  fc.assert(
    fc.property(raw, base, (text, from) => {
      const parsed = parseClientPath(text, from);
      if (Either.isLeft(parsed)) {
        assert.ok(["InvalidPath", "NameTooLong"].includes(parsed.left.reason));
        return;
      }
      const path = parsed.right;
      assert.ok(path.startsWith("/"));
      assert.ok(path === "/" || !path.endsWith("/"));
      for (const name of components(path)) {
        assert.ok(name !== "" && name !== "." && name !== "..");
        // deno-lint-ignore no-control-regex
        assert.ok(!/[\\/\u0000-\u001f\u007f]/.test(name));
      }
      assert.deepEqual(parseClientPath(path), parsed);
      assert.deepEqual(parseClientPath(path, "/elsewhere" as VPath), parsed);
      assert.equal(lineage(path).at(-1), "/");
      assert.ok(isWithin(parent(path), path));
    }),
    { numRuns: 10_000, seed: 1 },
  ));

Deno.test("SECURITY 6.10: isWithin() compares whole components", () => {
  assert.ok(!isWithin("/share" as VPath, "/share2" as VPath));
  assert.ok(isWithin("/share" as VPath, "/share/x" as VPath));
  assert.ok(isWithin("/" as VPath, "/x" as VPath));
});

Deno.test("SECURITY 6.2, 6.4: control bytes and undecodable text are refused", () => {
  for (const text of ["a\0b", "a\r", "a\nb", "a\x7f", "a\x85", "\ufffd", "\ud800"]) {
    assert.ok(Either.isLeft(parseClientPath(text)), JSON.stringify(text));
  }
  for (const text of ["a ", "a.", "-rf", '"q"', "CON", "😀", "e\u0301", "é", "<img onerror>"]) {
    assert.ok(Either.isRight(parseClientPath(text)), text);
  }
});
