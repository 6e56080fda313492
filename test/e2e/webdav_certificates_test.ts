import assert from "node:assert/strict";
import { type CertificateWorld, certificateWorld, password } from "./certificate_world.ts";
import { noiseFile, sha256 } from "./files.ts";
import { eventually, must, run } from "./process.ts";
import { updateUser } from "./server.ts";
import { needs } from "./tools.ts";

let world: CertificateWorld;
const named = { tls_username: "CommonName" };

Deno.test.beforeAll(async () => {
  world = await certificateWorld(async (read) => {
    const bert = await read("bert");
    const denied = (...denied_login_methods: string[]) => ({
      ...{ tls_certs: [bert], denied_login_methods },
    });
    return [
      { username: "anna", password, filters: named },
      { username: "bert", password },
      { username: "carla", password },
      { username: "listed", password, filters: { tls_certs: [bert] } },
      { username: "only", password, filters: denied("password") },
      { username: "both", password, filters: denied("password", "TLSCertificate") },
      { username: "never", password, filters: denied("TLSCertificate", "TLSCertificate+password") },
      { username: "off", password, status: 0, filters: { tls_certs: [bert] } },
      { username: "ftponly", password, filters: { ...denied(), denied_protocols: ["DAV"] } },
      { username: "fading", password, filters: named },
      { username: "gone", password, filters: named },
    ];
  });
  await world.sign("expired", -1);
  await world.sign("fading");
  await world.sign("gone");
});
Deno.test.afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

/** One PROPFIND of the root. */
const look = (url: string, name?: string, user?: string, secret = password) =>
  world.status(
    name,
    ...["-X", "PROPFIND", "-H", "Depth: 0", `${url}/`],
    ...(user === undefined ? [] : ["-u", `${user}:${secret}`]),
  );
const succeeded = async (user: string) =>
  (await world.world.server.events("--action", "login.succeeded", "--user", user))
    .map(({ method }) => method);

Deno.test("required: who shows no good certificate is refused before any HTTP", async () => {
  const { required, curl } = world;
  await Deno.copyFile(`${world.certificates}/anna.pem`, `${world.certificates}/stolen.pem`);
  await Deno.copyFile(`${world.certificates}/bert.key`, `${world.certificates}/stolen.key`);
  for (const name of [undefined, "forged", "expired"]) {
    const asked = ["-u", `anna:${password}`, `${required}/`];
    const one = await curl(name, "--http1.1", ...asked);
    assert.match(one.stdout, /a client certificate is required\n\n403$/, one.stderr);
    const two = await curl(name, "--http2", ...asked, "-v");
    assert.match(two.stdout, /\n000$/);
    assert.match(two.stderr, /GOAWAY, error=12/);
    assert.equal(await world.status(name, "-T", `${world.certificates}/ca.pem`, ...asked), 0);
  }
  // curl will not even try with a key that is not the certificate's.
  assert.notEqual((await curl("stolen", `${required}/`)).code, 0);
  assert.equal(await look(required, "anna"), 207);
});

Deno.test("required: a certificate that is nobody's opens the door, and a password is needed", async () => {
  assert.equal(await look(world.required, "bert"), 401, "bert lists no certificate");
  assert.equal(await look(world.required, "bert", "carla"), 207);
  assert.equal(await look(world.required, "bert", "carla", "wrong"), 401);
});

Deno.test("optional: a password alone, a certificate alone, and neither", async () => {
  const { optional } = world;
  assert.equal(await look(optional), 401);
  assert.equal(await look(optional, undefined, "anna"), 207);
  assert.equal(await look(optional, "anna"), 207);
  for (const name of ["forged", "expired"]) {
    assert.equal(await look(optional, name), 401);
    assert.equal(await look(optional, name, "anna"), 207, "as if none had been shown");
  }
  const methods = await succeeded("anna");
  assert.ok(methods.includes("TLSCertificate") && methods.includes("password"));
  assert.equal(await look(world.plain, "anna"), 401, "where nobody asks it counts for nothing");
});

Deno.test("a listed certificate is its user's under the user's name, and nobody else's", async () => {
  const { optional } = world;
  assert.equal(await look(optional, "bert", "listed", ""), 207);
  assert.deepEqual(await succeeded("listed"), ["TLSCertificate"]);
  assert.equal(await look(optional, "anna", "listed", ""), 401);
  assert.equal(await look(optional, "bert", "anna", ""), 401);
  assert.equal(await look(optional, "bert", "nobody", ""), 401);
});

