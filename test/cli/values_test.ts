import assert from "node:assert/strict";
import { Cause, Either } from "effect";
import { explain, refused } from "../../src/cli/failure.ts";
import { describe, size, table } from "../../src/cli/output.ts";
import {
  parseBindings,
  parseCount,
  parsePermissions,
  parseSize,
  parseTime,
} from "../../src/cli/values.ts";
import { CatalogError } from "../../src/errors.ts";

Deno.test("parseSize() reads bytes and suffixes, and refuses the rest", () => {
  const read = (text: string) => Either.getOrUndefined(parseSize(text, "--q"));
  assert.deepEqual(
    ["0", "1048576", "10M", "1.5GiB", "2kb", "1T"].map(read),
    [0, 1048576, 10 * 1024 ** 2, 1.5 * 1024 ** 3, 2048, 1024 ** 4],
  );
  assert.deepEqual(["", "-1", "10X", "lots", "99999999T"].map(read), Array(5).fill(undefined));
});

Deno.test("parseCount() takes whole numbers from its least on", () => {
  assert.equal(Either.getOrUndefined(parseCount("7", "--n")), 7);
  for (const bad of ["-1", "1.5", "x", "", "1e3"]) {
    assert.ok(Either.isLeft(parseCount(bad, "--n")), bad);
  }
});

Deno.test("parseTime() reads ISO 8601 and spans back from now", () => {
  const now = Date.UTC(2026, 0, 31, 12);
  const read = (text: string) => Either.getOrUndefined(parseTime(text, "--since", now));
  assert.equal(read("2026-01-31T11:00:00Z"), now - 3_600_000);
  assert.equal(read("1h"), now - 3_600_000);
  assert.equal(read("7d"), now - 7 * 86_400_000);
  assert.equal(read("yesterday"), undefined);
  assert.equal(read("2026-13-01"), undefined);
});

Deno.test("parsePermissions() grants by directory, takes away, and suggests", () => {
  const read = (specs: string[]) => parsePermissions(specs, { "/old": ["list"] });
  assert.deepEqual(Either.getOrThrow(read(["list,download", "/in=upload", "/old="])), {
    "/": ["list", "download"],
    "/in": ["upload"],
  });
  assert.match(String(Either.getLeft(read(["uplaod"]))), /did you mean upload/);
});

Deno.test("parseBindings() reads addresses of both families, and off alone", () => {
  const read = (...values: string[]) => Either.getOrUndefined(parseBindings(values, "--sftp"));
  assert.deepEqual(read("127.0.0.1:0", "[::1]:22", ":2022", "2022"), [
    { address: "127.0.0.1", port: 0 },
    { address: "::1", port: 22 },
    { address: "", port: 2022 },
    { address: "", port: 2022 },
  ]);
  assert.deepEqual(read("off"), []);
  for (const bad of [["off", ":1"], ["here"], ["a:99999"], ["::1:22"]]) {
    assert.equal(read(...bad), undefined, bad.join());
  }
});

Deno.test("explain() gives each kind of failure its exit code and keeps control bytes out", () => {
  const failure = (reason: "NotFound" | "Duplicate" | "Invalid" | "Corrupt") =>
    explain(Cause.fail(new CatalogError({ reason, op: "x", detail: "said\x1b[2J" })));
  assert.deepEqual(
    (["NotFound", "Duplicate", "Invalid", "Corrupt"] as const).map((r) => failure(r).exit),
    [3, 4, 2, 1],
  );
  assert.deepEqual(failure("Invalid").lines, ["said\\x1b[2J"]);
  assert.equal(explain(Cause.fail(refused("no"))).exit, 4);
  assert.equal(explain(Cause.die(new Error("boom"))).exit, 1);
});

Deno.test("table() and describe() align, and leave out what is empty", () => {
  assert.equal(
    table([{ title: "A" }, { title: "N", right: true }], [["x", "10"], ["long", "9"]]),
    "A      N\nx     10\nlong   9",
  );
  assert.equal(describe({ a: 1, b: "", c: [], d: { e: 0 }, f: ["x", "y"] }), "a: 1\nf: x, y");
  assert.equal(size(1536), "1.5 KiB");
});
