import assert from "node:assert/strict";
import { leftovers } from "./files.ts";
import { apiUsers, curl, refusal } from "./http_client.ts";
import { oneTimeCode } from "./one_time_code.ts";
import { eventually, must } from "./process.ts";
import { Server } from "./server.ts";
import { fileWorld, makeWorld } from "./world.ts";

const password = "pa:ss+wör/d";
const world = fileWorld([
  { username: "ann", password },
  { username: "looker", password, permissions: { "/": ["list", "download"] } },
  { username: "small", password, quota_size: 100_000 },
  { username: "nohttp", password, filters: { denied_protocols: ["HTTP"] } },
  { username: "changed", password },
  { username: "coded", password },
  { username: "single", password, max_sessions: 1 },
], { args: ["--http", "127.0.0.1:0", "--workers", "2"] });
const { as, base, bearer, login, names, url } = apiUsers(world, password);
const ann = (...args: string[]) => as("ann", ...args);

Deno.test("a token is given for the right password, ends at logout and stands for one account", async () => {
  const { server } = world();
  const answer = await curl("-u", `ann:${password}`, `${base()}/token`);
  const { access_token, expires_at } = JSON.parse(answer.body);
  const left = Date.parse(expires_at) - Date.now();
  assert.ok(left > 19 * 60_000 && left <= 20 * 60_000);
  assert.equal(answer.headers.get("cache-control"), "no-store");
  assert.match(answer.headers.get("x-request-id") ?? "", /^\S{8,}$/);
  const mine = ["-H", `Authorization: Bearer ${access_token}`];
  const profile = await curl(...mine, `${base()}/profile`);
  assert.equal(profile.status, 200);
  assert.deepEqual(Object.keys(JSON.parse(profile.body)).sort(), [
    "allow_api_key_auth",
    "description",
    "email",
    "public_keys",
  ]);
  assert.equal((await curl(...mine, `${base()}/logout`)).status, 200);
  // Every worker knows it.
  for (let i = 0; i < 8; i++) {
    assert.equal(refusal(await curl(...mine, `${base()}/profile`)), 401);
  }
  assert.equal(refusal(await curl(`${base()}/dirs`)), 401);
  assert.equal(refusal(await curl("-u", "ann:wrong", `${base()}/token`)), 401);
  assert.equal(refusal(await curl("-u", `nobody:${password}`, `${base()}/token`)), 401);
  assert.equal(refusal(await curl("-u", `nohttp:${password}`, `${base()}/token`)), 401);
  const twice = ["-H", "Authorization: Basic YTpi", "-H", "Authorization: Basic YTpi"];
  assert.equal(refusal(await curl(...twice, `${base()}/token`)), 400);
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
    assert.equal(refusal(answer), 401);
  }
});

Deno.test("a changed or disabled account ends its tokens", async () => {
  const { server } = world();
  assert.equal((await as("changed", `${base()}/dirs`)).status, 200);
  const { code, stderr } = await server.sluice("user", "update", "changed", "--status", "0");
  assert.equal(code, 0, stderr);
  assert.equal(refusal(await as("changed", `${base()}/dirs`)), 401);
  assert.equal(refusal(await curl("-u", `changed:${password}`, `${base()}/token`)), 401);
});

Deno.test("a one-time code is asked for where the account has one for HTTP, and works once", async () => {
  const { server } = world();
  const enrolled = await server.sluice(
    ...["user", "totp", "coded", "enable", "--protocols", "HTTP", "--json"],
  );
  const { secret } = JSON.parse(enrolled.stdout);
  const code = oneTimeCode(secret);
  const ask = async (...headers: string[]) =>
    (await curl("-u", `coded:${password}`, ...headers, `${base()}/token`)).status;
  assert.equal(await ask(), 401);
  assert.equal(await ask("-H", "X-SFTPGO-OTP: 000000"), 401);
  assert.equal(await ask("-H", `X-Sluice-OTP: ${code}`), 200);
  assert.equal(await ask("-H", `X-SFTPGO-OTP: ${code}`), 401);
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
      assert.equal(refusal(answer), 400, `${method} ${route} ${path.slice(0, 40)}`);
    }
  }
  assert.equal(refusal(await ann(`${base()}/files?path=a&path=b`)), 400);
  assert.deepEqual(await names("ann", "/"), before);
  await Deno.symlink("/etc", `${home("ann")}/link`);
  assert.notEqual((await ann(url("files", { path: "/link/passwd" }))).status, 200);
  assert.notEqual((await ann(url("dirs", { path: "/link" }))).status, 200);
  await Deno.remove(`${home("ann")}/link`);
  const long = "n".repeat(255);
  assert.equal((await ann("--data-binary", "x", url("files/upload", { path: long }))).status, 201);
  assert.equal((await ann("-X", "DELETE", url("files", { path: long }))).status, 200);
});

