import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { noise } from "./files.ts";
import { eventually, run } from "./process.ts";
import { bytes, meta, octets, tusUsers } from "./tus_requests.ts";
import { fileWorld } from "./world.ts";

const password = "pa:ss+wör/d";
const world = fileWorld([
  { username: "ann", password },
  { username: "bob", password },
  { username: "looker", password, permissions: { "/": ["list", "download"] } },
  { username: "small", password, quota_size: 1000 },
  { username: "short", password, filters: { max_upload_file_size: 100 } },
  {
    username: "picky",
    password,
    filters: { file_patterns: [{ path: "/", denied_patterns: ["*.exe"] }] },
  },
], { args: ["--http", "127.0.0.1:0", "--workers", "2"] });
const { ask, create, offsetOf, patch, read, usage } = tusUsers(world, password);

Deno.test("OPTIONS tells what the server can, to anybody", async () => {
  const { status, headers } = await ask("ann", "OPTIONS", "", { authorization: "" });
  assert.equal(status, 204);
  assert.equal(headers.get("tus-version"), "1.0.0");
  assert.equal(headers.get("tus-resumable"), "1.0.0");
  assert.deepEqual(headers.get("tus-extension")?.split(","), [
    "creation",
    "creation-with-upload",
    "expiration",
    "checksum",
    "termination",
    "concatenation",
  ]);
  assert.deepEqual(headers.get("tus-checksum-algorithm")?.split(","), [
    "sha1",
    "sha256",
    "sha512",
    "md5",
  ]);
});

Deno.test("an upload in three parts becomes the file at its end, and not before", async () => {
  await Deno.writeTextFile(`${world().home("ann")}/parts.txt`, "old");
  const at = await create("ann", 9, { filename: "parts.txt", mtime: "1600000000000" });
  assert.match(at, /^\/api\/v2\/user\/tus\/[0-9a-f]{32}$/);
  const head = await ask("ann", "HEAD", at);
  assert.equal(head.status, 200);
  assert.equal(head.headers.get("upload-length"), "9");
  assert.equal(head.headers.get("upload-offset"), "0");
  assert.equal(head.headers.get("cache-control"), "no-store");
  assert.equal(
    head.headers.get("upload-metadata"),
    meta({ filename: "parts.txt", mtime: "1600000000000" }),
  );
  const expires = Date.parse(head.headers.get("upload-expires") ?? "");
  assert.ok(Math.abs(expires - Date.now() - 24 * 3600_000) < 60_000, "a day");
  const one = await patch("ann", at, 0, bytes("one"));
  assert.deepEqual([one.status, one.headers.get("upload-offset")], [204, "3"]);
  assert.equal((await patch("ann", at, 0, bytes("two"))).status, 409, "the wrong offset");
  assert.equal((await patch("ann", at, 3, bytes("two"))).status, 204);
  assert.equal(await read("ann", "parts.txt"), "old");
  const last = await patch("ann", at, 6, bytes("six"));
  assert.deepEqual([last.status, last.headers.get("upload-offset")], [204, "9"]);
  assert.equal(last.headers.get("upload-expires"), null);
  assert.equal(await read("ann", "parts.txt"), "onetwosix");
  const { mtime } = await Deno.stat(`${world().home("ann")}/parts.txt`);
  assert.equal(mtime?.getTime(), 1600000000000);
  assert.equal(await offsetOf("ann", at), 9, "a client that lost the answer learns it");
  assert.equal((await patch("ann", at, 9, bytes("x"))).status, 409);
});

