import assert from "node:assert/strict";
import { connect, type TLSSocket } from "node:tls";
import { type CertificateWorld, certificateWorld, password } from "../e2e/certificate_world.ts";
import { noiseFile, scratch, sha256 } from "../e2e/files.ts";
import { eventually, pause } from "../e2e/process.ts";
import { needs } from "../e2e/tools.ts";

const start = (wrap?: ReadonlyArray<string>) =>
  certificateWorld(
    () =>
      Promise.resolve([
        { username: "anna", password, filters: { tls_username: "CommonName" } },
        { username: "slow", password, upload_bandwidth: 512, download_bandwidth: 512 },
      ]),
    {
      config: { common: { max_per_host_connections: 0 } },
      args: ["--workers", "1"],
      ...(wrap ? { wrap } : {}),
    },
  );

const portOf = (url: string) => Number(new URL(url).port);

/** A TLS connection with anna's certificate; tells when the server ended it. */
const shake = (world: CertificateWorld) =>
  new Promise<{ readonly tls: TLSSocket; over: boolean }>((resolve) => {
    const read = (name: string) => Deno.readTextFileSync(`${world.certificates}/${name}`);
    const tls = connect({
      host: "127.0.0.1",
      port: portOf(world.required),
      cert: read("anna.pem"),
      key: read("anna.key"),
      rejectUnauthorized: false,
    });
    const call = { tls, over: false };
    tls.on("error", () => {});
    tls.on("close", () => {
      call.over = true;
      resolve(call);
    });
    tls.on("end", () => call.over = true);
    tls.on("secureConnect", () => resolve(call));
    tls.resume();
  });

/** A TCP connection that has sent `bytes`. */
const call = async (world: CertificateWorld, bytes: ReadonlyArray<number>) => {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: portOf(world.required) });
  const one = { conn, over: false };
  (async () => {
    for await (const _ of conn.readable);
  })().catch(() => {}).finally(() => one.over = true);
  if (bytes.length > 0) await conn.write(new Uint8Array(bytes)).catch(() => {});
  return one;
};

/** The record of a ClientHello of 512 bytes, with eight of them. */
const HALF_HELLO = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 1, 2];
const HALF_HEAD = "OPTIONS / HTTP/1.1\r\nHost: a\r\nX-Slow: ";

const hangUp = (calls: ReadonlyArray<Awaited<ReturnType<typeof call>>>) => {
  for (const { conn } of calls) {
    try {
      conn.close();
    } catch {
      // Its reader closed it at the end.
    }
  }
};

const answers = async (world: CertificateWorld) =>
  await world.status("anna", "-m", "5", "-X", "OPTIONS", `${world.required}/`) === 200;

Deno.test("silence, half a handshake and half a request are cut after 15 s, no TLS is cut at once; nothing is left open", async () => {
  await using world = await start();
  assert.ok(await answers(world));
  const { server } = world.world;
  const before = server.descriptors;
  const began = performance.now();
  const silent = await call(world, []);
  const hello = await call(world, HALF_HELLO);
  const shaken = await shake(world);
  const head = await shake(world);
  head.tls.write(HALF_HEAD);
  const drip = setInterval(() => {
    if (!head.over) head.tls.write("x");
  }, 1000);
  const clear = await call(world, [...new TextEncoder().encode(`${HALF_HEAD}\r\n\r\n`)]);
  const asks = await shake(world);
  asks.tls.write("OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n");
  await eventually("what is no TLS is cut", () => clear.over, 2);
  const all = [silent, hello, shaken, head];
  await eventually("all are cut", () => all.every(({ over }) => over), 25);
  const seconds = (performance.now() - began) / 1000;
  clearInterval(drip);
  assert.ok(seconds > 13 && seconds < 22, `${seconds} s`);
  assert.equal(asks.over, false, "it may ask again for a minute");
  for (const { tls } of [shaken, head, asks]) tls.destroy();
  hangUp([silent, hello, clear]);
  await eventually("all descriptors are back", () => server.descriptors <= before, 5);
});

