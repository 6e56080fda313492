import assert from "node:assert/strict";
import { curlAs, lock } from "./curl.ts";
import { eventually, must, run } from "./process.ts";
import { canMount, installed, needs, testIf } from "./tools.ts";
import { fileWorld, makeWorld } from "./world.ts";

const password = "secret";
const world = fileWorld([
  { username: "ann", password },
  { username: "counted", password, quota_size: 1_000_000 },
  { username: "changing", password },
  { username: "closing", password },
], { args: ["--http", "127.0.0.1:0", "--workers", "2"] });

const base = () => `${world().server.http}/dav`;
const ann = curlAs("ann", password);
const statusOf = async (...args: string[]) => (await ann(...args)).status;

Deno.test("Windows and macOS find what they look for", async () => {
  const { dir, home } = world();
  const options = await ann("-X", "OPTIONS", `${base()}/`);
  assert.equal(options.status, 200);
  assert.equal(options.headers.get("ms-author-via"), "DAV");
  assert.match(options.headers.get("dav") ?? "", /1, 2, 3/);
  assert.match(options.headers.get("allow") ?? "", /PROPFIND.*LOCK/);
  await Deno.writeTextFile(`${dir}/f`, "fork");
  // Trailing slashes, the files that Finder and Explorer keep beside, and Finder's way of sending.
  assert.equal(await statusOf("-X", "MKCOL", `${base()}/win/`), 201);
  for (const name of ["._a", ".DS_Store", "desktop.ini", "Thumbs.db"]) {
    assert.equal(await statusOf("-I", `${base()}/win/${name}`), 404);
    assert.equal(
      await statusOf(
        "-T",
        `${dir}/f`,
        "-H",
        "Transfer-Encoding: chunked",
        "-H",
        "Expect:",
        "-H",
        "X-Expected-Entity-Length: 4",
        `${base()}/win/${name}`,
      ),
      201,
    );
    assert.equal(Deno.readTextFileSync(`${home("ann")}/win/${name}`), "fork");
  }
  for (const path of ["win", "win/"]) {
    const found = await ann("-X", "PROPFIND", "-H", "Depth: 0", `${base()}/${path}`);
    assert.match(found.body, /<D:href>\/dav\/win\/<\/D:href>/);
  }
  assert.equal(
    await statusOf("-X", "MOVE", "-H", `Destination: ${base()}/win2/`, `${base()}/win/`),
    201,
  );
  const patch = await ann(
    "-X",
    "PROPPATCH",
    "--data",
    `<D:propertyupdate xmlns:D="DAV:" xmlns:Z="urn:schemas-microsoft-com:"><D:set><D:prop>` +
      `<Z:Win32LastModifiedTime>Thu, 01 Jan 2015 00:00:00 GMT</Z:Win32LastModifiedTime>` +
      `<Z:Win32FileAttributes>00000020</Z:Win32FileAttributes></D:prop></D:set></D:propertyupdate>`,
    `${base()}/win2/desktop.ini`,
  );
  assert.equal(patch.status, 207);
  assert.doesNotMatch(patch.body, /HTTP\/1.1 [45]/);
  const { mtime } = Deno.statSync(`${home("ann")}/win2/desktop.ini`);
  assert.equal(mtime?.toISOString(), "2015-01-01T00:00:00.000Z");
  assert.equal(await statusOf("-X", "DELETE", `${base()}/win2/`), 204);
});

Deno.test("MKCOL takes no body, and HEAD of a collection has none", async () => {
  assert.equal(await statusOf("-X", "MKCOL", "--data", "<x/>", `${base()}/body`), 415);
  assert.equal(
    await statusOf("-X", "MKCOL", "-H", "Transfer-Encoding: chunked", "--data", "x", `${base()}/b`),
    415,
  );
  const head = await ann("-I", `${base()}/`);
  assert.equal(head.status, 207);
  assert.equal(head.body, "");
});

