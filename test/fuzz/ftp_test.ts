import fc from "fast-check";
import assert from "node:assert/strict";
import { type Line, LineReader, maxLineBytes } from "../../adapters/ftp/lines.ts";
import { type FtpWorld, ftpWorld } from "../e2e/ftp_world.ts";
import { eventually } from "../e2e/process.ts";
import { dialog } from "../e2e/raw_ftp.ts";

Deno.test("LineReader answers alike however the bytes are cut, and keeps no more than a line", () => {
  const byte = fc.oneof(
    fc.constantFrom(0x0d, 0x0a, 0xff, 0xfb, 0xf4, 0x41),
    fc.nat(255),
  );
  const all = (chunks: ReadonlyArray<Uint8Array>) => {
    const reader = new LineReader();
    const lines: Line[] = [];
    for (const chunk of chunks) {
      reader.feed(chunk, (line) => lines.push(line) > 0);
      assert.ok(reader.pending <= maxLineBytes);
    }
    return lines;
  };
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 200 }), fc.nat(200), (bytes, cut) => {
      const whole = Uint8Array.from(bytes);
      assert.deepEqual(all([whole.slice(0, cut), whole.slice(cut)]), all([whole]));
      assert.deepEqual(all(bytes.map((one) => Uint8Array.of(one))), all([whole]));
    }),
    { numRuns: 1000, seed: 4 },
  );
});

let world: FtpWorld;
Deno.test.beforeAll(async () => {
  world = await ftpWorld({
    ftpd: {
      enable_site: true,
      hash_support: true,
      combine_support: true,
      active_transfers: true,
      data_timeout: 1,
    },
    common: { max_per_host_connections: 0 },
  });
});
Deno.test.afterAll(async () => await world[Symbol.asyncDispose]());

const verbs = (
  "USER PASS ACCT AUTH PBSZ PROT CCC PASV EPSV PORT EPRT TYPE MODE STRU REST ABOR ALLO NOOP SYST " +
  "FEAT CLNT HELP HOST STAT OPTS PWD CWD CDUP MKD RMD DELE RNFR RNTO SIZE MDTM MFMT MFF MLST AVBL " +
  "HASH XMD5 SITE RETR STOR APPE LIST NLST MLSD XYZZY"
).split(" ");
const argument = fc.oneof(
  fc.constantFrom(
    "",
    " ",
    "/",
    "..",
    "-la",
    "A",
    "I",
    "P",
    "ALL",
    "|1|127.0.0.1|1|",
    "1,2,3,4,5,6",
  ),
  fc.constantFrom(
    "CHMOD 777 x",
    "modify=1; x",
    "20200101000000 x",
    "*?[",
    "UTF8 ON",
    "MLST x;",
    "%n",
  ),
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.string({ unit: fc.constantFrom(..."./ab\"'\\\0\t\r é".split("")), maxLength: 40 }),
);
const end = fc.constantFrom("\r\n", "\r\n", "\r\n", "\n", "\r", "", "\r\n\r\n");
const encoder = new TextEncoder();
const command = fc.tuple(fc.constantFrom(...verbs), argument, end)
  .map(([verb, text, ending]) => encoder.encode(`${verb} ${text}${ending}`));
const part = fc.oneof(
  { weight: 6, arbitrary: command },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 300 }) },
  { weight: 1, arbitrary: fc.constant(Uint8Array.of(255, 244, 255, 242)) },
  { weight: 1, arbitrary: fc.constant(new Uint8Array(maxLineBytes + 100).fill(0x41)) },
);

for (const known of [false, true]) {
  Deno.test(`ftp: random commands and bytes ${known ? "after" : "before"} the login harm nobody`, async () => {
    const { server } = world;
    using other = await world.login();
    const memory = server.rss;
    const descriptors = server.descriptors;
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 30 }), async (parts) => {
        using ftp = known ? await world.login() : await dialog(world.ports[0] ?? 0);
        for (const bytes of parts) ftp.sendBytes(new Uint8Array(bytes));
        ftp.send("\r\nABOR\r\nQUIT\r\n");
        await ftp.rest();
        assert.match(await other.ask("NOOP"), /^200/);
      }),
      { numRuns: known ? 60 : 100, seed: 4, endOnFailure: true },
    );
    assert.equal(server.escapedErrors, 0);
    await eventually("descriptors come back", () => server.descriptors <= descriptors + 6);
    assert.ok(server.rss < memory + 100 * 1024 ** 2, `${memory} to ${server.rss} bytes`);
    using after = await world.login();
    assert.match(await after.ask("PWD"), /^257/);
  });
}

Deno.test("ftp: a client that sends without end is bounded", async () => {
  const { server } = world;
  using ftp = await world.login();
  const memory = server.rss;
  const line = new Uint8Array(1024 * 1024).fill(0x42);
  for (let i = 0; i < 64; i++) ftp.sendBytes(line);
  ftp.send("\r\nNOOP\r\n");
  assert.match(await ftp.answer(), /^500/);
  assert.match(await ftp.answer(), /^200/);
  assert.ok(server.rss < memory + 48 * 1024 ** 2, `${memory} to ${server.rss} bytes`);
});
