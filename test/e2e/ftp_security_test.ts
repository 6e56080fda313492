import assert from "node:assert/strict";
import { type FtpWorld, ftpWorld, makeCertificates, password } from "./ftp_world.ts";
import { must, run } from "./process.ts";
import { sluiceMust } from "./server.ts";
import { passivePort } from "./raw_ftp.ts";

let world: FtpWorld;
let open: FtpWorld;

Deno.test.beforeAll(async () => {
  world = await ftpWorld({
    ftpd: { min_tls_version: 13 },
    users: [
      { username: "strict", password, filters: { ftp_security: 1 } },
      { username: "coded", password },
      { username: "sshonly", password, filters: { denied_protocols: ["FTP"] } },
      { username: "keyonly", password, filters: { denied_login_methods: ["password"] } },
      { username: "reader", password, permissions: { "/": ["list", "download"], "/A": ["*"] } },
    ],
  });
  open = await ftpWorld({ ftpd: { tls_session_reuse: false } });
});
Deno.test.afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await open[Symbol.asyncDispose]();
});

/** ftplib by itself makes a new TLS session for each data connection. */
const ftplib = (port: number) =>
  must("python3", [
    "-c",
    `
import ftplib, io, ssl
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
ftp = ftplib.FTP_TLS(context=context, timeout=10)
ftp.connect("127.0.0.1", ${port})
ftp.login("anna", "${password}")
ftp.prot_p()
for what in ("STOR", "RETR", "NLST"):
    try:
        if what == "STOR": print(ftp.storbinary("STOR fresh", io.BytesIO(b"fresh" * 1000)))
        elif what == "RETR": print(ftp.retrbinary("RETR fresh", lambda _: None))
        else: print(ftp.retrlines("NLST", lambda _: None))
    except ftplib.Error as error: print(error)
    except OSError: print(ftp.getresp() if False else "cut"); break
`,
  ]);

Deno.test("ftp: a new TLS session for data is refused, unless the settings allow it", async () => {
  assert.doesNotMatch(await ftplib(world.ports[1] ?? 0), /226/);
  await assert.rejects(Deno.stat(world.home("fresh")));
  assert.equal((await ftplib(open.ports[1] ?? 0)).match(/226/g)?.length, 3);
  assert.equal((await Deno.stat(open.home("fresh"))).size, 5000);
});

Deno.test("ftp: curl puts and gets over TLS 1.2 and 1.3, and over nothing older than the settings", async () => {
  const file = `${world.dir}/versions`;
  await Deno.writeFile(file, new Uint8Array(700_000).fill(9));
  const curl = (to: FtpWorld, version: string, ...args: string[]) =>
    run("curl", [
      ...["-sS", "-k", "--ssl-reqd", `--tlsv${version}`, "--tls-max", version, "--max-time", "20"],
      ...["-u", `anna:${password}`, ...args, `ftp://127.0.0.1:${to.ports[1]}/v${version}`],
    ]);
  for (const [to, version] of [[open, "1.2"], [open, "1.3"], [world, "1.3"]] as const) {
    assert.equal((await curl(to, version, "-T", file)).code, 0);
    assert.equal((await curl(to, version, "-o", `${file}.back`)).code, 0);
    await must("cmp", [file, `${file}.back`]);
  }
  assert.equal((await curl(world, "1.2", "-T", file)).code, 35);
});

Deno.test("ftp: data in clear is refused where TLS is required", async () => {
  const { stderr, code } = await run("curl", [
    ...["-sSv", "-k", "--ftp-ssl-control", "--max-time", "20", "-u", `anna:${password}`],
    `ftp://127.0.0.1:${world.ports[1]}/`,
  ]);
  assert.notEqual(code, 0);
  assert.match(stderr, /< 534/);
});

Deno.test("ftp: users who must have TLS, or have no FTP or no password, do not get in", async () => {
  const code = async (user: string, tls: boolean) =>
    (await run("curl", [
      ...[
        "-sS",
        "-k",
        ...(tls ? ["--ssl-reqd"] : []),
        "--max-time",
        "20",
        "-u",
        `${user}:${password}`,
      ],
      `ftp://127.0.0.1:${world.ports[0]}/`,
    ])).code;
  assert.equal(await code("strict", false), 67);
  assert.equal(await code("strict", true), 0);
  assert.equal(await code("sshonly", true), 67);
  assert.equal(await code("keyonly", true), 67);
});

Deno.test("ftp: links that lead out are no way out, and can be removed", async () => {
  using ftp = await world.login();
  const outside = `${world.dir}/secret`;
  await Deno.mkdir(outside);
  await Deno.writeTextFile(`${outside}/file`, "secret");
  await Deno.symlink(outside, world.home("out"));
  await Deno.symlink(`${outside}/file`, world.home("outfile"));
  for (
    const command of [
      "CWD out",
      "SIZE outfile",
      "MDTM out/file",
      "RETR outfile",
      "RETR out/file",
      "STOR outfile",
      "STOR out/new",
      "APPE outfile",
      "MKD out/new",
      "DELE out/file",
      "RNFR out/file",
      "MLSD out",
      "MFMT 20200101000000 outfile",
    ]
  ) {
    if (/^(RETR|STOR|APPE|MLSD)/.test(command)) await ftp.ask("EPSV");
    await ftp.ask("TYPE I");
    assert.match(await ftp.ask(command), /^5(50|53|01|04)/, command);
  }
  assert.deepEqual([...Deno.readDirSync(outside)].map(({ name }) => name), ["file"]);
  assert.equal(await Deno.readTextFile(`${outside}/file`), "secret");
  assert.match(await ftp.ask("DELE out"), /^250/);
  assert.match(await ftp.ask("DELE outfile"), /^250/);
  assert.equal(await Deno.readTextFile(`${outside}/file`), "secret");
});