Deno.test("X-OC-Mtime dates what is put and moved", async () => {
  const { dir, home } = world();
  await Deno.writeTextFile(`${dir}/oc`, "oc");
  const put = await ann("-T", `${dir}/oc`, "-H", "X-OC-Mtime: 1500000000", `${base()}/oc`);
  assert.equal(put.headers.get("x-oc-mtime"), "accepted");
  assert.equal(Deno.statSync(`${home("ann")}/oc`).mtime?.getTime(), 1_500_000_000_000);
  const odd = await ann("-T", `${dir}/oc`, "-H", "X-OC-Mtime: soon", `${base()}/oc2`);
  assert.equal(odd.status, 201);
  assert.equal(odd.headers.has("x-oc-mtime"), false);
  const moved = await ann(
    "-X",
    "MOVE",
    "-H",
    `Destination: ${base()}/oc3`,
    "-H",
    "X-OC-Mtime: 1400000000",
    `${base()}/oc`,
  );
  assert.equal(moved.headers.get("x-oc-mtime"), "accepted");
  assert.equal(Deno.statSync(`${home("ann")}/oc3`).mtime?.getTime(), 1_400_000_000_000);
});

Deno.test("quota is told to who asks for it (RFC 4331)", async () => {
  const counted = curlAs("counted", password);
  const ask = async () => {
    const { body } = await counted(
      "-X",
      "PROPFIND",
      "-H",
      "Depth: 0",
      "--data",
      `<propfind xmlns="DAV:"><prop><quota-used-bytes/><quota-available-bytes/></prop></propfind>`,
      `${base()}/`,
    );
    return [...body.matchAll(/<D:quota-(\w+)-bytes>(\d+)</g)].map(([, k, v]) => [k, Number(v)]);
  };
  assert.deepEqual(await ask(), [["used", 0], ["available", 1_000_000]]);
  assert.equal(
    (await counted("-X", "PUT", "--data-binary", "x".repeat(1000), `${base()}/k`)).status,
    201,
  );
  assert.deepEqual(await ask(), [["used", 1000], ["available", 999_000]]);
  const all = await counted("-X", "PROPFIND", "-H", "Depth: 0", `${base()}/`);
  assert.doesNotMatch(all.body, /quota/);
  assert.equal((await counted("-X", "DELETE", `${base()}/k`)).status, 204);
});

Deno.test("S6.3, S6.5: long and odd names round-trip, longer ones are refused", async () => {
  const { dir, home } = world();
  await Deno.writeTextFile(`${dir}/n`, "n");
  const longest = "n".repeat(255);
  for (
    const name of [
      longest,
      "a ",
      "a.",
      "-rf",
      '"q"',
      "CON",
      "\u{1f600}",
      "\u00e9",
      "e\u0301",
      "100%",
      "#?&",
    ]
  ) {
    const url = `${base()}/${encodeURIComponent(name)}`;
    assert.equal(await statusOf("-T", `${dir}/n`, url), 201, name);
    assert.equal(Deno.readTextFileSync(`${home("ann")}/${name}`), "n", name);
    assert.equal(await statusOf("-X", "DELETE", url), 204, name);
  }
  assert.equal(await statusOf("-T", `${dir}/n`, `${base()}/n${longest}`), 400);
  assert.equal(await statusOf("-T", `${dir}/n`, `${base()}${"/n".repeat(2100)}`), 400);
  for (const bad of ["%00", "%0a", "%0d%0a", "%7f", "%c3%28", "%c0%ae%c0%ae", "a%2fb", "..%5cx"]) {
    assert.equal(await statusOf("-T", `${dir}/n`, `${base()}/${bad}`), 400, bad);
  }
});

