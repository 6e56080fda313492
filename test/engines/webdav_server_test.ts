/**
 * What webdav-server 2.6.3 does at the bars of SECURITY 3.3 and of issue 4 (docs/decisions/0017).
 *
 * "passes" and "fails" are seen from the bar; the assertion pins what the package does, so
 * that a version that mends it is looked at again.
 */
import assert from "node:assert/strict";
import { eventually, run } from "../e2e/process.ts";
import { installed } from "../e2e/tools.ts";
import { start, testsOf } from "./engine.ts";
import { begin, send } from "./requests.ts";

const test = await testsOf("npm:webdav-server@2.6.3", "webdav_server.ts");
const program = "webdav_server.ts";
const lockInfo = (scope: string) =>
  `<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:${scope}/></D:lockscope>` +
  `<D:locktype><D:write/></D:locktype></D:lockinfo>`;
const propfind = (inside: string) => `<D:propfind xmlns:D="DAV:">${inside}</D:propfind>`;

/** Bytes of address space of a process (Linux). */
const addressSpace = async (pid: number) =>
  Number(/VmSize:\s*(\d+)/.exec(await Deno.readTextFile(`/proc/${pid}/status`))?.[1]) * 1024;

test("webdav-server fails: If with an untagged token does not end the process", async () => {
  await using server = await start(program);
  await send(server.port, "PROPFIND /", { if: "(<urn:uuid:x>)" });
  const { code, stderr } = await server.ended();
  assert.equal(code, 1);
  assert.match(stderr, /TypeError: Cannot read properties of undefined/);
});

test("webdav-server passes on Deno: a length nobody can send is 400", async () => {
  await using server = await start(program);
  const answer = await send(server.port, "PROPFIND /", { "content-length": "99999999999999" });
  assert.equal(answer.status, 400);
  assert.equal(answer.headers.get("dav"), null, "by the runtime, before the package sees it");
});

test("webdav-server fails: a header allocates nothing", async () => {
  await using server = await start(program);
  const before = await addressSpace(server.pid);
  using _conn = await begin(server.port, "PROPFIND /", { "content-length": "8000000000" });
  await eventually(
    "8 GB for a body of which no byte came",
    async () => await addressSpace(server.pid) - before > 7_000_000_000,
  );
}, Deno.build.os === "linux");

