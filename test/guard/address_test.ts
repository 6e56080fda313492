import assert from "node:assert/strict";
import { Either } from "effect";
import fc from "fast-check";
import { canonicalAddress, formatAddress, parseAddress } from "../../src/guard/address.ts";
import { addressAllowed } from "../../src/guard/address_lists.ts";
import { contains, formatCidr, parseCidr } from "../../src/guard/cidr.ts";
import { withinAccessTime } from "../../src/guard/access_time.ts";

Deno.test("parseAddress() refuses what is no address or has two readings", () => {
  const bad = [
    "",
    "1.2.3",
    "1.2.3.4.5",
    "010.0.0.1",
    "0x7f.0.0.1",
    "127.1",
    "2130706433",
    "256.0.0.1",
    "1.2.3.4 ",
    "1.2.3.-4",
    "١.2.3.4",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "12345::",
    "g::",
    "fe80::1%eth0",
    "[::1]",
    "::1.2.3.4.5",
    "1.2.3.4::",
    "::ffff:1.2.3.04",
    "1:",
    ":1",
  ];
  for (const text of bad) assert.equal(parseAddress(text), undefined, text);
});

Deno.test("canonicalAddress() gives one spelling to one host", () => {
  const pairs = [
    ["1.2.3.4", "1.2.3.4"],
    ["::ffff:1.2.3.4", "1.2.3.4"],
    ["::FFFF:0102:0304", "1.2.3.4"],
    ["0:0:0:0:0:ffff:102:304", "1.2.3.4"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["64:ff9b::1.2.3.4", "64:ff9b::102:304"],
    ["nonsense", "nonsense"],
  ];
  for (const [text, canonical] of pairs) assert.equal(canonicalAddress(text!), canonical, text);
});

Deno.test("formatAddress() and parseAddress() are inverse", () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const address = parseAddress(text);
      assert.ok(address, text);
      assert.deepEqual(parseAddress(formatAddress(address)), address);
    }),
    { numRuns: 500 },
  );
});

const range = (text: string) => Either.getOrThrowWith(parseCidr(text), Error);
const holds = (cidr: string, ip: string) => contains(range(cidr), parseAddress(ip)!);

Deno.test("parseCidr() reads ranges and single addresses, and says what is wrong", () => {
  assert.equal(formatCidr(range("10.1.2.3/8")), "10.0.0.0/8");
  assert.equal(formatCidr(range("10.1.2.3")), "10.1.2.3/32");
  assert.equal(formatCidr(range("2001:db8::1/32")), "2001:db8::/32");
  assert.equal(formatCidr(range("::ffff:10.1.2.3/104")), "10.0.0.0/8");
  assert.equal(formatCidr(range("0.0.0.0/0")), "0.0.0.0/0");
  for (
    const bad of [
      "",
      "10.0.0.0/33",
      "10.0.0.0/-1",
      "10.0.0.0/08",
      "10.0.0.0/8/8",
      "::/129",
      "x/8",
      "10.0.0.0/",
      "::ffff:1.2.3.4/95",
    ]
  ) {
    assert.ok(Either.isLeft(parseCidr(bad)), bad);
  }
});

Deno.test("contains() compares whole prefixes and never across versions", () => {
  assert.ok(holds("10.0.0.0/8", "10.255.0.1"));
  assert.ok(!holds("10.0.0.0/8", "11.0.0.0"));
  assert.ok(holds("10.0.0.0/8", "::ffff:10.0.0.1"));
  assert.ok(holds("192.168.1.0/25", "192.168.1.127"));
  assert.ok(!holds("192.168.1.0/25", "192.168.1.128"));
  assert.ok(holds("2001:db8::/33", "2001:db8:7fff::1"));
  assert.ok(!holds("2001:db8::/33", "2001:db8:8000::1"));
  assert.ok(!holds("0.0.0.0/0", "2001:db8::1"));
  assert.ok(!holds("::/0", "10.0.0.1"));
});

Deno.test("DIS-02: addressAllowed() looks at deny first, and closes the door on what it cannot read", () => {
  const ok = (allowed: string[], denied: string[], ip = "10.1.2.3") =>
    addressAllowed({ allowed, denied }, ip);
  assert.ok(ok([], []));
  assert.ok(ok(["10.0.0.0/8"], []));
  assert.ok(ok(["10.0.0.0/8"], ["10.1.2.4"]));
  assert.ok(!ok(["10.0.0.0/8"], ["10.1.2.3/32"]));
  assert.ok(!ok(["192.168.0.0/16"], []));
  assert.ok(!ok([], ["10.1.0.0/16"]));
  assert.ok(ok([], ["10.2.0.0/16"]));
  assert.ok(!ok([], ["::ffff:10.1.2.3"]));
  assert.ok(!ok([], ["nonsense"]), "broken deny entry");
  assert.ok(!ok(["nonsense"], []), "broken allow entry");
  assert.ok(!ok([], ["192.168.0.1"], "nonsense"), "unreadable client address");
});

Deno.test("AUTH-22: withinAccessTime() knows days, minutes and no windows at all", () => {
  const monday = Date.UTC(2030, 0, 7, 9, 30, 59, 999);
  const within = (from: string, to: string, day_of_week = 1) =>
    withinAccessTime([{ day_of_week, from, to }], monday);
  assert.ok(withinAccessTime([], monday));
  assert.ok(within("00:00", "23:59"));
  assert.ok(within("09:30", "09:30"));
  assert.ok(!within("09:31", "23:59"));
  assert.ok(!within("00:00", "09:29"));
  assert.ok(!within("00:00", "23:59", 0));
  assert.ok(within("00:00", "24:00"));
  for (const [from, to] of [["x", "23:59"], ["00:00", "25:00"], ["00:60", "23:59"], ["", ""]]) {
    assert.ok(!within(from!, to!), `${from} ${to}`);
  }
  const two = [{ day_of_week: 1, from: "00:00", to: "01:00" }, {
    day_of_week: 1,
    from: "09:00",
    to: "10:00",
  }];
  assert.ok(withinAccessTime(two, monday));
});