(await needs("prlimit"))(
  "on 256 descriptors neither half handshakes nor idle connections keep anybody out",
  async () => {
    await using world = await start(["prlimit", "--nofile=256"]);
    const half: Awaited<ReturnType<typeof call>>[] = [];
    for (let i = 0; i < 400; i++) half.push(await call(world, HALF_HELLO));
    await eventually("the port answers beside half handshakes", () => answers(world), 10);
    hangUp(half);
    const idle: Awaited<ReturnType<typeof shake>>[] = [];
    for (let i = 0; i < 150; i += 10) {
      idle.push(...await Promise.all(Array.from({ length: 10 }, () => shake(world))));
    }
    await eventually("the port answers beside idle ones", () => answers(world), 10);
    for (const { tls } of idle) tls.destroy();
    await eventually("the port answers", () => answers(world), 10);
  },
);

Deno.test("transfers that are cut leave the file as it was, and nothing open", async () => {
  await using world = await start();
  const { required, certificates, world: { server, dir, home } } = world;
  const old = await noiseFile(`${dir}/old`, 100_000);
  const big = await noiseFile(`${dir}/big`, 32 * 1024 * 1024);
  assert.equal(await world.status("anna", "-T", old, `${required}/f`), 201);
  assert.equal(await world.status("anna", "-T", big, `${required}/big`), 201);
  const before = server.descriptors;
  const cut = async (...args: string[]) => {
    const child = new Deno.Command("curl", {
      args: ["-sSk", "--cert", "anna.pem", "--key", "anna.key", "--limit-rate", "2M", ...args],
      cwd: certificates,
      ...{ stdin: "null", stdout: "null", stderr: "null" } as const,
    }).spawn();
    await pause(700);
    child.kill("SIGKILL");
    await child.status;
  };
  for (const version of ["--http1.1", "--http2"]) {
    await cut(version, "-T", big, `${required}/f`);
    await cut(version, "-T", big, "-H", "Transfer-Encoding: chunked", `${required}/new`);
    await cut(version, `${required}/big`);
  }
  await eventually("all descriptors are back", () => server.descriptors <= before, 10);
  assert.equal(await sha256(`${home("anna")}/f`), await sha256(old));
  const names = [...Deno.readDirSync(home("anna"))].map(({ name }) => name).sort();
  assert.deepEqual(names, ["big", "f"]);
});

Deno.test("a client that does not read, and an upload that is not taken, wait in little memory", async () => {
  await using world = await start();
  const { required, curl, world: { server, dir, home } } = world;
  const big = await noiseFile(`${dir}/big`, 256 * 1024 * 1024);
  await Deno.copyFile(big, `${home("anna")}/big`);
  assert.ok(await answers(world));
  const before = server.rss;
  const readers = await Promise.all(Array.from({ length: 4 }, () => shake(world)));
  for (const { tls } of readers) {
    tls.pause();
    tls.write("GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  await curl("anna", "-m", "6", "-u", `slow:${password}`, "-T", big, `${required}/big`);
  const more = (server.rss - before) / 1024 ** 2;
  for (const { tls } of readers) tls.destroy();
  // Of 1,280 that are on their way; the runtime's own TLS takes about as much.
  assert.ok(more < 200, `${more} MiB more`);
});

Deno.test("a server that is told to stop lets an upload finish, and leaves no pipe", async () => {
  const { dir: folder, ...held } = await scratch();
  await using _ = held;
  await using world = await start(["env", `TMPDIR=${folder}`]);
  const { required, curl, world: { server, dir, home } } = world;
  const file = await noiseFile(`${dir}/f`, 3 * 1024 * 1024);
  const idle = await shake(world);
  const sent = curl("anna", "--limit-rate", "4M", "-T", file, `${required}/f`);
  const begun = () => [...Deno.readDirSync(home("anna"))].length > 0;
  await eventually("it has begun", begun, 10);
  await server.stop();
  assert.match((await sent).stdout, /201$/, (await sent).stderr);
  assert.equal(await sha256(`${home("anna")}/f`), await sha256(file));
  assert.ok(idle.over);
  assert.deepEqual([...Deno.readDirSync(folder)], []);
  idle.tls.destroy();
});
