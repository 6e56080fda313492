import assert from "node:assert/strict";
import { sha256 } from "./files.ts";
import { apiUsers, refusal } from "./http_client.ts";
import { must } from "./process.ts";
import { fileWorld } from "./world.ts";

const password = "pa:ss+wör/d";
const world = fileWorld([
  { username: "ann", password },
  { username: "looker", password, permissions: { "/": ["list", "download"] } },
  { username: "dropper", password, permissions: { "/": ["upload", "create_dirs", "delete"] } },
  { username: "reader", password, filters: { web_client: ["write-disabled"] } },
  { username: "starter", password, filters: { start_directory: "/in" } },
], { args: ["--http", "127.0.0.1:0", "--workers", "2"] });
const { as, base, names, url } = apiUsers(world, password);
const ann = (...args: string[]) => as("ann", ...args);

Deno.test("directories are made, listed, renamed and removed", async () => {
  assert.equal((await ann("-X", "POST", url("dirs", { path: "/d" }))).status, 201);
  assert.equal(refusal(await ann("-X", "POST", url("dirs", { path: "/d" }))), 409);
  assert.equal(refusal(await ann("-X", "POST", url("dirs", { path: "/x/y" }))), 404);
  const parents = url("dirs", { path: "/x/y z/é", mkdir_parents: "true" });
  assert.equal((await ann("-X", "POST", parents)).status, 201);
  assert.deepEqual(await names("ann", "/x"), ["y z"]);
  assert.deepEqual(await names("ann", "/x/y z"), ["é"]);
  assert.equal((await ann(url("dirs", { path: "/x/y z/é" }))).body, "[]\n");
  assert.equal(refusal(await ann(url("dirs", { path: "/none" }))), 404);
  const [entry] = JSON.parse((await ann(url("dirs", { path: "/x" }))).body);
  assert.equal(Math.floor(entry.mode / 2 ** 31), 1);
  assert.match(entry.last_modified, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  const renamed = url("dirs", { path: "/x/y z", target: "/x/w" });
  assert.equal((await ann("-X", "PATCH", renamed)).status, 200);
  assert.equal(refusal(await ann("-X", "PATCH", renamed)), 404);
  assert.equal(refusal(await ann("-X", "DELETE", url("dirs", { path: "/" }))), 403);
  assert.equal((await ann("-X", "DELETE", url("dirs", { path: "/x" }))).status, 200);
  assert.equal(refusal(await ann("-X", "DELETE", url("dirs", { path: "/x" }))), 404);
  assert.equal(refusal(await ann("-X", "DELETE", url("dirs", {}))), 400);
  assert.equal(refusal(await ann("-X", "PUT", url("dirs", {}))), 405);
  assert.equal(refusal(await ann(`${base()}/nothing`)), 404);
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
  const empty = await ann(url("files", { path: "/up/big file" }));
  assert.deepEqual([empty.status, empty.body, empty.code], [200, "", 0]);
  assert.equal((await ann("-T", file, up)).status, 201);
  assert.equal(
    (await ann("-o", `${dir}/back`, url("files", { path: "/up/big file" }))).status,
    200,
  );
  assert.equal(await sha256(`${dir}/back`), sum);
  const none = url("files/upload", { path: "/no/where" });
  assert.equal(refusal(await ann("--data-binary", "x", none)), 404);
  assert.equal(refusal(await ann("--data-binary", "x", url("files/upload", { path: "/up" }))), 409);
  const wrong = await ann("--data-binary", "x", "-H", "X-Sluice-MTIME: soon", up);
  assert.equal(refusal(wrong), 400);
  assert.equal(refusal(await ann("--data-binary", "x", "-H", 'If-Match: "x"', up)), 412);
  assert.equal(refusal(await ann("--data-binary", "x", "-H", "If-None-Match: *", up)), 412);
  const known = (await ann("-I", url("files", { path: "/up/big file" }))).headers.get("etag");
  assert.equal(await sha256(`${home("ann")}/up/big file`), sum);
  const fits = ["-H", `If-Match: ${known}`];
  assert.equal((await ann("--data-binary", "x", ...fits, up)).status, 201);
  assert.equal(refusal(await ann("--data-binary", "x", ...fits, up)), 412);
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
  for (const form of bad) assert.equal(refusal(await ann(...form, to)), 400, form.join(" "));
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
  assert.equal(refusal(await ann("-H", 'If-Match: "x"', at)), 412);
  const modified = whole.headers.get("last-modified");
  assert.equal((await ann("-H", `If-Modified-Since: ${modified}`, at)).status, 304);
  const old = "Thu, 01 Jan 1970 00:00:00 GMT";
  assert.equal(refusal(await ann("-H", `If-Unmodified-Since: ${old}`, at)), 412);
  const head = await ann("-I", at);
  assert.equal(head.status, 200);
  assert.equal(head.headers.get("content-length"), "10");
  assert.equal(refusal(await ann(url("files", { path: "/" }))), 400);
  assert.equal(refusal(await ann(url("files", { path: "/none" }))), 404);
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
    assert.equal(refusal(await patch(wrong)), 400);
  }
  assert.equal(await act("DELETE", "files", { path: "/t" }), 400);
  assert.equal(await act("DELETE", "dirs", { path: "/t/b" }), 400);
  assert.equal(await act("DELETE", "files", { path: "/t/b" }), 200);
  assert.equal(await act("DELETE", "files", { path: "/t/b" }), 404);
});

Deno.test("policy is the VFS's: who may only look changes nothing", async () => {
  const up = url("files/upload", { path: "/x" });
  for (const user of ["looker", "reader"]) {
    assert.equal(refusal(await as(user, "--data-binary", "x", up)), 403);
    assert.equal(refusal(await as(user, "-X", "POST", url("dirs", { path: "/d" }))), 403);
    assert.equal((await as(user, url("dirs"))).body, "[]\n");
  }
});

Deno.test("who may not look can still do what else is allowed", async () => {
  const { home } = world();
  const dropper = (...args: string[]) => as("dropper", ...args);
  const up = url("files/upload", { path: "/a/b/c", mkdir_parents: "true" });
  assert.equal((await dropper("--data-binary", "1", up)).status, 201);
  assert.equal(await Deno.readTextFile(`${home("dropper")}/a/b/c`), "1");
  assert.equal(refusal(await dropper("--data-binary", "2", up)), 403);
  const two = url("files", { path: "/a/b", mkdir_parents: "true" });
  assert.equal((await dropper("-F", "filenames=x;filename=d", two)).status, 201);
  assert.equal(refusal(await dropper(url("dirs", { path: "/a" }))), 403);
  assert.equal((await dropper("-X", "DELETE", url("files", { path: "/a/b/c" }))).status, 200);
  assert.equal((await dropper("-X", "DELETE", url("dirs", { path: "/a" }))).status, 200);
});

Deno.test("problem details are given to who asks, and every answer has an id", async () => {
  const answer = await ann("-H", "Accept: application/problem+json", url("files", { path: "/no" }));
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  const problem = JSON.parse(answer.body);
  assert.equal(problem.status, 404);
  assert.equal(problem.request_id, answer.headers.get("x-request-id"));
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
    assert.equal(refusal(answer), status);
  }
});

Deno.test("what was done is in the journal as HTTP", async () => {
  const events = await world().server.events("--user", "ann", "--action", "upload");
  assert.ok(events.length > 0);
  assert.ok(events.every(({ protocol }) => protocol === "HTTP"));
});
