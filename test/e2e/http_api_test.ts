import assert from "node:assert/strict";
import { leftovers, sha256 } from "./files.ts";
import { eventually, must, run } from "./process.ts";
import { fileWorld } from "./world.ts";

const password = "pa:ss+wör/d";
const world = fileWorld([
  { username: "ann", password },
  { username: "looker", password, permissions: { "/": ["list", "download"] } },
  { username: "reader", password, filters: { web_client: ["write-disabled"] } },
  { username: "small", password, quota_size: 100_000 },
  { username: "nohttp", password, filters: { denied_protocols: ["HTTP"] } },
  { username: "changed", password },
  { username: "starter", password, filters: { start_directory: "/in" } },
], { args: ["--http", "127.0.0.1:0", "--workers", "2"] });

const base = () => `${world().server.http}/api/v2/user`;
interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: Headers;
  readonly code: number;
}

/** One request by curl; the headers are those of the last answer. */
const curl = async (...args: string[]): Promise<Answer> => {
  const { stdout, code } = await run("curl", [
    ...["-sS", "-w", "\n%{http_code}\n%{header_json}"],
    ...args,
  ]);
  const [, body = "", status = "", json = ""] = /^([\s\S]*)\n(\d{3})\n(\{[\s\S]*)$/.exec(stdout) ??
    [];
  const headers = new Headers();
  for (const [name, values] of Object.entries(JSON.parse(json || "{}"))) {
    headers.set(name, String((values as string[]).at(-1)));
  }
  return { status: Number(status), body, headers, code };
};

const tokens = new Map<string, string>();
const login = async (user: string): Promise<string> => {
  const answer = await curl("-u", `${user}:${password}`, `${base()}/token`);
  assert.equal(answer.status, 200, answer.body);
  return JSON.parse(answer.body).access_token;
};
const as = async (user: string, ...args: string[]): Promise<Answer> => {
  const token = tokens.get(user) ?? await login(user);
  tokens.set(user, token);
  return await curl("-H", `Authorization: Bearer ${token}`, ...args);
};
const ann = (...args: string[]) => as("ann", ...args);
const url = (route: string, query: Readonly<Record<string, string>> = {}) =>
  `${base()}/${route}?${new URLSearchParams(query)}`;
const error = (answer: Answer) => {
  const { message, error } = JSON.parse(answer.body);
  assert.equal(typeof message, "string");
  assert.equal(typeof error, "string");
  return answer.status;
};
const names = async (user: string, path: string) =>
  JSON.parse((await as(user, url("dirs", { path }))).body)
    .map(({ name }: { name: string }) => name).sort();
Deno.test("a token is given for the right password, ends at logout and stands for one account", async () => {
  const { server } = world();
  const answer = await curl("-u", `ann:${password}`, `${base()}/token`);
  const { access_token, expires_at } = JSON.parse(answer.body);
  const left = Date.parse(expires_at) - Date.now();
  assert.ok(left > 19 * 60_000 && left <= 20 * 60_000);
  assert.equal(answer.headers.get("cache-control"), "no-store");
  assert.match(answer.headers.get("x-request-id") ?? "", /^\S{8,}$/);
  const bearer = ["-H", `Authorization: Bearer ${access_token}`];
  const profile = await curl(...bearer, `${base()}/profile`);
  assert.equal(profile.status, 200);
  assert.deepEqual(Object.keys(JSON.parse(profile.body)).sort(), [
    "allow_api_key_auth",
    "description",
    "email",
    "public_keys",
  ]);
  assert.equal((await curl(...bearer, `${base()}/logout`)).status, 200);
  // Every worker knows it.
  for (let i = 0; i < 8; i++) {
    assert.equal(error(await curl(...bearer, `${base()}/profile`)), 401);
  }
  assert.equal(error(await curl(`${base()}/dirs`)), 401);
  assert.equal(error(await curl("-u", "ann:wrong", `${base()}/token`)), 401);
  assert.equal(error(await curl("-u", `nobody:${password}`, `${base()}/token`)), 401);
  assert.equal(error(await curl("-u", `nohttp:${password}`, `${base()}/token`)), 401);
  const twice = ["-H", "Authorization: Basic YTpi", "-H", "Authorization: Basic YTpi"];
  assert.equal(error(await curl(...twice, `${base()}/token`)), 400);
  const failed = await server.events("--action", "login.failed", "--user", "nohttp");
  assert.match(JSON.stringify(failed), /the protocol is denied/);
});

Deno.test("a token that is not ours, or is of another kind, is worth nothing", async () => {
  const token = await login("ann");
  const [head = "", body = "", sign = ""] = token.split(".");
  const part = (value: unknown) => btoa(JSON.stringify(value)).replace(/=+$/, "");
  const claims = JSON.parse(atob(body.replaceAll("-", "+").replaceAll("_", "/")));
  const tries = [
    `${part({ alg: "none", typ: "JWT" })}.${body}.`,
    `${head}.${part({ ...claims, sub: "looker" })}.${sign}`,
    `${head}.${body}.${sign.slice(0, -4)}AAAA`,
    `${head}.${body}`,
    "x",
    "a".repeat(5000),
  ];
  for (const forged of tries) {
    const answer = await curl("-H", `Authorization: Bearer ${forged}`, `${base()}/dirs`);
    assert.equal(error(answer), 401);
  }
});

Deno.test("a changed or disabled account ends its tokens", async () => {
  const { server } = world();
  assert.equal((await as("changed", `${base()}/dirs`)).status, 200);
  const { code, stderr } = await server.sluice("user", "update", "changed", "--status", "0");
  assert.equal(code, 0, stderr);
  assert.equal(error(await as("changed", `${base()}/dirs`)), 401);
  assert.equal(error(await curl("-u", `changed:${password}`, `${base()}/token`)), 401);
});

Deno.test("directories are made, listed, renamed and removed", async () => {
  assert.equal((await ann("-X", "POST", url("dirs", { path: "/d" }))).status, 201);
  assert.equal(error(await ann("-X", "POST", url("dirs", { path: "/d" }))), 409);
  assert.equal(error(await ann("-X", "POST", url("dirs", { path: "/x/y" }))), 404);
  const parents = url("dirs", { path: "/x/y z/é", mkdir_parents: "true" });
  assert.equal((await ann("-X", "POST", parents)).status, 201);
  assert.deepEqual(await names("ann", "/x"), ["y z"]);
  assert.deepEqual(await names("ann", "/x/y z"), ["é"]);
  assert.equal((await ann(url("dirs", { path: "/x/y z/é" }))).body, "[]\n");
  assert.equal(error(await ann(url("dirs", { path: "/none" }))), 404);
  const [entry] = JSON.parse((await ann(url("dirs", { path: "/x" }))).body);
  assert.equal(Math.floor(entry.mode / 2 ** 31), 1);
  assert.match(entry.last_modified, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  const renamed = url("dirs", { path: "/x/y z", target: "/x/w" });
  assert.equal((await ann("-X", "PATCH", renamed)).status, 200);
  assert.equal(error(await ann("-X", "PATCH", renamed)), 404);
  assert.equal(error(await ann("-X", "DELETE", url("dirs", { path: "/" }))), 403);
  assert.equal((await ann("-X", "DELETE", url("dirs", { path: "/x" }))).status, 200);
  assert.equal(error(await ann("-X", "DELETE", url("dirs", { path: "/x" }))), 404);
  assert.equal(error(await ann("-X", "DELETE", url("dirs", {}))), 400);
  assert.equal(error(await ann("-X", "PUT", url("dirs", {}))), 405);
  assert.equal(error(await ann(`${base()}/nothing`)), 404);
});

Deno.test("relative paths start at the start directory", async () => {
  const { home } = world();
  const up = url("files/upload", { path: "a" });
  assert.equal((await as("starter", "--data-binary", "1", up)).status, 201);
  assert.equal(await Deno.readTextFile(`${home("starter")}/in/a`), "1");
  assert.deepEqual(await names("starter", ""), ["a"]);
});

Deno.test("a directory of thousands is listed whole, each name once", async () => {
  const { home } = world();
  await Deno.mkdir(`${home("ann")}/many`);
  for (let i = 0; i < 3000; i++) await Deno.writeTextFile(`${home("ann")}/many/f${i}`, "");
  const found = await names("ann", "/many");
  assert.equal(found.length, 3000);
  assert.equal(new Set(found).size, 3000);
});

Deno.test("a body becomes the file, with its time, and is read again", async () => {
  const { dir, home } = world();
  const file = `${dir}/big`;
  await must("sh", ["-c", `head -c 20000001 /dev/urandom > ${file}`]);
  const sum = await sha256(file);
  const up = url("files/upload", { path: "/up/big file", mkdir_parents: "1" });
  const put = await ann("-T", file, "-X", "POST", "-H", "X-SFTPGO-MTIME: 1000000000000", up);
  assert.equal(put.status, 201, put.body);
  assert.equal(await sha256(`${home("ann")}/up/big file`), sum);
  assert.equal((await Deno.stat(`${home("ann")}/up/big file`)).mtime?.getTime(), 1e12);
  // Chunked, over the same name.
  const chunked = await ann("-T", "-", "-X", "POST", "-H", "Expect:", up);
  assert.equal(chunked.status, 201);
  assert.equal((await Deno.stat(`${home("ann")}/up/big file`)).size, 0);
  assert.equal((await ann("-T", file, up)).status, 201);
  assert.equal(
    (await ann("-o", `${dir}/back`, url("files", { path: "/up/big file" }))).status,
    200,
  );
  assert.equal(await sha256(`${dir}/back`), sum);
  const none = url("files/upload", { path: "/no/where" });
  assert.equal(error(await ann("--data-binary", "x", none)), 404);
  assert.equal(error(await ann("--data-binary", "x", url("files/upload", { path: "/up" }))), 409);
  const wrong = await ann("--data-binary", "x", "-H", "X-Sluice-MTIME: soon", up);
  assert.equal(error(wrong), 400);
  assert.equal(error(await ann("--data-binary", "x", "-H", 'If-Match: "x"', up)), 412);
  assert.equal(error(await ann("--data-binary", "x", "-H", "If-None-Match: *", up)), 412);
  assert.equal(await sha256(`${home("ann")}/up/big file`), sum);
});

Deno.test("a form's files are stored one by one", async () => {
  const { dir, home } = world();
  await must("sh", ["-c", `head -c 9000000 /dev/urandom > ${dir}/f1; printf 2 > ${dir}/f2`]);
  const to = url("files", { path: "/form/in", mkdir_parents: "true" });
  const files = ["-F", `filenames=@${dir}/f1`, "-F", "note=x", "-F", `filenames=@${dir}/f2`];
  const answer = await ann(...files, "-F", `filenames=@${dir}/f2;filename=ü q.txt`, to);
  assert.equal(answer.status, 201, answer.body);
  assert.deepEqual(await names("ann", "/form/in"), ["f1", "f2", "ü q.txt"]);
  assert.equal(await sha256(`${home("ann")}/form/in/f1`), await sha256(`${dir}/f1`));
  assert.equal(await Deno.readTextFile(`${home("ann")}/form/in/f2`), "2");
  const path = await ann("-F", `filenames=@${dir}/f2;filename=a/b/c`, to);
  assert.equal(path.status, 201);
  assert.equal(await Deno.readTextFile(`${home("ann")}/form/in/c`), "2");
  const bad = [
    ["-F", `filenames=@${dir}/f2;filename=../../e`],
    ["-F", `filenames=@${dir}/f2;filename=..\\e`],
    ["-F", `other=@${dir}/f2`],
    ["-F", "note=x"],
    ["--data-binary", "x"],
    ["-H", "Content-Type: multipart/form-data", "--data-binary", "x"],
    ["-H", "Content-Type: multipart/form-data; boundary=x", "--data-binary", "x"],
  ];
  for (const form of bad) assert.equal(error(await ann(...form, to)), 400, form.join(" "));
  assert.deepEqual(await names("ann", "/form/in"), ["c", "f1", "f2", "ü q.txt"]);
});

Deno.test("ranges and conditions hold", async () => {
  await ann("--data-binary", "0123456789", url("files/upload", { path: "/r" }));
  const at = url("files", { path: "/r" });
  const range = async (spec: string, ...more: string[]) => {
    const { status, body } = await ann("-H", `Range: bytes=${spec}`, ...more, at);
    return status < 300 ? [status, body] : status;
  };
  assert.deepEqual(await range("2-4"), [206, "234"]);
  assert.deepEqual(await range("-3"), [206, "789"]);
  assert.deepEqual(await range("7-100"), [206, "789"]);
  for (const none of ["20-", "5-2", "-0", "0-1,8-9"]) assert.equal(await range(none), 416);
  assert.deepEqual(await range("0-1", "-H", 'If-Range: "x"'), [200, "0123456789"]);
  const whole = await ann(at);
  const tag = whole.headers.get("etag") ?? "";
  assert.deepEqual(await range("0-1", "-H", `If-Range: ${tag}`), [206, "01"]);
  assert.equal((await ann("-H", `If-None-Match: ${tag}`, at)).status, 304);
  assert.equal(error(await ann("-H", 'If-Match: "x"', at)), 412);
  const modified = whole.headers.get("last-modified");
  assert.equal((await ann("-H", `If-Modified-Since: ${modified}`, at)).status, 304);
  const old = "Thu, 01 Jan 1970 00:00:00 GMT";
  assert.equal(error(await ann("-H", `If-Unmodified-Since: ${old}`, at)), 412);
  const head = await ann("-I", at);
  assert.equal(head.status, 200);
  assert.equal(head.headers.get("content-length"), "10");
  assert.equal(error(await ann(url("files", { path: "/" }))), 400);
  assert.equal(error(await ann(url("files", { path: "/none" }))), 404);
});

Deno.test("a file never acts as a page, and its name never as a header", async () => {
  const name = 'a";b\\%0d.html';
  await ann("--data-binary", "<script>", url("files/upload", { path: "/page.html" }));
  await ann("--data-binary", "<svg>", url("files/upload", { path: "/p.svg" }));
  await ann("--data-binary", "%PDF", url("files/upload", { path: "/p.pdf" }));
  await ann("--data-binary", "x", url("files/upload", { path: `/${name.replace("\\", "é")}` }));
  for (const path of ["/page.html", "/p.svg"]) {
    const { headers } = await ann(url("files", { inline_path: path }));
    assert.match(headers.get("content-disposition") ?? "", /^attachment;/);
    assert.equal(headers.get("content-type"), "application/octet-stream");
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.match(headers.get("content-security-policy") ?? "", /sandbox/);
  }
  const pdf = await ann(url("files", { inline_path: "/p.pdf" }));
  assert.match(pdf.headers.get("content-disposition") ?? "", /^inline;/);
  assert.equal(pdf.headers.get("content-type"), "application/pdf");
  const named = await ann(url("files", { path: '/a";bé%0d.html' }));
  assert.equal(
    named.headers.get("content-disposition"),
    `attachment; filename="a_;b__0d.html"; filename*=UTF-8''a%22%3Bb%C3%A9%250d.html`,
  );
});

Deno.test("files are renamed, moved, copied, dated and removed", async () => {
  const { home } = world();
  const put = (path: string, text: string) =>
    ann("--data-binary", text, url("files/upload", { path, mkdir_parents: "1" }));
  const act = async (method: string, route: string, query: Record<string, string>) =>
    (await ann("-X", method, url(route, query))).status;
  await put("/t/a", "a");
  await put("/t/b", "b");
  assert.equal(await act("PATCH", "files", { path: "/t/a", target: "/t/b" }), 200);
  assert.equal(await Deno.readTextFile(`${home("ann")}/t/b`), "a");
  const copy = { path: "/t/b", target: "/t/new/deep/c" };
  assert.equal(await act("POST", "file-actions/copy", copy), 200);
  const moved = { path: "/t/new", target: "/t2/sub/new" };
  assert.equal(await act("PATCH", "dirs", moved), 404);
  assert.equal(await act("POST", "file-actions/move", moved), 200);
  assert.equal(await Deno.readTextFile(`${home("ann")}/t2/sub/new/deep/c`), "a");
  assert.equal(await act("POST", "file-actions/copy", { path: "/t2", target: "/t2/in" }), 501);
  assert.equal(await act("POST", "file-actions/move", { path: "/t2", target: "/t2/in" }), 501);
  assert.equal(await act("POST", "file-actions/move", { path: "/no", target: "/made/x" }), 404);
  await assert.rejects(Deno.stat(`${home("ann")}/made`));
  const date = url("files/metadata", { path: "/t/b" });
  const patch = (json: string) => ann("-X", "PATCH", "--data-binary", json, date);
  assert.equal((await patch('{"modification_time":1500000000000}')).status, 200);
  assert.equal((await Deno.stat(`${home("ann")}/t/b`)).mtime?.getTime(), 15e11);
  for (const wrong of ["{", "[]", "{}", '{"modification_time":"x"}', "null"]) {
    assert.equal(error(await patch(wrong)), 400);
  }
  assert.equal(await act("DELETE", "files", { path: "/t" }), 400);
  assert.equal(await act("DELETE", "dirs", { path: "/t/b" }), 400);
  assert.equal(await act("DELETE", "files", { path: "/t/b" }), 200);
  assert.equal(await act("DELETE", "files", { path: "/t/b" }), 404);
});

Deno.test("policy is the VFS's: who may only look changes nothing", async () => {
  const up = url("files/upload", { path: "/x" });
  for (const user of ["looker", "reader"]) {
    assert.equal(error(await as(user, "--data-binary", "x", up)), 403);
    assert.equal(error(await as(user, "-X", "POST", url("dirs", { path: "/d" }))), 403);
    assert.equal((await as(user, url("dirs"))).body, "[]\n");
  }
});

Deno.test("hostile paths are refused alike on every route", async () => {
  const { home } = world();
  const before = await names("ann", "/");
  const bad = [
    ...["../../etc/passwd", "..%5c..%5cx", "%2e%2e/x", "%252e%252e/../x", "a/%c0%ae%c0%ae/x"],
    ...["%ff", "a%00b", "a%0db", "a%0ab", "%7f", "%zz", "x".repeat(256), "/x".repeat(2100)],
  ];
  const routes = [
    ["GET", "files"],
    ["GET", "dirs"],
    ["POST", "dirs"],
    ["DELETE", "dirs"],
    ["DELETE", "files"],
    ["POST", "files/upload"],
  ] as const;
  for (const path of bad) {
    for (const [method, route] of routes) {
      const answer = await ann("-X", method, `${base()}/${route}?path=${path}`);
      assert.equal(error(answer), 400, `${method} ${route} ${path.slice(0, 40)}`);
    }
  }
  assert.equal(error(await ann(`${base()}/files?path=a&path=b`)), 400);
  assert.deepEqual(await names("ann", "/"), before);
  await Deno.symlink("/etc", `${home("ann")}/link`);
  assert.notEqual((await ann(url("files", { path: "/link/passwd" }))).status, 200);
  assert.notEqual((await ann(url("dirs", { path: "/link" }))).status, 200);
  await Deno.remove(`${home("ann")}/link`);
  const long = "n".repeat(255);
  assert.equal((await ann("--data-binary", "x", url("files/upload", { path: long }))).status, 201);
  assert.equal((await ann("-X", "DELETE", url("files", { path: long }))).status, 200);
});

Deno.test("problem details are given to who asks, and every answer has an id", async () => {
  const answer = await ann("-H", "Accept: application/problem+json", url("files", { path: "/no" }));
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  const problem = JSON.parse(answer.body);
  assert.equal(problem.status, 404);
  assert.equal(problem.request_id, answer.headers.get("x-request-id"));
});

Deno.test("an upload that is cut never becomes the file", async () => {
  const { dir, home } = world();
  await ann("--data-binary", "old", url("files/upload", { path: "/cut" }));
  const [host = "", port = ""] = world().server.http.slice("http://".length).split(":");
  const cut = async (head: string, body: string) => {
    const socket = await Deno.connect({ hostname: host, port: Number(port) });
    const text = `POST /api/v2/user/${head} HTTP/1.1\r\nHost: x\r\n` +
      `Authorization: Bearer ${tokens.get("ann")}\r\n`;
    await socket.write(new TextEncoder().encode(text + body));
    await eventually("the upload is under way", async () => (await uploads()) > 0);
    socket.close();
    await eventually("the upload has ended", async () => (await uploads()) === 0);
  };
  const uploads = async () => {
    const { stdout } = await world().server.sluice("sessions", "list", "--json");
    return [...stdout.matchAll(/"operation_type":\s*"upload"/g)].length;
  };
  const part = "y".repeat(100_000);
  await cut("files/upload?path=/cut", `Content-Length: 1000000\r\n\r\n${part}`);
  await cut("files/upload?path=/cut", `Transfer-Encoding: chunked\r\n\r\n186a0\r\n${part}\r\n`);
  const form = "--B\r\nContent-Disposition: form-data; name=filenames; filename=cut\r\n\r\n";
  const type = "Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 1000000\r\n\r\n";
  await cut("files?path=/", type + form + part);
  // A form that ends within a file, with its length kept.
  await Deno.writeTextFile(`${dir}/open`, form + part);
  const ended = await ann(
    ...["-H", "Content-Type: multipart/form-data; boundary=B", "--data-binary", `@${dir}/open`],
    url("files", { path: "/" }),
  );
  assert.equal(error(ended), 400);
  assert.equal(await Deno.readTextFile(`${home("ann")}/cut`), "old");
  assert.deepEqual(await leftovers(home("ann")), []);
});

Deno.test("over quota is 507 and the old file stays, by body and by form", async () => {
  const { dir, home } = world();
  const up = url("files/upload", { path: "/q" });
  assert.equal((await as("small", "--data-binary", "old", up)).status, 201);
  await must("sh", ["-c", `head -c 3000000 /dev/zero > ${dir}/over`]);
  assert.equal(error(await as("small", "-H", "Expect:", "-T", `${dir}/over`, up)), 507);
  const form = await as("small", "-F", `filenames=@${dir}/over;filename=q`, url("files"));
  assert.equal(error(form), 507);
  assert.equal(await Deno.readTextFile(`${home("small")}/q`), "old");
  await eventually(
    "the counter is right",
    async () => (await world().server.user("small"))["used_quota_size"] === 3,
  );
});

Deno.test("a zip holds the tree, deflated or stored, and unzip reads it", async () => {
  const { dir, home } = world();
  const put = (path: string, ...data: string[]) =>
    ann(...data, url("files/upload", { path, mkdir_parents: "1" }));
  await put("/zip/a/ü.txt", "--data-binary", "text");
  await put("/zip/b", "-T", `${dir}/f1`);
  await ann("-X", "POST", url("dirs", { path: "/zip/empty" }));
  await Deno.symlink("b", `${home("ann")}/zip/link`);
  const zip = (body: unknown, query = {}) =>
    ann("-o", `${dir}/z.zip`, "--data-binary", JSON.stringify(body), url("streamzip", query));
  for (const method of ["deflate", "store"]) {
    const answer = await zip(["/zip", "/zip/b", "/zip"], { method });
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get("content-disposition") ?? "", /filename="zip.zip"/);
    await Deno.remove(`${dir}/out`, { recursive: true }).catch(() => {});
    await must("python3", ["-m", "zipfile", "-t", `${dir}/z.zip`]);
    await must("python3", ["-m", "zipfile", "-e", `${dir}/z.zip`, `${dir}/out`]);
    assert.equal(await Deno.readTextFile(`${dir}/out/zip/a/ü.txt`), "text");
    assert.equal(await sha256(`${dir}/out/zip/b`), await sha256(`${dir}/f1`));
    assert.deepEqual([...Deno.readDirSync(`${dir}/out/zip`)].map((e) => e.name).sort(), [
      "a",
      "b",
      "empty",
    ]);
  }
  assert.equal((await zip(["/zip/a", "/zip/b"])).status, 200);
  const list = await must("python3", ["-m", "zipfile", "-l", `${dir}/z.zip`]);
  assert.match(list, /^a\/ü.txt /m);
  assert.match(list, /^b /m);
  const bad: [unknown, number][] = [
    ...[[], {}, [1], [""], ["../x"], ["\0"]].map((body): [unknown, number] => [body, 400]),
    [["/none"], 404],
  ];
  for (const [body, status] of bad) {
    const answer = await ann("--data-binary", JSON.stringify(body), url("streamzip"));
    assert.equal(error(answer), status);
  }
});

Deno.test("a zip that nobody takes to its end ends", async () => {
  const { home, server } = world();
  await must("sh", ["-c", `truncate -s 2G "${home("ann")}/huge"`]);
  const before = server.descriptors;
  const token = tokens.get("ann");
  const child = new Deno.Command("curl", {
    args: [
      ...["-sS", "--limit-rate", "1M", "-o", "/dev/null", "-H", `Authorization: Bearer ${token}`],
      ...["--data-binary", '["/huge"]', url("streamzip", { method: "store" })],
    ],
  }).spawn();
  const downloads = async () => (await server.sluice("sessions", "list", "--json")).stdout;
  await eventually("it is under way", async () => (await downloads()).includes("/huge"));
  child.kill("SIGKILL");
  await child.status;
  await eventually("it has ended", async () => !(await downloads()).includes("/huge"));
  await eventually("no descriptor is left", () => server.descriptors <= before);
  await Deno.remove(`${home("ann")}/huge`);
});

Deno.test("what was done is in the journal as HTTP", async () => {
  const events = await world().server.events("--user", "ann", "--action", "upload");
  assert.ok(events.length > 0);
  assert.ok(events.every(({ protocol }) => protocol === "HTTP"));
});