Deno.test("ftp: a pattern of many stars is answered as soon as any", async () => {
  const names = ["a".repeat(255), "a[b]c", "abc"];
  for (const name of names) await Deno.writeTextFile(world.home(name), "");
  const list = async (pattern: string) => {
    const { code, stdout, stderr } = await run("curl", [
      ...["-sS", "-k", "--ssl-reqd", "--max-time", "5", "-u", `anna:${password}`],
      ...["-X", `NLST ${pattern}`, `ftp://127.0.0.1:${world.ports[1]}/`],
    ]);
    assert.equal(code, 0, stderr);
    return stdout.trim().split("\r\n").filter(Boolean);
  };
  assert.deepEqual(await list(`${"*a".repeat(50)}*b`), []);
  assert.deepEqual(await list("?[b]*"), ["a[b]c"]);
  for (const name of names) await Deno.remove(world.home(name));
});

Deno.test("ftp: renaming and removing keep to what is there", async () => {
  using ftp = await world.login();
  const move = async (from: string, to: string) => {
    assert.match(await ftp.ask(`RNFR ${from}`), /^350/);
    return await ftp.ask(`RNTO ${to}`);
  };
  await Deno.mkdir(world.home("tree/inner"), { recursive: true });
  await Deno.writeTextFile(world.home("tree/file"), "in the tree");
  await Deno.writeTextFile(world.home("one"), "one");
  assert.match(await move("tree", "tree/inner/again"), /^5/);
  assert.match(await move("one", "one"), /^[25]/);
  assert.match(await move("one", "tree"), /^5(04|50)/);
  assert.match(await move("tree", "one"), /^5(04|50)/);
  assert.match(await ftp.ask("RMD tree"), /^550 .*empty/);
  assert.match(await ftp.ask("DELE tree"), /^550/);
  assert.match(await ftp.ask("RMD one"), /^550/);
  assert.match(await ftp.ask("RNTO x"), /^503/);
  assert.equal(await Deno.readTextFile(world.home("tree/file")), "in the tree");
  assert.equal(await Deno.readTextFile(world.home("one")), "one");
});

Deno.test("ftp: rights are those of the very folder, in its very case", async () => {
  using ftp = await world.login("reader");
  const store = async (path: string) => {
    const port = passivePort(await ftp.ask("EPSV"));
    const answer = await ftp.ask(`STOR ${path}`);
    if (!answer.startsWith("150")) return answer;
    (await Deno.connect({ port })).close();
    return await ftp.answer();
  };
  assert.match(await ftp.ask("MKD x"), /^550/);
  const home = `${world.server.dataDir}/users/reader`;
  for (const name of ["A", "a", "AB"]) await Deno.mkdir(`${home}/${name}`);
  assert.match(await store("A/f"), /^226/);
  for (const path of ["a/f", "AB/f", "f", "A/../f"]) assert.match(await store(path), /^550/, path);
});

Deno.test("ftp: a binding has its own certificate where it names one", async () => {
  const dir = await Deno.makeTempDir({ prefix: "sluice-certificates-" });
  await makeCertificates(dir);
  const binding = (name?: string) => ({
    ...{ address: "127.0.0.1", port: 0, tls_mode: 1 },
    ...(name
      ? { certificate_file: `${dir}/${name}.pem`, certificate_key_file: `${dir}/${name}.key` }
      : {}),
  });
  await using own = await ftpWorld({
    ftpd: { bindings: [binding(), binding("bert"), binding("ca")] },
  });
  const names = [];
  for (const port of own.ports) {
    const { code, stderr } = await run("curl", [
      ...["-sSv", "-k", "--ssl-reqd", "--max-time", "20", "-u", `anna:${password}`],
      `ftp://127.0.0.1:${port}/`,
    ]);
    assert.equal(code, 0, stderr);
    names.push(/subject: CN=(\w+)/.exec(stderr)?.[1]);
  }
  assert.deepEqual(names, ["sluice", "bert", "ca"]);
  await Deno.remove(dir, { recursive: true });
});

/** RFC 6238 with the secret in base32: a program that nobody here wrote computes it. */
const codeOf = (secret: string) =>
  must("python3", [
    "-c",
    `
import base64, hmac, struct, time
key = base64.b32decode("${secret}" + "=" * (-len("${secret}") % 8))
mac = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), "sha1").digest()
at = mac[-1] & 15
print("%06d" % ((struct.unpack(">I", mac[at:at + 4])[0] & 0x7fffffff) % 1000000), end="")
`,
  ]);

Deno.test("ftp: a one-time code follows the password of those who have one", async () => {
  const { dataDir } = world.server;
  const args = ["user", "totp", "coded", "enable", "--protocols", "FTP", "--json"];
  const { secret } = JSON.parse(await sluiceMust(dataDir, args));
  const login = async (extra: string) =>
    (await run("curl", [
      ...["-sS", "--max-time", "20", "-u", `coded:${password}${extra}`],
      `ftp://127.0.0.1:${world.ports[0]}/`,
    ])).code;
  assert.equal(await login(""), 67);
  assert.equal(await login("000000"), 67);
  const code = await codeOf(secret);
  assert.equal(await login(code), 0);
  assert.equal(await login(code), 67, "the same code again");
});