test("webdav-server fails: a NUL in a path does not end the process", async () => {
  const root = await Deno.makeTempDir({ prefix: "sluice-engines-" });
  try {
    await using server = await start(program, { root });
    await send(server.port, "GET /%00");
    assert.equal((await server.ended()).code, 1);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

test("webdav-server passes on Deno: a malformed escape before login is 400", async () => {
  await using server = await start(program);
  assert.equal((await send(server.port, "GET /%zz", { authorization: "x" })).status, 400);
  assert.ok(server.alive());
});

test("webdav-server fails: PUT with a wrong token or a wrong ETag stores nothing", async () => {
  await using server = await start(program);
  assert.equal((await send(server.port, "PUT /f", {}, "one")).status, 201);
  const tagged = `<http://127.0.0.1:${server.port}/f> (<urn:uuid:wrong> ["wrong"])`;
  assert.equal((await send(server.port, "PUT /f", { if: tagged }, "two")).status, 200);
  assert.equal((await send(server.port, "PUT /f", { "if-match": '"wrong"' }, "three")).status, 200);
  assert.equal((await send(server.port, "PUT /f", { "if-none-match": "*" }, "four")).status, 200);
  assert.equal((await send(server.port, "GET /f")).body, "four");
});

test("webdav-server fails: a lock binds all who do not send its token", async () => {
  await using server = await start(program);
  await send(server.port, "PUT /f", {}, "one");
  const lock = await send(
    server.port,
    "LOCK /f",
    { timeout: "Second-60", depth: "0" },
    lockInfo("exclusive"),
  );
  assert.equal(lock.status, 200);
  assert.match(lock.headers.get("lock-token") ?? "", /^urn:uuid:/, "without its brackets");
  assert.match(lock.body, /Second-3600</, "Timeout was not read");
  assert.equal((await send(server.port, "PUT /f", {}, "two")).status, 200, "no token");
});

test("webdav-server passes behind our guard: tokens bind in a FileSystem subclass", async () => {
  await using server = await start(program, { ownGuard: true });
  await send(server.port, "PUT /f", {}, "one");
  const lock = await send(server.port, "LOCK /f", { depth: "0" }, lockInfo("exclusive"));
  const token = lock.headers.get("lock-token");
  assert.equal((await send(server.port, "PUT /f", {}, "two")).status, 423);
  assert.equal((await send(server.port, "PUT /f", { if: `(<${token}>)` }, "three")).status, 200);
  assert.equal((await send(server.port, "GET /f")).body, "three");
});

test("webdav-server fails: PROPFIND without a Depth is not worse than infinity", async () => {
  await using server = await start(program);
  await send(server.port, "MKCOL /a");
  await send(server.port, "MKCOL /a/b");
  await send(server.port, "PUT /a/b/deep", {}, "x");
  assert.equal((await send(server.port, "PROPFIND /", { depth: "infinity" })).status, 403);
  for (const headers of [{}, { depth: "garbage" }]) {
    const answer = await send(server.port, "PROPFIND /", headers as Record<string, string>);
    assert.equal(answer.status, 207);
    assert.match(answer.body, /\/a\/b\/deep</);
  }
});

test("webdav-server fails: a listing is streamed", async () => {
  await using server = await start(program);
  const { headers, body } = await send(server.port, "PROPFIND /", { depth: "1" });
  assert.equal(headers.get("content-length"), String(body.length), "built whole, then sent");
});

test("webdav-server fails: a listing of 1,000 entries takes less than 16 MiB", async () => {
  await using server = await start(program, { entries: 1000 });
  const peak = async () =>
    Number(
      /VmHWM:\s*(\d+)/.exec(await Deno.readTextFile(`/proc/${server.pid}/status`))?.[1],
    ) * 1024;
  const before = await peak();
  assert.equal((await send(server.port, "PROPFIND /", { depth: "1" })).status, 207);
  assert.ok(await peak() - before > 16 << 20, "at 100,000 it was 3.4 GB after 38 s");
}, Deno.build.os === "linux");

test("webdav-server fails: a chunked body is read", async () => {
  await using server = await start(program);
  const body = propfind("<D:propname/>");
  const asked = await send(server.port, "PROPFIND /", { depth: "0" }, body);
  assert.match(asked.body, /<D:getetag\/>/, "names only");
  const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  const conn = await begin(server.port, "PROPFIND /", {
    depth: "0",
    "transfer-encoding": "chunked",
  });
  await conn.write(new TextEncoder().encode(chunked));
  assert.match(await new Response(conn.readable).text(), /<D:getetag>/, "values: it was not read");
});

test("webdav-server fails: a cut PUT leaves nothing under the final name", async () => {
  const root = await Deno.makeTempDir({ prefix: "sluice-engines-" });
  try {
    await using server = await start(program, { root });
    const conn = await begin(server.port, "PUT /cut", { "content-length": "1000" });
    await conn.write(new TextEncoder().encode("half"));
    const size = () => Deno.stat(`${root}/cut`).then((s) => s.size, () => 0);
    await eventually("the half under its name", async () => await size() === 4);
    conn.close();
    await send(server.port, "OPTIONS /");
    assert.equal(await size(), 4, "and it stays");
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

test("webdav-server passes with a FileSystem that commits at finish, but leaks its stream", async () => {
  await using server = await start(program);
  const conn = await begin(server.port, "PUT /cut", { "content-length": "1000" });
  await conn.write(new TextEncoder().encode("half"));
  await server.saw("open-write");
  conn.close();
  await send(server.port, "PUT /other", {}, "x");
  await server.saw("finish");
  const ends = server.events.filter((e) => e["path"] === "/cut").map((e) => e.event);
  assert.deepEqual(ends, ["open-write"], "never finished, never closed");
  assert.equal((await send(server.port, "GET /cut")).body, "", "an empty file was made before");
});

test("webdav-server fails: a range reads what it asks for", async () => {
  await using server = await start(program);
  await send(server.port, "PUT /eight", {}, "x");
  const last = 128 * 65536 - 1;
  const answer = await send(server.port, "GET /eight", { range: `bytes=${last}-${last}` });
  assert.equal(answer.status, 206);
  assert.equal(answer.body.length, 1);
  assert.equal((await server.saw("read"))["bytes"], last + 1);
  assert.match(answer.headers.get("content-range") ?? "", /\/\*$/, "and does not say the size");
});

test("webdav-server fails: ranges that cannot be met are 416", async () => {
  await using server = await start(program);
  await send(server.port, "PUT /f", {}, "four");
  for (const range of ["bytes=100-200", "bytes=3-1"]) {
    assert.equal((await send(server.port, "GET /f", { range })).status, 206, range);
  }
});

test("webdav-server fails: Overwrite is T by default; a foreign Destination is 502", async () => {
  await using server = await start(program);
  await send(server.port, "PUT /a", {}, "a");
  await send(server.port, "PUT /b", {}, "b");
  const here = `http://127.0.0.1:${server.port}/b`;
  assert.equal((await send(server.port, "MOVE /a", { destination: here })).status, 412);
  const moved = await send(server.port, "MOVE /a", { destination: "http://elsewhere.test/c" });
  assert.equal(moved.status, 201);
  assert.equal((await send(server.port, "GET /c")).body, "a");
});

test("webdav-server fails: malformed XML is 400; passes: entities are not expanded", async () => {
  await using server = await start(program);
  assert.equal((await send(server.port, "PROPFIND /", { depth: "0" }, "<D:propfind")).status, 207);
  const bomb = '<!DOCTYPE a [<!ENTITY e "eeeeeeee"><!ENTITY f "&e;&e;">]>' +
    lockInfo("exclusive").replace(/^.*\?>/, "").replace(
      "</D:lockinfo>",
      "<D:owner>&f;</D:owner>$&",
    );
  const locked = await send(server.port, "LOCK /f", {}, bomb);
  assert.equal(locked.status, 400);
  const deep = "<a>".repeat(100_000);
  assert.equal((await send(server.port, "PROPPATCH /", {}, deep)).status, 400);
  assert.ok(server.alive());
});

test("webdav-server fails: Basic credentials are compared whole", async () => {
  await using server = await start(program);
  const as = (credentials: string) =>
    send(server.port, "OPTIONS /", { authorization: `Basic ${btoa(credentials)}` });
  assert.equal((await as("anna:pa")).status, 200);
  assert.equal((await as("anna:pa:zz")).status, 200, "cut at the second colon");
  assert.equal((await as("anna:pb")).status, 401);
});

test("webdav-server fails: answers name no other origin, and hrefs no other host", async () => {
  await using server = await start(program);
  const { headers, body } = await send(server.port, "PROPFIND /", {
    depth: "0",
    host: "evil.test",
  });
  assert.equal(headers.get("access-control-allow-origin"), "*");
  assert.equal(headers.get("access-control-allow-credentials"), "true");
  assert.match(body, /http:\/\/evil\.test\//);
});

const litmus = async (suite: string, port: number) => {
  const cwd = await Deno.makeTempDir({ prefix: "sluice-engines-" });
  try {
    const { stdout } = await run("litmus", [`http://127.0.0.1:${port}/`, "anna", "pa"], {
      cwd,
      env: { TESTS: suite },
      timeout: 20,
    });
    return /tests run: (.*?)\. /.exec(stdout)?.[1];
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
};
const hasLitmus = await installed("litmus");

test("webdav-server passes: litmus copymove and http; basic all but one", async () => {
  await using server = await start(program);
  assert.equal(await litmus("basic", server.port), "15 passed, 1 failed");
  assert.equal(await litmus("copymove", server.port), "13 passed, 0 failed");
  assert.equal(await litmus("http", server.port), "4 passed, 0 failed");
}, hasLitmus);

for (
  const [suite, error] of [
    ["props", /Cannot set headers after they are sent/],
    ["locks", /Cannot read properties of undefined \(reading 'paths'\)/],
  ] as const
) {
  test(`webdav-server fails: litmus ${suite} does not end the process`, async () => {
    await using server = await start(program);
    await litmus(suite, server.port);
    const { code, stderr } = await server.ended();
    assert.equal(code, 1);
    assert.match(stderr, error);
  }, hasLitmus);
}