Deno.test("creation with the whole body, of nothing, and with directories", async () => {
  const whole = await ask("ann", "POST", "", {
    ...octets,
    "upload-length": "5",
    "upload-metadata": meta({ filename: "ü ü.txt" }),
  }, bytes("hello"));
  assert.deepEqual([whole.status, whole.headers.get("upload-offset")], [201, "5"]);
  assert.equal(await read("ann", "ü ü.txt"), "hello");
  await create("ann", 0, { path: "/empty" });
  assert.equal(await read("ann", "empty"), "");
  const about = { path: "new/dir/", filename: "f" };
  const missing = await ask("ann", "POST", "", {
    "upload-length": "0",
    "upload-metadata": meta(about),
  });
  assert.equal(missing.status, 404);
  await create("ann", 0, { ...about, mkdir_parents: "true" });
  assert.equal(await read("ann", "new/dir/f"), "");
  const again = { path: "new/dir/f", overwrite: "false" };
  const refused = await ask("ann", "POST", "", {
    "upload-length": "1",
    "upload-metadata": meta(again),
  });
  assert.equal(refused.status, 409);
});

Deno.test("a chunk with another checksum is not added", async () => {
  const sum = (name: string, text: string) =>
    `${name} ${createHash(name).update(text).digest("base64")}`;
  const at = await create("ann", 8, { filename: "sums" });
  const send = (offset: number, text: string, checksum: string) =>
    patch("ann", at, offset, bytes(text), { "upload-checksum": checksum });
  assert.equal((await send(0, "good", sum("sha1", "good"))).status, 204);
  assert.equal((await send(4, "evil", sum("sha256", "good"))).status, 460);
  assert.equal(await offsetOf("ann", at), 4);
  assert.equal((await send(4, "ev", sum("md5", "good"))).status, 460);
  assert.equal((await send(4, "evil", "crc32 AAAA")).status, 400);
  assert.equal((await send(4, "evil", "sha1 AAAA")).status, 400);
  assert.equal(await offsetOf("ann", at), 4);
  assert.equal((await send(4, "well", sum("sha256", "well"))).status, 204);
  assert.equal(await read("ann", "sums"), "goodwell");
});

Deno.test("termination frees the upload; nobody else sees it", async () => {
  const at = await create("ann", 8, { filename: "never" });
  assert.equal((await patch("ann", at, 0, bytes("half"))).status, 204);
  assert.equal((await ask("bob", "HEAD", at)).status, 404);
  assert.equal((await patch("bob", at, 4, bytes("evil"))).status, 404);
  assert.equal((await ask("bob", "DELETE", at)).status, 404);
  assert.equal((await ask("ann", "POST", at, { "x-http-method-override": "DELETE" })).status, 204);
  assert.equal((await ask("ann", "HEAD", at)).status, 404);
  assert.equal((await patch("ann", at, 4, bytes("half"))).status, 404);
  const names = [...Deno.readDirSync(world().home("ann"))].map(({ name }) => name);
  assert.ok(!names.includes("never"));
});

Deno.test("pieces are joined in the order that is asked for, and go", async () => {
  const piece = async (text: string, whole = text.length) => {
    const made = await ask("ann", "POST", "", {
      ...octets,
      "upload-length": String(whole),
      "upload-concat": "partial",
    }, bytes(text));
    assert.equal(made.status, 201);
    return made.headers.get("location") ?? "";
  };
  const [two, one, half] = [await piece("two"), await piece("one"), await piece("ha", 4)];
  const head = await ask("ann", "HEAD", one);
  assert.equal(head.headers.get("upload-concat"), "partial");
  const join = (user: string, parts: ReadonlyArray<string>, more: Record<string, string> = {}) =>
    ask(user, "POST", "", {
      "upload-concat": `final;${parts.join(" ")}`,
      "upload-metadata": meta({ filename: "joined" }),
      ...more,
    });
  assert.equal((await join("ann", [one, half])).status, 409);
  assert.equal((await join("ann", [one, one])).status, 409);
  assert.equal((await join("bob", [one, two])).status, 404);
  assert.equal((await join("ann", [one, "/etc/passwd"])).status, 400);
  assert.equal((await join("ann", [one, two], { "upload-length": "6" })).status, 400);
  const before = await usage("ann");
  const final = await join("ann", [world().server.http + one, two]);
  assert.equal(final.status, 201, final.body);
  assert.equal(await read("ann", "joined"), "onetwo");
  const at = final.headers.get("location") ?? "";
  const shown = await ask("ann", "HEAD", at);
  assert.equal(shown.headers.get("upload-concat"), `final;${one} ${two}`);
  assert.deepEqual([shown.headers.get("upload-offset"), shown.headers.get("upload-length")], [
    "6",
    "6",
  ]);
  assert.equal((await patch("ann", at, 6, bytes("x"))).status, 403);
  assert.equal((await ask("ann", "HEAD", one)).status, 404);
  await eventually("the usage is stored", async () => {
    const [size, files] = await usage("ann");
    return size === Number(before[0]) + 6 && files === Number(before[1]) + 1;
  });
});

