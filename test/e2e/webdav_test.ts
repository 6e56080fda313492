import assert from "node:assert/strict";
import { eventually, must, run } from "./process.ts";
import { needs } from "./tools.ts";
import { fileWorld, makeWorld } from "./world.ts";

const password = "pa:ss+wör/d";
const world = fileWorld([
  { username: "ann", password },
  { username: "looker", password, permissions: { "/": ["list", "download"] } },
  { username: "giver", password, permissions: { "/": ["upload"] } },
  { username: "single", password, max_sessions: 1 },
  { username: "litmus", password: "litmus-password" },
], { args: ["--http", "127.0.0.1:0", "--workers", "2"] });

const base = () => `${world().server.http}/dav`;
const curl = async (user: string, ...args: string[]) => {
  const { stdout } = await run("curl", [
    "-sS",
    "--path-as-is",
    "-u",
    `${user}:${password}`,
    "-w",
    "\n%{http_code}",
    ...args,
  ]);
  const cut = stdout.lastIndexOf("\n");
  return { status: Number(stdout.slice(cut + 1)), body: stdout.slice(0, cut) };
};
const status = async (...args: string[]) => (await curl("ann", ...args)).status;

Deno.test("who may only upload uploads, and learns nothing", async () => {
  const { dir, home } = world();
  await Deno.writeTextFile(`${dir}/gift`, "gift");
  const put = (name: string) => curl("giver", "-T", `${dir}/gift`, `${base()}/${name}`);
  assert.equal((await put("gift")).status, 201);
  assert.equal(await Deno.readTextFile(`${home("giver")}/gift`), "gift");
  assert.equal((await put("gift")).status, 403, "an overwrite is another right");
  assert.ok((await put("no/gift")).status >= 400);
  const look = ["-X", "PROPFIND", "-H", "Depth: 1", `${base()}/`];
  assert.equal((await curl("giver", ...look)).status, 403);
});

Deno.test("curl makes, lists, reads, copies, moves and removes", async () => {
  const { dir, home } = world();
  await Deno.writeTextFile(`${dir}/a`, "hello");
  assert.equal(await status("-X", "MKCOL", `${base()}/d`), 201);
  assert.equal(await status("-X", "MKCOL", `${base()}/d`), 405);
  assert.equal(await status("-X", "MKCOL", `${base()}/no/d`), 409);
  assert.equal(await status("-T", `${dir}/a`, `${base()}/d/a%20b`), 201);
  assert.equal(await status("-T", `${dir}/a`, `${base()}/d/a%20b`), 204);
  assert.equal(await Deno.readTextFile(`${home("ann")}/d/a b`), "hello");
  const listed = await curl("ann", "-X", "PROPFIND", "-H", "Depth: 1", `${base()}/d`);
  assert.equal(listed.status, 207);
  assert.match(listed.body, /<D:href>\/dav\/d\/a%20b<\/D:href>/);
  assert.equal((await curl("ann", `${base()}/d/a%20b`)).body, "hello");
  assert.equal(await status("-X", "COPY", "-H", `Destination: ${base()}/e`, `${base()}/d`), 201);
  assert.equal(
    await status("-X", "MOVE", "-H", "Overwrite: F", "-H", `Destination: /dav/d`, `${base()}/e`),
    412,
  );
  assert.equal(await status("-X", "DELETE", `${base()}/d`), 204);
  assert.equal(await status("-X", "MOVE", "-H", `Destination: /dav/d`, `${base()}/e`), 201);
  assert.equal((await curl("ann", `${base()}/d/a%20b`)).body, "hello");
  assert.equal(await status("-I", `${base()}/d/a%20b`), 200);
});

Deno.test("policy is the VFS's: a user who may only look cannot write", async () => {
  const { dir } = world();
  await Deno.writeTextFile(`${dir}/x`, "x");
  assert.equal((await curl("looker", "-T", `${dir}/x`, `${base()}/x`)).status, 403);
  assert.equal((await curl("looker", "-X", "MKCOL", `${base()}/x`)).status, 403);
  assert.equal(
    (await curl("looker", "-X", "PROPFIND", "-H", "Depth: 0", `${base()}/`)).status,
    207,
  );
});

