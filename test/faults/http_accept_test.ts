import assert from "node:assert/strict";
import { noiseFile, sha256 } from "../e2e/files.ts";
import { apiUsers, curl } from "../e2e/http_client.ts";
import { eventually, pause } from "../e2e/process.ts";
import { needs } from "../e2e/tools.ts";
import { makeWorld, type World } from "../e2e/world.ts";

const password = "correct horse";
const http = { args: ["--http", "127.0.0.1:0", "--workers", "1"] };
const open = { common: { max_per_host_connections: 0 } };
const HALF = "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ";

/** A connection that has sent `text`; tells when the server ended it. */
const caller = async (port: number, text: string) => {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const call = { conn, received: "", over: false };
  const decoder = new TextDecoder();
  (async () => {
    for await (const chunk of conn.readable) call.received += decoder.decode(chunk);
  })().catch(() => {}).finally(() => call.over = true);
  if (text !== "") await conn.write(new TextEncoder().encode(text)).catch(() => {});
  return call;
};

const callers = async (port: number, count: number, text: string) => {
  const all: Awaited<ReturnType<typeof caller>>[] = [];
  for (let i = 0; i < count; i += 50) {
    const some = await Promise.allSettled(
      Array.from({ length: Math.min(50, count - i) }, () => caller(port, text)),
    );
    for (const one of some) if (one.status === "fulfilled") all.push(one.value);
  }
  return all;
};

const hangUp = (all: ReadonlyArray<Awaited<ReturnType<typeof caller>>>) => {
  for (const { conn } of all) {
    try {
      conn.close();
    } catch {
      // Its reader closed it at the end.
    }
  }
};

const portOf = (world: World) => Number(new URL(world.server.http).port);
const answers = async (world: World) => (await curl("-m", "5", world.server.http)).status;

Deno.test("SECURITY 7.6: half a request, a drop a second and silence are cut after 15 s; who asks stays", async () => {
  await using world = await makeWorld([], { ...http, config: open });
  const port = portOf(world);
  const began = performance.now();
  const silent = await caller(port, "");
  const half = await caller(port, HALF);
  const drip = await caller(port, HALF);
  const asks = await caller(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const dripping = (async () => {
    while (!drip.over && performance.now() - began < 30_000) {
      await drip.conn.write(new TextEncoder().encode("x")).catch(() => {});
      await pause(1000);
    }
  })();
  await eventually(
    "all three are cut",
    () => silent.over && half.over && drip.over,
    25,
  );
  const seconds = (performance.now() - began) / 1000;
  assert.ok(seconds > 13 && seconds < 22, `${seconds} s`);
  assert.match(asks.received, /^HTTP\/1\.1 404/);
  assert.equal(asks.over, false, "it may ask again for a minute");
  await asks.conn.write(new TextEncoder().encode("GET /x HTTP/1.1\r\nHost: a\r\n\r\n"));
  await eventually("the second answer", () => asks.received.match(/HTTP\/1\.1 404/g)?.length === 2);
  await dripping;
  hangUp([silent, half, drip, asks]);
});

Deno.test("SECURITY 7.6: of 3,000 silent and 200 half requests few are kept, and a transfer and logins work", async () => {
  await using world = await makeWorld([{ username: "ann", password }], { ...http, config: open });
  const { as, login, url } = apiUsers(() => world, password);
  await login("ann");
  const before = world.server.descriptors;
  const all = [
    ...await callers(portOf(world), 3000, ""),
    ...await callers(portOf(world), 200, HALF),
  ];
  await pause(500);
  const kept = world.server.descriptors - before;
  assert.ok(kept < 300, `${kept} connections of one address that ask nothing`);
  const file = await noiseFile(`${world.dir}/f`, 100 * 1024 * 1024);
  const sent = await as("ann", "-T", file, "-X", "POST", url("files/upload", { path: "/f" }));
  assert.equal(sent.status, 201, sent.body);
  assert.equal(await sha256(`${world.home("ann")}/f`), await sha256(file));
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    await login("ann");
    times.push(performance.now() - start);
  }
  assert.ok(Math.max(...times) < 2000, `${times} ms`);
  await eventually("the last is cut", () => all.every(({ over }) => over), 30);
  hangUp(all);
});

(await needs("prlimit"))(
  "SECURITY 7.5: 400 HTTP clients on 256 descriptors keep nobody out for long",
  async () => {
    await using world = await makeWorld([], {
      ...http,
      config: open,
      wrap: ["prlimit", "--nofile=256"],
    });
    const all = await callers(portOf(world), 400, HALF);
    hangUp(all);
    const began = performance.now();
    await eventually("the port accepts again", async () => await answers(world) === 404, 10);
    const seconds = (performance.now() - began) / 1000;
    assert.ok(seconds < 2, `${seconds} s`);
  },
);
