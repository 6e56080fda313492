import assert from "node:assert/strict";
import { Either } from "effect";
import { checkUser } from "../../src/model/check_user.ts";
import { canonicalName, nameProblem } from "../../src/model/names.ts";
import { decodeUser } from "../../src/model/problems.ts";
import { settings } from "./world.ts";

const anyName = 1;
for (
  const name of [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "a\\b",
    "/etc",
    "a\0b",
    "a\nb",
    "a\u200bb",
    "a\u202eb",
    "bob.",
    "bob ",
    " bob",
    "a:b",
    "a*",
    "a?",
    'a"b',
    "a<b",
    "a|b",
    "NUL",
    "con.txt",
    "COM1",
    "é".repeat(128),
    "\ud800",
    "__self__",
    "__SYSTEM__",
  ]
) {
  Deno.test(`FS-20, CVE-2026-30915: the name ${JSON.stringify(name).slice(0, 30)} is refused`, () => {
    assert.equal(typeof nameProblem(name, anyName), "string");
    const config = settings("/srv/sluice", { naming_rules: anyName });
    const json = { username: name, permissions: { "/": ["*"] } };
    const found = Either.match(decodeUser(json), {
      onLeft: (all) => all,
      onRight: (input) => checkUser(input, config).problems,
    });
    assert.match(found[0] ?? "", /^username: /);
  });
}

Deno.test("FS-20: ordinary names are taken", () => {
  for (
    const name of ["anna", "anna.b", "a@b.example", "Zoë", "名前", "o'brien", "a;b", "...a", "-x"]
  ) {
    assert.equal(nameProblem(name, anyName), undefined, name);
  }
});

Deno.test("DB-12: canonicalName() trims and lowers as the rules say", () => {
  assert.equal(canonicalName(" Anna ", 1), " Anna ");
  assert.equal(canonicalName(" Anna ", 2), " anna ");
  assert.equal(canonicalName(" Anna ", 5), "Anna");
  assert.equal(typeof nameProblem("Zoë", 0), "string");
  assert.equal(nameProblem("a.b_c-d~1", 0), undefined);
});