Deno.test("denied methods hold: certificate alone, both together, no certificate at all", async () => {
  const { optional } = world;
  assert.equal(await look(optional, "bert", "only", ""), 207);
  assert.equal(await look(optional, undefined, "only"), 401);
  assert.equal(await look(optional, "bert", "both"), 207);
  assert.deepEqual(await succeeded("both"), ["TLSCertificate+password"]);
  assert.equal(await look(optional, "bert", "both", ""), 401);
  assert.equal(await look(optional, "bert", "both", "wrong"), 401);
  assert.equal(await look(optional, undefined, "both"), 401, "what was believed needs both again");
  assert.equal(await look(optional, "anna", "both"), 401);
  assert.equal(await look(optional, "bert", "never", ""), 401);
  assert.equal(await look(optional, "bert", "never"), 207);
  assert.deepEqual(await succeeded("never"), ["password"]);
  for (const user of ["off", "ftponly"]) {
    assert.equal(await look(optional, "bert", user, ""), 401);
    const failed = await world.world.server.events("--action", "login.failed", "--user", user);
    const [event] = failed.filter(({ method }) => method === "TLSCertificate");
    assert.equal(event?.["ip"], "127.0.0.1");
    assert.match(String(event?.["message"]), /disabled|denied/);
  }
});

Deno.test("64 MiB go up and down unharmed over HTTP/1.1 and HTTP/2", async () => {
  const { curl, required, world: { dir, home } } = world;
  const file = await noiseFile(`${dir}/big`, 64 * 1024 * 1024);
  const sum = await sha256(file);
  for (const version of ["--http1.1", "--http2"]) {
    const put = await curl("anna", version, "-T", file, `${required}/big${version}`);
    assert.match(put.stdout, /201$/, put.stderr);
    assert.equal(await sha256(`${home("anna")}/big${version}`), sum);
    const got = await curl("anna", version, "-o", `${dir}/back`, `${required}/big${version}`);
    assert.match(got.stdout, /200$/, got.stderr);
    assert.equal(await sha256(`${dir}/back`), sum);
  }
});

Deno.test("one connection serves many requests, with ranges and conditions", async () => {
  const { curl, required, world: { dir } } = world;
  await Deno.writeTextFile(`${dir}/ten`, "0123456789");
  assert.match((await curl("anna", "-T", `${dir}/ten`, `${required}/ten`)).stdout, /201$/);
  const urls = Array.from({ length: 20 }, (_, i) => `${required}/ten?${i}`);
  const { stdout } = await curl(
    "anna",
    ...["--http1.1", "-r", "2-4", "-w", " %{http_code} %{num_connects}\n", ...urls],
  );
  assert.equal(stdout, "234 206 1\n" + "234 206 0\n".repeat(19));
  const paths = ["a", "b", "c", "d"].map((name) => ["-T", `${dir}/ten`, `${required}/${name}`]);
  const many = await curl("anna", "--http2", "-Z", ...paths.flat());
  assert.match(many.stdout, /^(\n201){4}$/);
});

Deno.test("a certificate that is taken away logs in no more, on a connection that is open too", async () => {
  const { optional, world: { server } } = world;
  const urls = Array.from({ length: 40 }, (_, i) => `${optional}/?${i}`);
  const seen = world.curl(
    "fading",
    ...["--http1.1", "--rate", "4/s", "-X", "OPTIONS", "-w", "%{http_code} ", ...urls],
  );
  await eventually("it is in", async () => (await succeeded("fading")).length > 0);
  await updateUser(server.dataDir, { username: "fading" });
  assert.match((await seen).stdout, /^(200 )+(401 (log in first\n)?|log in first\n401 )+/);
});

Deno.test("a certificate that its authority revokes counts no more, without a restart", async () => {
  const { optional, required } = world;
  assert.equal(await look(optional, "gone"), 207);
  assert.equal(await look(required, "gone"), 207);
  const ftp = () => world.curl("gone", "-u", `gone:${password}`, `${world.ftp}/`);
  assert.equal((await ftp()).code, 0);
  const urls = Array.from({ length: 100 }, (_, i) => `${required}/?${i}`);
  const open = world.curl(
    "gone",
    ...["--http1.1", "--rate", "4/s", "-X", "OPTIONS", "-o", "/dev/null", "-f"],
    ...["-w", "%{http_code} %{num_connects}\n", "--fail-early", ...urls],
  );
  await world.revoke("gone");
  await eventually("the list is read", async () => await look(optional, "gone") === 401, 15);
  // Each worker and port reads it for itself.
  await eventually("the other too", async () => await look(required, "gone") === 0, 15);
  await eventually("FTP has read it too", async () => (await ftp()).code === 67, 15);
  assert.match((await open).stdout, /^200 1\n(200 0\n)+403 0\n$/, "on an open connection too");
  assert.equal(await look(optional, "anna"), 207);
});

