import assert from "node:assert/strict";
import { type Mixed, mixedWorld, password, ways } from "../e2e/mixed.ts";
import { pause } from "../e2e/process.ts";

/** Seconds of poison for each kind: by hand 600 (SECURITY 7.14). */
const seconds = Number(Deno.env.get("SLUICE_TEST_POISON_SECONDS") ?? 4);
const seed = Number(Deno.env.get("SLUICE_TEST_SEED") ?? Date.now() % 1_000_000);
const secret = btoa(`ann:${password}`);
const auth = `Host: a\r\nAuthorization: Basic ${secret}\r\n`;

/** The same numbers for the same seed. */
const dice = (from: number) => {
  let state = from >>> 0 || 1;
  const below = (most: number) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % most;
  };
  const spoil = (text: string): Uint8Array<ArrayBuffer> => {
    const bytes = new TextEncoder().encode(text);
    for (let i = below(5); i > 0; i--) bytes[below(bytes.length)] = below(256);
    return below(3) === 0 ? bytes.slice(0, below(bytes.length + 1)) : bytes;
  };
  const pick = <A>(from: ReadonlyArray<A>) => from[below(from.length)] as A;
  return { below, spoil, pick };
};

const xml = '<propfind xmlns="DAV:"><prop><getetag/></prop></propfind>';
const sized = (start: string, body: string) =>
  `${start} HTTP/1.1\r\n${auth}Content-Length: ${body.length}\r\n\r\n${body}`;
const requests = [
  `GET /dav/f HTTP/1.1\r\n${auth}Range: bytes=0-1,5-\r\nIf-Range: "x"\r\n\r\n`,
  sized("PUT /dav/p", "0123456789"),
  sized("PROPFIND /dav/", xml),
  sized(
    "PROPPATCH /dav/f",
    `<propertyupdate xmlns="DAV:"><set><prop><a/></prop></set></propertyupdate>`,
  ),
  `LOCK /dav/l HTTP/1.1\r\n${auth}If: (<opaquelocktoken:x> ["y"]) (Not <DAV:no-lock>)\r\n\r\n`,
  `COPY /dav/f HTTP/1.1\r\n${auth}Destination: /dav/c\r\nOverwrite: F\r\nDepth: 0\r\n\r\n`,
  `GET /api/v2/user/token HTTP/1.1\r\n${auth}\r\n`,
  `GET /api/v2/user/files?path=f HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer e30.e30.e30\r\n\r\n`,
  `POST /api/v2/user/tus HTTP/1.1\r\n${auth}Tus-Resumable: 1.0.0\r\nUpload-Length: 9\r\n` +
  "Upload-Metadata: path L3Q=\r\n\r\n",
  `PUT /dav/chunked HTTP/1.1\r\n${auth}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
];
const dialogs = [
  "USER ann\r\nPASS x\r\nPWD\r\n",
  "AUTH TLS\r\n\x16\x03\x01\x00\x05hello",
  "FEAT\r\nHOST a\r\nOPTS UTF8 ON\r\nCLNT x\r\n",
  `USER ann\r\nPASS ${password}\r\nEPSV\r\nRETR f\r\nABOR\r\n`,
  "\xff\xf4\xff\xf2ABOR\r\nREST -1\r\nEPRT |1|127.0.0.1|1|\r\n",
];

const poisons: Readonly<Record<string, readonly [(w: Mixed) => number, ReadonlyArray<string>]>> = {
  http: [(w) => Number(new URL(w.server.http).port), requests],
  ftp: [(w) => w.ports.ftp, dialogs],
  "implicit TLS": [(w) => w.ports.ftps, [
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ...dialogs,
  ]],
};

Deno.test("SECURITY 7.14: poison on the HTTP and FTP ports: no exit, no escape, all protocols still serve", async () => {
  await using w = await mixedWorld([{ username: "ann" }], {
    config: {
      ftpd: {
        bindings: [0, 2].map((tls_mode) => ({ address: "127.0.0.1", port: 0, tls_mode })),
      },
      common: { max_per_host_connections: 0 },
    },
  });
  const mine = `${w.dir}/mine`;
  await Deno.writeTextFile(mine, "mine");
  await Deno.writeTextFile(`${w.home("ann")}/f`, "0123456789");
  for (const [name, [portOf, texts]] of Object.entries(poisons)) {
    const end = performance.now() + seconds * 1000;
    let doses = 0;
    const drink = async (lane: number) => {
      const { below, spoil, pick } = dice(seed * 31 + lane);
      while (performance.now() < end) {
        doses++;
        try {
          using conn = await Deno.connect({ hostname: "127.0.0.1", port: portOf(w) });
          for (let i = below(4); i >= 0; i--) await conn.write(spoil(pick(texts)));
          await Promise.race([conn.read(new Uint8Array(4096)), pause(5 + below(30))]);
        } catch {
          // A connection that the server cut is what poison is for.
        }
      }
    };
    await Promise.all([1, 2, 3, 4].map(drink));
    assert.ok(doses > 20, `${name}: ${doses} doses, seed ${seed}`);
    assert.equal(
      w.server.escapedErrors,
      0,
      `${name}, seed ${seed}: ${w.server.stderr.slice(-3000)}`,
    );
    assert.doesNotMatch(w.server.stderr, /unhandled|Uncaught|ended by a defect/i, `seed ${seed}`);
    for (const way of ways) {
      const { ok, text } = await w.put(way, { user: "ann" }, mine, `after-${way}`);
      assert.ok(ok, `${way} after ${name}, seed ${seed}: ${text}`);
    }
  }
});
