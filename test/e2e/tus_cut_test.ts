import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { noise } from "./files.ts";
import { eventually, run } from "./process.ts";
import { Server } from "./server.ts";
import { bytes, meta, octets, tusUsers } from "./tus_requests.ts";
import { fileWorld, makeWorld } from "./world.ts";

const password = "pa:ss+wör/d";
const world = fileWorld([{ username: "ann", password }], {
  args: ["--http", "127.0.0.1:0", "--workers", "2"],
});
const { ask, create, offsetOf, patch, read, tokenOf } = tusUsers(world, password);

Deno.test("a newer request ends the one that hangs half open, on whatever worker", async () => {
  const at = await create("ann", 10, { filename: "hung" });
  const token = await tokenOf(world().server.http, "ann");
  const { hostname, port } = new URL(world().server.http);
  using hung = await Deno.connect({ hostname, port: Number(port) });
  const head = [
    `PATCH ${at} HTTP/1.1`,
    `Host: ${hostname}`,
    `Authorization: Bearer ${token}`,
    "Tus-Resumable: 1.0.0",
    "Content-Type: application/offset+octet-stream",
    "Upload-Offset: 0",
    "Content-Length: 10",
  ].join("\r\n");
  await hung.write(bytes(`${head}\r\n\r\nabc`));
  const sessions = async () =>
    JSON.parse((await world().server.sluice("sessions", "list", "--json")).stdout);
  await eventually(
    "the request is at work",
    async () => (await sessions()).some((one: { command: string }) => one.command === "PATCH"),
  );
  const began = performance.now();
  const offset = await offsetOf("ann", at);
  assert.ok(offset === 0 || offset === 3, `${offset}`);
  assert.ok(performance.now() - began < 5000);
  const rest = "abcdefghij".slice(offset);
  assert.equal((await patch("ann", at, offset, bytes(rest))).status, 204);
  assert.equal(await read("ann", "hung"), "abcdefghij");
});

Deno.test("an upload that is cut goes on where it was cut; a checked chunk starts anew", async () => {
  const at = await create("ann", 4_000_000, { filename: "cut" });
  const body = noise(4_000_000, 7);
  const cut = async (offset: number, more: Record<string, string>) => {
    const url = world().server.http + at;
    const token = await tokenOf(world().server.http, "ann");
    const headers = { ...octets, "tus-resumable": "1.0.0", "upload-offset": String(offset) };
    const all = { ...headers, authorization: `Bearer ${token}`, expect: "", ...more };
    const { code } = await run("curl", [
      ..."-sS -X PATCH --limit-rate 1M --max-time 1 --data-binary @-".split(" "),
      ...Object.entries(all).flatMap(([name, value]) => ["-H", `${name}: ${value}`]),
      url,
    ], { stdin: body.subarray(offset) });
    assert.equal(code, 28);
  };
  await cut(0, {});
  const first = await offsetOf("ann", at);
  assert.ok(first > 100_000 && first < 4_000_000, `${first}`);
  const digest = createHash("sha1").update(body.subarray(first)).digest("base64");
  await cut(first, { "upload-checksum": `sha1 ${digest}` });
  assert.equal(await offsetOf("ann", at), first);
  const last = await patch("ann", at, first, body.subarray(first), {
    "upload-checksum": `sha1 ${digest}`,
  });
  assert.equal(last.status, 204);
  assert.deepEqual(await Deno.readFile(`${world().home("ann")}/cut`), body);
});

Deno.test("an upload that nobody goes on with goes, and with a removed user his", async () => {
  await using brief = await makeWorld(
    [{ username: "ann", password }, { username: "bob", password }],
    {
      args: ["--http", "127.0.0.1:0", "--workers", "2"],
      config: { httpd: { tus_expiration: 4 / 3600 } },
    },
  );
  const { http } = brief.server;
  const make = async (user: string) => {
    const made = await ask(
      user,
      "POST",
      "",
      {
        ...octets,
        "upload-length": "9",
        "upload-metadata": meta({ filename: "f" }),
      },
      bytes("half"),
      http,
    );
    assert.equal(made.status, 201, made.body);
    return made.headers.get("location") ?? "";
  };
  const [anns] = [await make("ann"), await make("bob")];
  const kept = (user: string) => `${brief.home(user)}/.sluice-upload.0000000000000000.kept`;
  const there = (user: string) => {
    try {
      return [...Deno.readDirSync(kept(user))].length > 0;
    } catch {
      return false;
    }
  };
  assert.ok(there("ann") && there("bob"));
  const scan = await brief.server.sluice("user", "quota-scan", "ann");
  assert.equal(scan.code, 0, scan.stderr);
  assert.equal((await brief.server.user("ann"))["used_quota_size"], 0, "no recount sees it");
  const removed = await brief.server.sluice("user", "remove", "bob");
  assert.equal(removed.code, 0, removed.stderr);
  await eventually("the removed user's goes", () => !there("bob"), 3.5);
  await eventually("the other's goes when its time is over", () => !there("ann"), 20);
  assert.equal((await ask("ann", "HEAD", anns, {}, undefined, http)).status, 404);
});

for (const when of ["before", "after"]) {
  Deno.test(`a crash ${when} the last rename leaves an upload that is, or becomes, the file`, async () => {
    await using crashed = await makeWorld([{ username: "ann", password }], {
      args: ["--http", "127.0.0.1:0", "--workers", "1"],
    });
    const data = crashed.server.dataDir;
    await crashed.server.kill9();
    const args = ["--http", "127.0.0.1:0", "--workers", "1"];
    const env = { SLUICE_FAILPOINTS: `publish.${when}_commit@/f=kill` };
    const doomed = await Server.start({ dataDir: data, args, env });
    const made = await ask(
      "ann",
      "POST",
      "",
      {
        "upload-length": "5",
        "upload-metadata": meta({ filename: "f" }),
      },
      undefined,
      doomed.http,
    );
    const at = made.headers.get("location") ?? "";
    const url = doomed.http + at;
    const token = await tokenOf(doomed.http, "ann");
    const { code } = await run("curl", [
      ..."-sS -X PATCH --data-binary @- -H".split(" "),
      `authorization: Bearer ${token}`,
      ..."-H tus-resumable:1.0.0 -H upload-offset:0".split(" "),
      ...["-H", "content-type: application/offset+octet-stream", url],
    ], { stdin: "hello" });
    assert.notEqual(code, 0);
    await doomed.child.status;
    await using again = await Server.start({ dataDir: data, args });
    const head = await ask("ann", "HEAD", at, {}, undefined, again.http);
    assert.deepEqual([head.status, head.headers.get("upload-offset")], [200, "5"]);
    assert.equal(await Deno.readTextFile(`${crashed.home("ann")}/f`), "hello");
    const uploads = (await again.events("--user", "ann", "--action", "upload"))
      .filter(({ status }) => status === 1);
    assert.equal(uploads.length, 1);
    const user = await again.user("ann");
    assert.deepEqual([user["used_quota_size"], user["used_quota_files"]], [5, 1]);
  });
}