Deno.test("HTTP API: a certificate is required beside what the API asks for", async () => {
  const { curl, http, world: { dir } } = world;
  const basic = ["-u", `carla:${password}`];
  for (const name of [undefined, "forged", "expired"]) {
    const { stdout } = await curl(name, "--http1.1", ...basic, `${http}/api/v2/user/token`);
    assert.match(stdout, /403$/);
  }
  const { stdout } = await curl("bert", ...basic, `${http}/api/v2/user/token`);
  const token = /"access_token":"([^"]+)"/.exec(stdout)?.[1];
  const bearer = ["-H", `Authorization: Bearer ${token}`];
  const file = await noiseFile(`${dir}/api`, 1_000_000);
  const upload = ["-T", file, "-X", "POST", `${http}/api/v2/user/files/upload?path=/api`];
  assert.equal(await world.status("bert", ...bearer, ...upload), 201);
  const got = await curl(
    "anna",
    ...bearer,
    "-o",
    `${dir}/b`,
    `${http}/api/v2/user/files?path=/api`,
  );
  assert.match(got.stdout, /200$/);
  assert.equal(await sha256(`${dir}/b`), await sha256(file));
  assert.equal(
    await world.status("anna", `${http}/api/v2/user/token`),
    401,
    "it is no login there",
  );
  assert.equal(await look(`${http}/dav`, "anna"), 207, "and is one for WebDAV on that port");
});

(await needs("rclone"))("rclone webdav syncs both ways by its certificate", async () => {
  const { required, certificates, world: { dir, home } } = world;
  await Deno.mkdir(`${dir}/tree/sub`, { recursive: true });
  for (let i = 0; i < 30; i++) await noiseFile(`${dir}/tree/sub/${i}`, 1 + i * 7001);
  const rclone = (...args: string[]) =>
    must("rclone", [
      ...["--config", "/dev/null", "--no-check-certificate", "--webdav-url", `${required}/`],
      ...["--client-cert", `${certificates}/anna.pem`, "--client-key", `${certificates}/anna.key`],
      ...args,
    ]);
  await rclone("copy", `${dir}/tree`, ":webdav:tree");
  await rclone("check", "--download", `${dir}/tree`, ":webdav:tree");
  await rclone("copy", ":webdav:tree", `${dir}/tree2`);
  const two = [`${dir}/tree`, `${home("anna")}/tree`, `${dir}/tree2`];
  for (const there of two.slice(1)) await must("diff", ["-r", two[0] ?? "", there]);
});

Deno.test("who is asked, and for whose signature", async () => {
  const hello = async (url: string) =>
    (await run("openssl", ["s_client", "-connect", url.slice("https://".length)], {
      stdin: "",
    })).stdout;
  assert.match(await hello(world.plain), /No client certificate CA names sent/);
  for (const url of [world.required, world.optional, world.http]) {
    assert.match(await hello(url), /Acceptable client certificate CA names[^]*CN = ca\n/);
  }
});

(await needs("go"))(
  "sessions resume with the certificate, and a signature by another key opens nothing",
  async () => {
    const { certificates, required } = world;
    await Deno.writeTextFile(`${certificates}/main.go`, program);
    await must("go", ["build", "-o", "client", "main.go"], {
      ...{ cwd: certificates, env: { GO111MODULE: "off" }, timeout: 120 },
    });
    const say = (pem: string, key: string, version: string) =>
      must(`${certificates}/client`, [required.slice(8), `${pem}.pem`, `${key}.key`, version], {
        cwd: certificates,
      });
    for (const version of ["13", "12"]) {
      const lines = (await say("anna", "anna", version)).trim().split("\n");
      assert.equal(lines.length, 6);
      for (const line of lines) assert.match(line, /^(true|false) HTTP\/1\.1 200/);
      assert.ok(lines.some((line) => line.startsWith("true")), lines.join());
      assert.doesNotMatch(await say("anna", "bert", version), /200|207/);
    }
  },
);

/** Sends a request and reads the answer, six times with one session cache. */
const program = `package main
import ("bufio";"crypto/tls";"crypto/x509";"encoding/pem";"fmt";"net";"os")
func must(e error) { if e != nil { fmt.Println("refused", e); os.Exit(0) } }
func main() {
 c, _ := os.ReadFile(os.Args[2]); k, _ := os.ReadFile(os.Args[3])
 cb, _ := pem.Decode(c); kb, _ := pem.Decode(k)
 key, e := x509.ParsePKCS8PrivateKey(kb.Bytes); must(e)
 cert := tls.Certificate{Certificate: [][]byte{cb.Bytes}, PrivateKey: key}
 version := uint16(tls.VersionTLS13)
 if os.Args[4] == "12" { version = tls.VersionTLS12 }
 config := &tls.Config{InsecureSkipVerify: true, MaxVersion: version, ServerName: "localhost",
  ClientSessionCache: tls.NewLRUClientSessionCache(4),
  GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }}
 for i := 0; i < 6; i++ {
  raw, e := net.Dial("tcp", os.Args[1]); must(e)
  conn := tls.Client(raw, config)
  must(conn.Handshake())
  fmt.Fprint(conn, "OPTIONS / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
   line, e := bufio.NewReader(conn).ReadString('\\n'); must(e)
  fmt.Print(conn.ConnectionState().DidResume, " ", line)
  conn.Close()
 }
}`;
