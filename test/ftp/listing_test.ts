import fc from "fast-check";
import assert from "node:assert/strict";
import { allFacts, facts, longLine, readStamp, stamp } from "../../adapters/ftp/listing.ts";
import { encodeReply, failureReply, reply } from "../../adapters/ftp/reply.ts";
import { quoted } from "../../adapters/ftp/paths.ts";
import { FsError } from "../../src/errors.ts";
import type { Entry } from "../../src/model/entry.ts";

const mtime = Date.UTC(2024, 1, 29, 23, 59, 58, 700);
const file: Entry = { name: "a b", kind: "file", size: 12, mtime, mode: 0o640 };
const directory: Entry = { name: "d", kind: "dir", size: 4096, mtime, mode: 0o755 };

Deno.test("facts() tells the chosen ones in the order of FEAT", () => {
  assert.equal(facts(file, allFacts), "type=file;size=12;modify=20240229235958;UNIX.mode=0640;");
  assert.equal(facts(directory, allFacts), "type=dir;modify=20240229235958;UNIX.mode=0755;");
  assert.equal(facts(file, ["size"]), "size=12;");
  assert.equal(facts(file, []), "");
});

Deno.test("longLine() shows the time of young files and the year of others", () => {
  const soon = longLine(file, mtime + 3600_000);
  assert.match(soon, /^-rw-r----- +1 ftp +ftp +12 Feb 29 23:59 a b$/);
  assert.match(longLine(file, mtime + 300 * 24 * 3600_000), / Feb 29 {2}2024 a b$/);
  assert.match(longLine(file, mtime - 1), / Feb 29 {2}2024 a b$/);
  assert.match(longLine(directory, mtime), /^drwxr-xr-x /);
});

Deno.test("readStamp() takes what stamp() writes, fractions, and no date that is none", () => {
  assert.equal(readStamp("20240229235958"), mtime - 700);
  assert.equal(readStamp("20240229235958.123"), mtime - 700);
  for (
    const wrong of ["20230229000000", "20241301000000", "2024022923595", "20240229246000", "", "x"]
  ) {
    assert.equal(readStamp(wrong), undefined, wrong);
  }
  fc.assert(fc.property(fc.integer({ min: 0, max: 4_000_000_000 }), (seconds) => {
    assert.equal(readStamp(stamp(seconds * 1000)), seconds * 1000);
  }));
});

Deno.test("encodeReply() never lets a client's text end a line", () => {
  const wire = (text: string | ReadonlyArray<string>) =>
    new TextDecoder().decode(encodeReply(reply(211, text)));
  assert.equal(wire("one"), "211 one\r\n");
  assert.equal(
    wire(["one", "two", "211 three", "end"]),
    "211-one\r\n two\r\n 211 three\r\n211 end\r\n",
  );
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: "binary" }), { minLength: 1, maxLength: 4 }),
      (lines) => {
        const text = wire(lines);
        assert.equal(text.split("\r\n").length, lines.length + 1);
        assert.ok(!/[\r\n\0]/.test(text.replaceAll("\r\n", "")));
      },
    ),
    { numRuns: 1000, seed: 4 },
  );
});

Deno.test("failureReply() tells a file's reason, and nothing of a defect", () => {
  const of = (reason: FsError["reason"]) =>
    failureReply(new FsError({ reason, op: "open", path: "/x" }));
  assert.equal(of("QuotaExceeded").code, 552);
  assert.equal(of("InvalidPath").code, 553);
  assert.equal(of("NotFound").code, 550);
  assert.deepEqual(failureReply(new Error("/srv/secret")), reply(451, "internal error"));
});

Deno.test("quoted() doubles quotes (RFC 959 appendix II)", () => {
  assert.equal(quoted('/a "b"'), '"/a ""b"""');
});