Deno.test("an upload that is cut never becomes the file", async () => {
  const { dir, home } = world();
  await ann("--data-binary", "old", url("files/upload", { path: "/cut" }));
  const [host = "", port = ""] = world().server.http.slice("http://".length).split(":");
  const cut = async (head: string, body: string) => {
    const socket = await Deno.connect({ hostname: host, port: Number(port) });
    const text = `POST /api/v2/user/${head} HTTP/1.1\r\nHost: x\r\n` +
      `${await bearer("ann")}\r\n`;
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
  assert.equal(refusal(ended), 400);
  assert.equal(await Deno.readTextFile(`${home("ann")}/cut`), "old");
  assert.deepEqual(await leftovers(home("ann")), []);
});

Deno.test("over quota is 507 and the old file stays, by body and by form", async () => {
  const { dir, home } = world();
  const up = url("files/upload", { path: "/q" });
  assert.equal((await as("small", "--data-binary", "old", up)).status, 201);
  await must("sh", ["-c", `head -c 3000000 /dev/zero > ${dir}/over`]);
  assert.equal(refusal(await as("small", "-H", "Expect:", "-T", `${dir}/over`, up)), 507);
  const form = await as("small", "-F", `filenames=@${dir}/over;filename=q`, url("files"));
  assert.equal(refusal(form), 507);
  assert.equal(await Deno.readTextFile(`${home("small")}/q`), "old");
  await eventually(
    "the counter is right",
    async () => (await world().server.user("small"))["used_quota_size"] === 3,
  );
});

Deno.test("a zip that nobody takes to its end ends", async () => {
  const { home, server } = world();
  await must("sh", ["-c", `truncate -s 2G "${home("ann")}/huge"`]);
  const before = server.descriptors;
  const child = new Deno.Command("curl", {
    args: [
      ...["-sS", "--limit-rate", "1M", "-o", "/dev/null", "-H", await bearer("ann")],
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

Deno.test("a download under way is listed, counts as a session and can be kicked", async () => {
  const { home, server } = world();
  await must("truncate", ["-s", "200M", `${home("single")}/large`]);
  const header = await bearer("single");
  const child = new Deno.Command("curl", {
    args: ["-s", "--limit-rate", "100k", "-H", header, url("files", { path: "/large" })],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const mine = async () =>
    (JSON.parse((await server.sluice("sessions", "list", "--json")).stdout) as ReadonlyArray<
      { username: string; connection_id: string; protocol: string }
    >).filter(({ username }) => username === "single");
  await eventually("it is listed", async () => (await mine()).length === 1);
  const [row] = await mine();
  assert.equal(row?.protocol, "HTTP");
  assert.equal(refusal(await curl("-H", header, url("dirs"))), 429);
  await server.sluice("sessions", "kick", row?.connection_id ?? "");
  assert.deepEqual(await mine(), []);
  assert.equal((await curl("-H", header, url("dirs"))).status, 200);
  // What the system has buffered, curl would go on to read at its pace.
  child.kill();
  await child.status;
});

Deno.test("a download beside an upload of the same file is the old file, whole", async () => {
  const { home, server } = world();
  const up = url("files/upload", { path: "/both" });
  const old = "o".repeat(300_000);
  await Deno.writeTextFile(`${home("ann")}/both`, old);
  const child = new Deno.Command("curl", {
    args: ["-s", "-H", await bearer("ann"), "-X", "POST", "-T", "-", up],
    stdin: "piped",
    stdout: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new Uint8Array(1_000_000));
  await eventually(
    "the upload is under way",
    async () => (await server.sluice("sessions", "list", "--json")).stdout.includes('"upload"'),
  );
  assert.equal((await ann(url("files", { path: "/both" }))).body, old);
  await writer.close();
  await child.status;
  assert.equal(
    (await ann("-I", url("files", { path: "/both" }))).headers.get("content-length"),
    "1000000",
  );
});

Deno.test("a server of one thread serves the same, and its tokens outlive it", async () => {
  await using here = await makeWorld([{ username: "ann", password }], {
    args: ["--http", "127.0.0.1:0", "--workers", "1"],
  });
  const at = `${here.server.http}/api/v2/user`;
  const given = await curl("-u", `ann:${password}`, `${at}/token`);
  const mine = ["-H", `Authorization: Bearer ${JSON.parse(given.body).access_token}`];
  assert.equal(
    (await curl(...mine, "--data-binary", "1", `${at}/files/upload?path=a`)).status,
    201,
  );
  const { mode = 0 } = await Deno.stat(`${here.server.dataDir}/token.key`);
  assert.equal((mode ?? 0) & 0o777, 0o600);
  await here.server.stop();
  await using again = await Server.start({
    dataDir: here.server.dataDir,
    args: ["--http", "127.0.0.1:0", "--workers", "2"],
  });
  const there = `${again.http}/api/v2/user`;
  assert.equal((await curl(...mine, `${there}/files?path=a`)).body, "1");
  assert.equal((await curl(...mine, `${there}/logout`)).status, 200);
  assert.equal((await curl(...mine, `${there}/files?path=a`)).status, 401);
});

Deno.test("absurd and ambiguous lengths leave nothing", async () => {
  const { home, server } = world();
  for (
    const lines of [
      "Content-Length: -1",
      "Content-Length: 3\r\nContent-Length: 4",
      "Content-Length: 99999999999999",
      "Content-Length: 3\r\nTransfer-Encoding: chunked",
    ]
  ) {
    using socket = await Deno.connect({ port: Number(server.http.split(":").at(-1)) });
    const text = `POST /api/v2/user/files/upload?path=odd HTTP/1.1\r\nHost: x\r\n` +
      `${await bearer("ann")}\r\n${lines}\r\n\r\nabc`;
    await socket.write(new TextEncoder().encode(text));
    await socket.closeWrite();
    const into = new Uint8Array(1000);
    const count = await socket.read(into).catch(() => 0);
    const status = new TextDecoder().decode(into.subarray(0, count ?? 0)).slice(9, 12);
    assert.ok(["", "400", "413"].includes(status), `${lines}: ${status}`);
    assert.ok(![...Deno.readDirSync(home("ann"))].some(({ name }) => name === "odd"), lines);
  }
});
