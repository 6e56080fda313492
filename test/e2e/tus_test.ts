import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { noise } from "./files.ts";
import { eventually, must, run } from "./process.ts";
import { Server } from "./server.ts";
import { fileWorld, makeWorld } from "./world.ts";

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

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

const tokens = new Map<string, string>();
const tokenOf = async (http: string, user: string): Promise<string> => {
  const known = tokens.get(http + user);
  if (known) return known;
  const url = `${http}/api/v2/user/token`;
  const { access_token } = JSON.parse(
    await must("curl", ["-sS", "-f", "-u", `${user}:${password}`, url]),
  );
  tokens.set(http + user, access_token);
  return access_token;
};

const parse = (stdout: string): Answer => {
  // An interim `100 Continue` comes first.
  const heads = stdout.split("\r\n\r\n");
  while (/^HTTP\/1\.1 1\d\d/.test(heads[0] ?? "")) heads.shift();
  const [first = "", ...lines] = (heads.shift() ?? "").split("\r\n");
  return {
    status: Number(first.split(" ")[1]),
    headers: new Headers(
      lines.map((line): [string, string] => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon), line.slice(colon + 1)];
      }),
    ),
    body: heads.join("\r\n\r\n"),
  };
};

/** Asks with curl. `where` is relative to where uploads are made. */
const ask = async (
  user: string,
  method: string,
  where: string,
  headers: Record<string, string> = {},
  body?: Uint8Array,
  http = world().server.http,
): Promise<Answer> => {
  const all = {
    authorization: `Bearer ${await tokenOf(http, user)}`,
    "tus-resumable": "1.0.0",
    expect: "",
    ...headers,
  };
  const url = where.startsWith("/") ? `${http}${where}` : `${http}/api/v2/user/tus${where}`;
  return parse(
    await must("curl", [
      "-sS",
      "-i",
      ...(method === "HEAD" ? ["-I"] : ["-X", method]),
      ...Object.entries(all).flatMap(([name, value]) => ["-H", `${name}: ${value}`]),
      ...(body ? ["--data-binary", "@-"] : []),
      url,
    ], body ? { stdin: body } : {}),
  );
};

const b64 = (text: string) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
const meta = (pairs: Record<string, string>) =>
  Object.entries(pairs).map(([key, value]) => `${key} ${b64(value)}`).join(",");
const octets = { "content-type": "application/offset+octet-stream" };
const bytes = (text: string) => new TextEncoder().encode(text);

const create = async (user: string, length: number, about: Record<string, string>) => {
  const made = await ask(user, "POST", "", {
    "upload-length": String(length),
    "upload-metadata": meta(about),
  });
  assert.equal(made.status, 201, made.body);
  return made.headers.get("location") ?? "";
};
const patch = (
  user: string,
  where: string,
  offset: number,
  body: Uint8Array,
  more: Record<string, string> = {},
) => ask(user, "PATCH", where, { ...octets, "upload-offset": String(offset), ...more }, body);
const offsetOf = async (user: string, where: string) => {
  const { status, headers } = await ask(user, "HEAD", where);
  return status === 200 ? Number(headers.get("upload-offset")) : status;
};
const read = (user: string, path: string) => Deno.readTextFile(`${world().home(user)}/${path}`);
const usage = async (user: string) => {
  const { used_quota_size, used_quota_files } = await world().server.user(user);
  return [used_quota_size, used_quota_files];
};

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
