import assert from "node:assert/strict";
import { IpTable } from "../../src/guard/ip_table.ts";

Deno.test("find() answers with the most specific range that fits", () => {
  const table = new IpTable([
    ["10.0.0.0/8", "net"],
    ["10.1.0.0/16", "part"],
    ["10.1.2.3/32", "host"],
    ["2001:db8::/32", "six"],
    ["0.0.0.0/0", "all"],
    ["nonsense", "never"],
  ]);
  const any = () => true;
  assert.equal(table.find("10.1.2.3", any), "host");
  assert.equal(table.find("::ffff:10.1.2.3", any), "host");
  assert.equal(table.find("10.1.2.4", any), "part");
  assert.equal(table.find("10.1.2.3", (v) => v !== "host"), "part");
  assert.equal(table.find("10.2.0.1", any), "net");
  assert.equal(table.find("192.0.2.1", any), "all");
  assert.equal(table.find("2001:db8::1", any), "six");
  assert.equal(table.find("2001:db9::1", any), undefined);
  assert.equal(table.find("no address", any), undefined);
});

Deno.test("find() stays quick with 15,000 ranges", () => {
  const entries = Array.from(
    { length: 15_000 },
    (_, i) => [`10.${i >> 8}.${i & 255}.0/24`, i] as const,
  );
  const table = new IpTable(entries);
  const began = performance.now();
  for (let i = 0; i < 10_000; i++) table.find(`10.${i >> 8}.${i & 255}.7`, () => true);
  assert.ok(performance.now() - began < 1000, "10,000 looks take less than a second");
});