Deno.test("a wrong password is refused and the exact one is not cut at a colon", async () => {
  const ask = async (credentials: string) =>
    (await run("curl", ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-u", credentials, base()]))
      .stdout;
  assert.equal(await ask("ann:pa"), "401");
  assert.equal(await ask(`ann:${password}`), "207");
  assert.equal(
    await status("-H", "Authorization: Basic YTpi", "-H", "Authorization: Basic YTpi", base()),
    400,
  );
});

Deno.test("ranges and conditions hold", async () => {
  const { dir } = world();
  await Deno.writeTextFile(`${dir}/r`, "0123456789");
  await status("-T", `${dir}/r`, `${base()}/r`);
  const range = (spec: string) => curl("ann", "-H", `Range: bytes=${spec}`, `${base()}/r`);
  assert.deepEqual(await range("2-4"), { status: 206, body: "234" });
  assert.deepEqual(await range("-3"), { status: 206, body: "789" });
  assert.equal((await range("20-")).status, 416);
  assert.equal((await range("5-2")).status, 416);
  assert.equal((await range("-0")).status, 416);
  const several = await range("0-1,8-9");
  assert.equal(several.status, 206);
  assert.match(several.body, /bytes 0-1\/10\r\n\r\n01\r\n[\s\S]*bytes 8-9\/10\r\n\r\n89/);
  assert.equal(
    (await curl("ann", "-H", "Range: bytes=0-1", "-H", 'If-Range: "x"', `${base()}/r`)).status,
    200,
  );
  assert.equal(await status("-T", `${dir}/r`, "-H", 'If-Match: "x"', `${base()}/r`), 412);
  assert.equal(await status("-T", `${dir}/r`, "-H", "If-None-Match: *", `${base()}/r`), 412);
  assert.equal(
    await status("-T", `${dir}/r`, "-H", "If: (<urn:uuid:none>)", `${base()}/r`),
    412,
  );
  assert.equal(
    await status("-T", `${dir}/r`, "-H", "Content-Range: bytes 0-9/10", `${base()}/r`),
    400,
  );
});

Deno.test("hostile requests get a clear status", async () => {
  const { dir } = world();
  const find = (body: string, ...more: string[]) =>
    status("-X", "PROPFIND", "-H", "Depth: 0", ...more, "--data-binary", body, `${base()}/`);
  const bomb = '<!DOCTYPE x [<!ENTITY a "b">]><propfind xmlns="DAV:"><allprop/></propfind>';
  assert.equal(await find(bomb), 400);
  assert.equal(await find("<propfind"), 400);
  await Deno.writeTextFile(`${dir}/deep`, "<a>".repeat(20_000));
  assert.equal(await find(`@${dir}/deep`), 400);
  await Deno.writeTextFile(`${dir}/big`, " ".repeat(2 ** 20));
  assert.equal(await find(`@${dir}/big`), 413);
  assert.equal(await status("-X", "PROPFIND", `${base()}/`), 403);
  assert.equal(await status("-X", "PROPFIND", "-H", "Depth: x", `${base()}/`), 400);
  assert.equal(await status(`${base()}/%zz`), 400);
  assert.equal(await status(`${base()}/%00`), 400);
  assert.equal(await status(`${base()}/../../etc/passwd`), 400);
  assert.equal(await status(`${base()}/%2e%2e/etc/passwd`), 400);
  assert.equal(await status("-X", "MOVE", `${base()}/r`), 400);
  const to = (url: string) => status("-X", "COPY", "-H", `Destination: ${url}`, `${base()}/r`);
  assert.equal(await to("http://elsewhere/dav/x"), 502);
  assert.equal(await to("/dav/%2e%2e/x"), 400);
  assert.equal(await to("/other"), 403);
  assert.equal(await status("-X", "BREW", `${base()}/`), 405);
});

Deno.test("a directory of thousands is listed whole, each name once", async () => {
  const { home } = world();
  await Deno.mkdir(`${home("ann")}/many`);
  for (let i = 0; i < 3000; i++) await Deno.writeTextFile(`${home("ann")}/many/f${i}`, "");
  const { status, body } = await curl("ann", "-X", "PROPFIND", "-H", "Depth: 1", `${base()}/many`);
  assert.equal(status, 207);
  const names = [...body.matchAll(/<D:href>([^<]*)<\/D:href><D:propstat>/g)].map((m) => m[1]);
  assert.equal(new Set(names).size, 3001);
  assert.equal(names.length, 3001);
  assert.ok(body.endsWith("</D:multistatus>\n"));
});

Deno.test("an upload that is cut never becomes the file", async () => {
  const { home, server } = world();
  const basic = btoa(String.fromCharCode(...new TextEncoder().encode(`ann:${password}`)));
  const begin = async (framing: string, part: string) => {
    const conn = await Deno.connect({ port: Number(server.http.split(":").at(-1)) });
    await conn.write(new TextEncoder().encode(
      `PUT /dav/kept HTTP/1.1\r\nHost: x\r\nAuthorization: Basic ${basic}\r\n` +
        `${framing}\r\n\r\n${part}`,
    ));
    return conn;
  };
  const uploading = async () => {
    const { stdout } = await server.sluice("sessions", "list", "--json");
    return (JSON.parse(stdout) as Array<{ command: string }>).some((r) => r.command === "PUT");
  };
  for (
    const [framing, part] of [
      ["Content-Length: 2000000", "x".repeat(1_000_000)],
      ["Transfer-Encoding: chunked", `f4240\r\n${"x".repeat(1_000_000)}\r\n`],
    ] as const
  ) {
    await Deno.writeTextFile(`${home("ann")}/kept`, "old");
    const conn = await begin(framing, part);
    await eventually("the upload is under way", uploading, 20);
    conn.close();
    await eventually("the upload is over", async () => !(await uploading()), 20);
    assert.equal(await Deno.readTextFile(`${home("ann")}/kept`), "old");
    const left = [...Deno.readDirSync(home("ann"))].map(({ name }) => name);
    assert.deepEqual(left.filter((name) => /kept|sluice/.test(name)), ["kept"]);
  }
});

Deno.test("a download under way is listed, can be kicked, and counts as a session", async () => {
  const { home, server } = world();
  await Deno.writeFile(`${home("single")}/large`, new Uint8Array(200_000_000));
  const child = new Deno.Command("curl", {
    args: ["-s", "--limit-rate", "100k", "-u", `single:${password}`, `${base()}/large`],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const rows = async () =>
    JSON.parse((await server.sluice("sessions", "list", "--json")).stdout) as Array<
      { username: string; connection_id: string; protocol: string }
    >;
  const mine = async () => (await rows()).filter(({ username }) => username === "single");
  let found = await mine();
  for (let i = 0; i < 50 && found.length === 0; i++) found = await mine();
  const [row] = found;
  assert.equal(row?.protocol, "DAV");
  assert.equal((await curl("single", `${base()}/`)).status, 429);
  await server.sluice("sessions", "kick", row?.connection_id ?? "");
  assert.deepEqual(await mine(), []);
  assert.equal((await curl("single", `${base()}/`)).status, 207);
  // What the system has buffered, curl would go on to read at its pace.
  child.kill();
  await child.status;
});

Deno.test("ambiguous and absurd lengths are refused and leave nothing", async () => {
  const { home, server } = world();
  const basic = btoa(String.fromCharCode(...new TextEncoder().encode(`ann:${password}`)));
  const ask = async (lines: string, body: string) => {
    using conn = await Deno.connect({ port: Number(server.http.split(":").at(-1)) });
    const text =
      `PUT /dav/odd HTTP/1.1\r\nHost: x\r\nAuthorization: Basic ${basic}\r\n${lines}\r\n${body}`;
    await conn.write(new TextEncoder().encode(text));
    await conn.closeWrite();
    const into = new Uint8Array(1000);
    const count = await conn.read(into).catch(() => 0);
    return new TextDecoder().decode(into.subarray(0, count ?? 0)).slice(9, 12);
  };
  for (
    const lines of [
      "Content-Length: -1\r\n",
      "Content-Length: 3\r\nContent-Length: 4\r\n",
      "Content-Length: 99999999999999\r\n",
    ]
  ) {
    const status = await ask(lines, "abc");
    assert.ok(status === "" || status === "400" || status === "413", `${lines} ${status}`);
    assert.ok(![...Deno.readDirSync(home("ann"))].some(({ name }) => name === "odd"), lines);
  }
});

(await needs("rclone"))("rclone copies a tree both ways and finds it equal", async () => {
  const { dir, server } = world();
  await Deno.mkdir(`${dir}/tree/sub`, { recursive: true });
  await Deno.writeFile(`${dir}/tree/big`, new Uint8Array(3_000_000).fill(7));
  await Deno.writeTextFile(`${dir}/tree/sub/é & x`, "y");
  const obscured = (await must("rclone", ["obscure", password])).trim();
  const env = {
    RCLONE_CONFIG_T_TYPE: "webdav",
    RCLONE_CONFIG_T_URL: `${server.http}/dav`,
    RCLONE_CONFIG_T_VENDOR: "other",
    RCLONE_CONFIG_T_USER: "ann",
    RCLONE_CONFIG_T_PASS: obscured,
    RCLONE_CONFIG: "/dev/null",
  };
  await must("rclone", ["copy", `${dir}/tree`, "T:tree"], { env });
  await must("rclone", ["check", "--download", `${dir}/tree`, "T:tree"], { env });
  await must("rclone", ["sync", "T:tree", `${dir}/back`], { env });
  await must("diff", ["-r", `${dir}/tree`, `${dir}/back`]);
  await must("rclone", ["purge", "T:tree"], { env });
});

(await needs("cadaver"))(
  "cadaver puts, locks, moves, searches properties and removes",
  async () => {
    const { dir, home, server } = world();
    await Deno.mkdir(`${dir}/home`, { recursive: true });
    const { host, hostname } = new URL(server.http);
    await Deno.writeTextFile(
      `${dir}/home/.netrc`,
      `machine ${hostname}\nlogin litmus\npassword litmus-password\n`,
      { mode: 0o600 },
    );
    await Deno.writeTextFile(`${dir}/home/f`, "by cadaver");
    const { stdout } = await run("cadaver", [`http://${host}/dav/`], {
      env: { HOME: `${dir}/home` },
      cwd: `${dir}/home`,
      stdin:
        "mkcol c\nput f c/f\nlock c/f\npropset c/f color red\npropget c/f color\nunlock c/f\n" +
        "move c/f c/g\ncopy c/g c/h\nget c/h back\nls c\nquit\n",
    });
    assert.equal(await Deno.readTextFile(`${home("litmus")}/c/g`), "by cadaver", stdout);
    assert.equal(await Deno.readTextFile(`${dir}/home/back`), "by cadaver", stdout);
    assert.match(stdout, /red/);
  },
);

(await needs("litmus"))("litmus passes basic, copymove, props, locks and http", async () => {
  const { dir, server } = world();
  const { code, stdout, stderr } = await run(
    "litmus",
    ["-k", `${server.http}/dav/`, "litmus", "litmus-password"],
    { cwd: dir, timeout: 120 },
  );
  // The runtime's parser drops a fragment in the request line, so nobody here can see it.
  const known = /WARNING: DELETE removed collection resource with Request-URI including fragment.*/;
  assert.doesNotMatch(stdout.replace(known, ""), /FAIL|WARNING/, stdout + stderr);
  assert.equal(code, 0, stdout + stderr);
});

(await needs("litmus"))("litmus passes on a port of WebDAV's own, in one thread", async () => {
  await using world = await makeWorld(
    [{ username: "litmus", password: "litmus-password" }],
    { args: ["--webdav", "127.0.0.1:0", "--workers", "1"] },
  );
  const { code, stdout, stderr } = await run(
    "litmus",
    ["-k", `${world.server.webdav}/`, "litmus", "litmus-password"],
    { cwd: world.dir, timeout: 120 },
  );
  assert.doesNotMatch(stdout, /FAIL/, stdout + stderr);
  assert.equal(code, 0, stdout + stderr);
});