Deno.test("what is read is whole while another upload replaces it", async () => {
  const { home, server } = world();
  await Deno.writeTextFile(`${home("ann")}/steady`, "old content");
  const tag = (await ann("-I", `${base()}/steady`)).headers.get("etag");
  using conn = await Deno.connect({ port: Number(server.http.split(":").at(-1)) });
  await conn.write(new TextEncoder().encode(
    `PUT /dav/steady HTTP/1.1\r\nHost: x\r\nAuthorization: Basic ${btoa(`ann:${password}`)}\r\n` +
      `Content-Length: 2000000\r\n\r\n${"x".repeat(1_500_000)}`,
  ));
  await eventually("the upload is under way", async () => {
    const { stdout } = await server.sluice("sessions", "list", "--json");
    return (JSON.parse(stdout) as Array<{ command: string }>).some((r) => r.command === "PUT");
  }, 20);
  const read = await ann(`${base()}/steady`);
  assert.equal(read.body, "old content");
  assert.equal(read.headers.get("etag"), tag);
});

Deno.test("a changed password and a closed account end a believed login", async () => {
  const { server } = world();
  const as = (user: string, word: string) => async () =>
    (await curlAs(user, word)("-X", "PROPFIND", "-H", "Depth: 0", `${base()}/`)).status;
  const before = as("changing", password);
  assert.equal(await before(), 207);
  const { sluice } = await import("./server.ts");
  await sluice(server.dataDir, ["user", "passwd", "changing", "--password-stdin"], "another\n");
  await eventually("the old one is refused", async () => await before() === 401, 5);
  assert.equal(await as("changing", "another")(), 207);
  const closing = as("closing", password);
  assert.equal(await closing(), 207);
  assert.equal((await server.sluice("user", "update", "closing", "--status", "0")).code, 0);
  await eventually("the account is closed", async () => await closing() === 401, 5);
  const events = await server.events("--action", "login.failed", "--user", "closing");
  assert.ok(events.length > 0, "a refused request is a failed login in the journal");
});

Deno.test("a port of its own speaks TLS by its certificate, HTTP/2 too", async () => {
  await using own = await makeWorld([{ username: "ann", password }], {
    args: ["--workers", "2"],
    config: {
      webdavd: {
        bindings: [{ address: "127.0.0.1", port: 0, enable_https: true }],
        certificate_file: "cert.pem",
        certificate_key_file: "key.pem",
      },
    },
    before: async (dataDir) => {
      await must("openssl", [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        `${dataDir}/key.pem`,
        "-out",
        `${dataDir}/cert.pem`,
      ]);
    },
  });
  const url = own.server.webdav.replace("http:", "https:");
  const ca = ["--cacert", `${own.server.dataDir}/cert.pem`];
  await Deno.writeFile(`${own.dir}/big`, new Uint8Array(3_000_000).fill(7));
  for (const version of ["--http1.1", "--http2"]) {
    const args = [...ca, version];
    const name = version.slice(2).replace(".", "");
    assert.equal((await ann(...args, "-T", `${own.dir}/big`, `${url}/${name}`)).status, 201);
    assert.equal(
      (await ann(
        ...args,
        "-X",
        "MOVE",
        "-H",
        `Destination: ${url}/${name}.moved`,
        `${url}/${name}`,
      ))
        .status,
      201,
    );
    const file = await Deno.stat(`${own.home("ann")}/${name}.moved`);
    assert.equal(file.size, 3_000_000);
  }
  assert.equal((await run("curl", ["-s", url])).code, 60, "the certificate is not trusted");
  assert.notEqual((await run("curl", ["-s", own.server.webdav])).stdout, "207");
});

