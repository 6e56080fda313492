import assert from "node:assert/strict";
import { type FtpWorld, ftpWorld, makeCertificates, password } from "./ftp_world.ts";
import { must, run } from "./process.ts";

let world: FtpWorld;
let certificates = "";

Deno.test.beforeAll(async () => {
  certificates = await Deno.makeTempDir({ prefix: "sluice-certificates-" });
  await makeCertificates(certificates);
  const bert = await Deno.readTextFile(`${certificates}/bert.pem`);
  const binding = (tls_mode: number, client_auth_type: number) => ({
    ...{ address: "127.0.0.1", port: 0, tls_mode, client_auth_type },
  });
  world = await ftpWorld({
    ftpd: {
      bindings: [binding(0, 0), binding(1, 1), binding(1, 2), binding(2, 1)],
      ca_certificates: [`${certificates}/ca.pem`],
    },
    users: [
      { username: "named", password, filters: { tls_username: "CommonName" } },
      {
        username: "bert",
        password,
        filters: { tls_certs: [bert], denied_login_methods: ["password"] },
      },
      {
        username: "both",
        password,
        filters: {
          tls_certs: [bert],
          denied_login_methods: ["password", "TLSCertificate"],
        },
      },
      {
        username: "common",
        password,
        filters: { tls_username: "CommonName" },
      },
    ],
  });
});
Deno.test.afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await Deno.remove(certificates, { recursive: true });
});

/** Lists the root; answers curl's code and dialogue. */
const list = (port: number, user: string, certificate?: string, secret = password) =>
  run("curl", [
    ...["-sSv", "-k", "--ssl-reqd", "--max-time", "20", "-u", `${user}:${secret}`],
    ...(certificate === undefined ? [] : ["--cert", `${certificates}/${certificate}.pem`]),
    ...(certificate === undefined ? [] : ["--key", `${certificates}/${certificate}.key`]),
    `${port === world.ports[3] ? "ftps" : "ftp"}://127.0.0.1:${port}/`,
  ]);

Deno.test("ftp: where a certificate is required, a password alone is refused", async () => {
  for (const port of [world.ports[1] ?? 0, world.ports[3] ?? 0]) {
    for (const shown of [undefined, "forged"]) {
      const { code, stderr } = await list(port, "anna", shown);
      assert.notEqual(code, 0, stderr);
      assert.doesNotMatch(stderr, /< 230/);
    }
    const good = await list(port, "anna", "bert");
    assert.equal(good.code, 0, good.stderr);
    assert.match(good.stderr, /< 331[^]*< 230/);
  }
});

Deno.test("ftp: a listed certificate logs in without a password, and nobody else", async () => {
  const optional = world.ports[2] ?? 0;
  const good = await list(optional, "bert", "bert", "wrong");
  assert.equal(good.code, 0, good.stderr);
  assert.match(good.stderr, /< 232/);
  for (const shown of [undefined, "anna", "forged"]) {
    const { code, stderr } = await list(optional, "bert", shown);
    assert.equal(code, 67, stderr);
  }
  const events = await world.server.events("--action", "login.succeeded");
  assert.ok(
    events.some(({ username, method }) => username === "bert" && method === "TLSCertificate"),
  );
});

Deno.test("ftp: a certificate and a password where both are wanted", async () => {
  const optional = world.ports[2] ?? 0;
  assert.equal((await list(optional, "both", "bert")).code, 0);
  assert.equal((await list(optional, "both", "bert", "wrong")).code, 67);
  assert.equal((await list(optional, "both")).code, 67);
  assert.equal((await list(optional, "both", "anna")).code, 67);
});

Deno.test("ftp: a certificate's common name is the user's, where the user says so", async () => {
  const optional = world.ports[2] ?? 0;
  assert.match((await list(optional, "anna", "anna")).stderr, /< 331/);
  assert.match((await list(optional, "common", "anna")).stderr, /< 331/);
  await must("openssl", [
    "req",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-subj",
    "/CN=common",
    "-keyout",
    "common.key",
    "-out",
    "common.csr",
  ], { cwd: certificates });
  await must("openssl", [
    "x509",
    "-req",
    "-in",
    "common.csr",
    "-CA",
    "ca.pem",
    "-CAkey",
    "ca.key",
    "-CAcreateserial",
    "-days",
    "2",
    "-extfile",
    "ext",
    "-out",
    "common.pem",
  ], { cwd: certificates });
  assert.match((await list(optional, "common", "common", "wrong")).stderr, /< 232/);
  assert.equal((await list(optional, "anna", "common", "wrong")).code, 67);
});

Deno.test("ftp: a certificate without its key logs nobody in", async () => {
  // tlslite-ng and OpenSSL refuse such a pair; Go's client does not look.
  const go = await run("go", ["version"]).catch(() => undefined);
  if (go?.code !== 0) return;
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
  raw, e := net.Dial("tcp", "127.0.0.1:"+os.Args[1]); must(e)
  r := bufio.NewReader(raw); r.ReadString('\\n')
  fmt.Fprint(raw, "AUTH TLS\\r\\n"); r.ReadString('\\n')
  conn := tls.Client(raw, config)
  must(conn.Handshake())
  _, e = fmt.Fprint(conn, "USER bert\\r\\n"); must(e)
  line, e := bufio.NewReader(conn).ReadString('\\n'); must(e)
  fmt.Print(conn.ConnectionState().DidResume, " ", line)
  conn.Close()
 }
}`;
  await Deno.writeTextFile(`${certificates}/main.go`, program);
  await must("go", ["build", "-o", "client", "main.go"], {
    cwd: certificates,
    env: { GO111MODULE: "off" },
    timeout: 120,
  });
  const shown = (key: string, version: string, pem = "bert") =>
    must(`${certificates}/client`, [String(world.ports[2]), `${pem}.pem`, `${key}.key`, version], {
      cwd: certificates,
    });
  for (const version of ["13", "12"]) {
    const good = (await shown("bert", version)).trim().split("\n");
    assert.equal(good.length, 6);
    for (const line of good) assert.match(line, /^(true|false) 232/);
    // The threads of the server keep sessions each for itself.
    assert.ok(good.some((line) => line.startsWith("true")));
    assert.match(await shown("anna", version), /^refused/);
  }
  // Of version 1 Deno does not check the signature at all, and says only that the chain is wrong.
  await must("openssl", [
    "x509",
    "-req",
    "-in",
    "bert.csr",
    "-CA",
    "ca.pem",
    "-CAkey",
    "ca.key",
    "-CAcreateserial",
    "-days",
    "2",
    "-out",
    "v1.pem",
  ], { cwd: certificates });
  for (const version of ["13", "12"]) {
    assert.doesNotMatch(await shown("anna", version, "v1"), /232/);
  }
});
