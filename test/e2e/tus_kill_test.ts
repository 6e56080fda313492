import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { eventually, must } from "./process.ts";
import { addUsers, Server } from "./server.ts";
import { scratch } from "./files.ts";

/** Bytes of the file; `TUS_TEST_BYTES` asks for more. */
const size = Number(Deno.env.get("TUS_TEST_BYTES") ?? 256 * 1024 * 1024);
const chunk = 16 * 1024 * 1024;
const client = new URL("./tus_client.ts", import.meta.url).pathname;
const password = "a password of ann";

interface Said {
  readonly retry?: number;
  readonly failed?: string;
  readonly done?: string;
}

const makeFile = async (path: string, bytes: number): Promise<string> => {
  using file = await Deno.open(path, { write: true, create: true });
  const hash = createHash("sha256");
  for (let at = 0; at < bytes;) {
    const part = crypto.getRandomValues(new Uint8Array(Math.min(65536, bytes - at)));
    hash.update(part);
    for (let done = 0; done < part.length;) done += await file.write(part.subarray(done));
    at += part.length;
  }
  return hash.digest("hex");
};

const digestOf = async (path: string): Promise<string> => {
  using file = await Deno.open(path);
  const hash = createHash("sha256");
  for await (const part of file.readable) hash.update(part);
  return hash.digest("hex");
};

/** Bytes of the unfinished uploads on the server's disk. */
const keptSizes = (home: string): number[] => {
  const kept = `${home}/.sluice-upload.0000000000000000.kept`;
  try {
    return [...Deno.readDirSync(kept)].map(({ name }) => Deno.statSync(`${kept}/${name}`).size);
  } catch {
    return [];
  }
};

const freePort = (): number => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
};

/** A token of ann's, which outlives the server. */
const tokenOf = async (http: string, user: string): Promise<string> => {
  const url = `${http}/api/v2/user/token`;
  return JSON.parse(await must("curl", ["-sS", "-f", "-u", `${user}:${password}`, url]))
    .access_token;
};

async function* events(stream: ReadableStream<Uint8Array>): AsyncGenerator<Said> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line);
  }
}

const survives = async (workers: number, parallel: number) => {
  await using folder = await scratch();
  const file = `${folder.dir}/big`;
  const digest = await makeFile(file, size);
  const dataDir = `${folder.dir}/data`;
  await Deno.mkdir(dataDir);
  await addUsers(dataDir, [{ username: "ann", password }]);
  const args = ["--http", `127.0.0.1:${freePort()}`, "--workers", String(workers)];
  let server = await Server.start({ dataDir, args });
  const home = `${dataDir}/users/ann`;
  const kills: number[] = [];
  const points = [0.15, 0.4, 0.65].map((share) => (share + Math.random() / 20) * size);
  const retries: number[] = [];
  let end: Said = {};
  const began = performance.now();
  try {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--node-modules-dir=manual",
        client,
        JSON.stringify({
          endpoint: `${server.http}/api/v2/user/tus`,
          token: await tokenOf(server.http, "ann"),
          file,
          metadata: { filename: "big" },
          chunkSize: chunk,
          parallel,
        }),
      ],
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    let over = false;
    // In the middle of a chunk: what was not acknowledged counts too.
    const killing = (async () => {
      for (const point of points) {
        let received = 0;
        await eventually(`${point} bytes are there`, () => {
          const sizes = over ? [] : keptSizes(home);
          received = sizes.reduce((sum, size) => sum + size, 0);
          return over || (received > point && sizes.some((size) => size % chunk !== 0));
        }, 300);
        if (over) return;
        await server.kill9();
        kills.push(received);
        server = await Server.start({ dataDir, args });
      }
    })();
    for await (const said of events(child.stdout)) {
      if (said.retry !== undefined) retries.push(said.retry);
      if (said.done !== undefined || said.failed !== undefined) end = said;
    }
    over = true;
    await killing;
    await child.status;
    const seconds = (performance.now() - began) / 1000;
    assert.ok(end.done, `the client ends well: ${JSON.stringify(end)}\n${server.stderr}`);
    assert.equal(kills.length, 3);
    assert.equal(await digestOf(`${home}/big`), digest);
    const left = [...Deno.readDirSync(home)].map(({ name }) => name).filter((n) => n !== "big");
    for (const name of left) assert.deepEqual([...Deno.readDirSync(`${home}/${name}`)], []);
    const uploads = (await server.events("--user", "ann")).filter(({ action }) =>
      action === "upload"
    );
    assert.equal(uploads.length, 1, JSON.stringify(uploads));
    assert.equal(uploads[0]?.["status"], 1);
    assert.equal(uploads[0]?.["file_size"], size);
    assert.equal(uploads[0]?.["protocol"], "HTTP");
    const user = await server.user("ann");
    assert.deepEqual([user["used_quota_size"], user["used_quota_files"]], [size, 1]);
    const line = `tus: ${size} bytes, ${workers} worker(s), ${parallel} stream(s), killed at ` +
      `${kills.join(", ")}; ${retries.length} retries; ${seconds.toFixed(1)} s; sha256 ${digest}\n`;
    await Deno.stderr.write(new TextEncoder().encode(line));
    await server.stop();
  } finally {
    await server.kill9();
  }
};

Deno.test("a server killed three times is gone on with by tus-js-client, to the same bytes", () =>
  survives(1, 0));
Deno.test("the same with two workers and two streams, which are joined", () => survives(2, 2));