(await needs("rclone"))("rclone copies, syncs, checks and finds every name usable", async () => {
  const { dir, server } = world();
  await Deno.mkdir(`${dir}/src`, { recursive: true });
  for (let i = 0; i < 150; i++) await Deno.writeTextFile(`${dir}/src/f${i}`, `content ${i}`);
  const env = {
    RCLONE_CONFIG_T_TYPE: "webdav",
    RCLONE_CONFIG_T_URL: `${server.http}/dav`,
    RCLONE_CONFIG_T_VENDOR: "other",
    RCLONE_CONFIG_T_USER: "ann",
    RCLONE_CONFIG_T_PASS: (await must("rclone", ["obscure", password])).trim(),
    RCLONE_CONFIG: "/dev/null",
  };
  const rclone = (...args: string[]) => must("rclone", args, { env, timeout: 180 });
  await rclone("copy", `${dir}/src`, "T:many");
  await Deno.remove(`${dir}/src/f0`);
  await Deno.writeTextFile(`${dir}/src/f1`, "longer content 1");
  await rclone("sync", `${dir}/src`, "T:many");
  await rclone("check", "--download", `${dir}/src`, "T:many");
  await rclone("moveto", "T:many", "T:moved");
  await rclone("copyto", "T:moved/f1", "T:moved/g1");
  assert.equal(await rclone("cat", "T:moved/g1"), "longer content 1");
  assert.match(await rclone("about", "T:"), /Free|Used/);
  await rclone("purge", "T:moved");
  const { code, stdout, stderr } = await run("rclone", [
    "test",
    "info",
    "--check-normalization",
    "--check-control=false",
    "--check-streaming",
    "--check-length=false",
    "T:info",
  ], { env, timeout: 180 });
  assert.equal(code, 0, stderr);
  assert.match(stdout + stderr, /canStream\s*=\s*true/);
});

(await needs("cadaver"))("cadaver's lock is seen by others, and its own writes pass", async () => {
  const { dir, home, server } = world();
  const { host, hostname } = new URL(server.http);
  await Deno.mkdir(`${dir}/cadaver`);
  await Deno.writeTextFile(
    `${dir}/cadaver/.netrc`,
    `machine ${hostname}\nlogin ann\npassword ${password}\n`,
    { mode: 0o600 },
  );
  await Deno.writeTextFile(`${dir}/cadaver/f`, "by cadaver");
  const token = await lock(ann, `${base()}/cad`);
  const session = (stdin: string) =>
    run("cadaver", [`http://${host}/dav/`], {
      env: { HOME: `${dir}/cadaver` },
      cwd: `${dir}/cadaver`,
      stdin,
    });
  const refused = await session("put f cad\nquit\n");
  assert.match(refused.stdout, /locked|423/i, refused.stdout);
  assert.equal(Deno.readTextFileSync(`${home("ann")}/cad`), "");
  await ann("-X", "UNLOCK", "-H", `Lock-Token: <${token}>`, `${base()}/cad`);
  const own = await session(
    "lock cad\nput f cad\npropset cad color grey\ndiscover cad\nunlock cad\nmove cad cad2\nquit\n",
  );
  assert.equal(Deno.readTextFileSync(`${home("ann")}/cad2`), "by cadaver", own.stdout);
  assert.match(own.stdout, /grey|Setting property|succeeded/);
});

testIf(
  await installed("mount.davfs") && await canMount(),
  "davfs2 is not installed, or nothing may be mounted",
  "davfs2 mounts the tree, writes and reads back",
  async () => {
    const { dir, home } = world();
    const at = `${dir}/mnt`;
    await Deno.mkdir(at);
    const conf = `${dir}/davfs2.conf`;
    await Deno.writeTextFile(`${dir}/secrets`, `${base()}/ ann ${password}\n`, { mode: 0o600 });
    await Deno.writeTextFile(
      conf,
      `secrets ${dir}/secrets\ndelay_upload 0\n`,
    );
    await must("mount", ["-t", "davfs", "-o", `conf=${conf},uid=0,gid=0`, `${base()}/`, at]);
    try {
      await Deno.mkdir(`${at}/fuse`);
      await Deno.writeTextFile(`${at}/fuse/f`, "by davfs2");
      await Deno.rename(`${at}/fuse/f`, `${at}/fuse/g`);
    } finally {
      await must("umount", [at], { timeout: 120 });
    }
    assert.equal(Deno.readTextFileSync(`${home("ann")}/fuse/g`), "by davfs2");
  },
);