Deno.test("policy, patterns, limits and quota are those of every upload", async () => {
  const refused = async (user: string, length: number, about: Record<string, string>) => {
    const { status, body } = await ask(user, "POST", "", {
      "upload-length": String(length),
      "upload-metadata": meta(about),
    });
    assert.match(body, /"message"/);
    return status;
  };
  assert.equal(await refused("looker", 1, { filename: "x" }), 403);
  assert.equal(await refused("picky", 1, { filename: "x.exe" }), 403);
  assert.equal(await refused("short", 101, { filename: "x" }), 413);
  assert.equal(await refused("small", 1001, { filename: "x" }), 507);
  assert.equal(await refused("ann", 1, { path: "/.sluice-upload.0000000000000000.kept/x" }), 403);
  assert.equal(await refused("ann", 1, { path: "../x" }), 400);
  assert.equal(await refused("ann", 1, { path: "/" }), 400);
  assert.equal(await refused("ann", 1, {}), 400);
  // Unfinished uploads count against each other before a byte of them has come.
  const first = await create("small", 600, { filename: "a" });
  assert.equal(await refused("small", 600, { filename: "b" }), 507);
  assert.equal((await ask("small", "DELETE", first)).status, 204);
  const second = await create("small", 600, { filename: "b" });
  assert.equal((await patch("small", second, 0, noise(601))).status, 413);
  // What others take meanwhile is missing at the end, and the old file stays.
  await Deno.writeTextFile(`${world().home("small")}/b`, "old");
  const put = await run("curl", [
    ..."-sS -o /dev/null -w %{http_code} -T -".split(" "),
    ...["-u", `small:${password}`, `${world().server.http}/dav/c`],
  ], { stdin: noise(700) });
  assert.equal(put.stdout, "201");
  assert.equal((await patch("small", second, 0, noise(600))).status, 507);
  assert.equal(await read("small", "b"), "old");
  assert.deepEqual(await usage("small"), [700, 1]);
});

Deno.test("malformed requests get a clear status", async () => {
  const status = async (method: string, headers: Record<string, string>, where = "") =>
    (await ask("ann", method, where, headers)).status;
  assert.equal(await status("POST", { "tus-resumable": "0.2.2" }), 412);
  assert.equal(await status("POST", { authorization: "Bearer x" }), 401);
  assert.equal(await status("POST", { "upload-length": "-1" }), 400);
  assert.equal(await status("POST", { "upload-length": "9".repeat(30) }), 400);
  assert.equal(await status("POST", { "upload-defer-length": "1" }), 400);
  assert.equal(
    await status("POST", { "upload-length": "1", "upload-metadata": "filename !" }),
    400,
  );
  assert.equal(
    await status("POST", { "upload-length": "1", "upload-metadata": "filename /w==" }),
    400,
  );
  assert.equal(await status("POST", { "upload-length": "1", "upload-concat": "other" }), 400);
  assert.equal(await status("GET", {}), 405);
  assert.equal(await status("HEAD", {}, "/../../token"), 404);
  assert.equal(await status("HEAD", {}, `/${"0".repeat(32)}`), 404);
  const at = await create("ann", 3, { filename: "bad" });
  assert.equal(await status("PATCH", { "upload-offset": "0" }, at), 415);
  assert.equal(await status("PATCH", octets, at), 400);
  assert.equal(await status("PATCH", { ...octets, "upload-offset": "1e3" }, at), 400);
  assert.equal(await status("PUT", {}, at), 405);
  assert.equal((await ask("ann", "DELETE", at)).status, 204);
});
