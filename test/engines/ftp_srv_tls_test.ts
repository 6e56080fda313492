/** What ftp-srv 4.6.3 does with TLS and with uploads that are cut (docs/decisions/0017). */
import assert from "node:assert/strict";
import { must, run } from "../e2e/process.ts";
import { installed } from "../e2e/tools.ts";
import { start, testsOf } from "./engine.ts";
import { connect } from "./line_client.ts";

const test = await testsOf("npm:ftp-srv@4.6.3", "ftp_srv.ts");
const program = "ftp_srv.ts";
const clients = (await Promise.all(["openssl", "curl", "/usr/bin/python3"].map(installed)))
  .every((there) => there);

const inFolder = async (body: (dir: string) => Promise<void>) => {
  const dir = await Deno.makeTempDir({ prefix: "sluice-engines-" });
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
};

const certificate = async (dir: string) => {
  const [key, cert] = [`${dir}/key.pem`, `${dir}/cert.pem`];
  await must("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ...["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
    ...["-addext", "basicConstraints=critical,CA:FALSE"],
    ...["-keyout", key, "-out", cert],
  ]);
  return { key: await Deno.readTextFile(key), cert: await Deno.readTextFile(cert) };
};

/**
 * Python's ftplib uploads 200,000 bytes, cuts the data connection and prints the last answer.
 * `early` makes it shake hands before it reads 150, which it does not do of itself.
 */
const cut = async (
  port: number,
  { how, tls, early }: { how: "rst" | "fin"; tls: boolean; early: boolean },
) =>
  (await run("/usr/bin/python3", ["-c", python, String(port), how, String(tls), String(early)], {
    timeout: 20,
  })).stdout.trim();

const python = `
import ftplib, os, socket, ssl, struct, sys
port, how, tls, early = sys.argv[1:]
context = ssl._create_unverified_context()
class Early(ftplib.FTP_TLS):
    def ntransfercmd(self, cmd, rest=None):
        conn = socket.create_connection(self.makepasv())
        self.putcmd(cmd)
        conn = context.wrap_socket(conn)
        self.getresp()
        return conn, None
kind = ftplib.FTP if tls == "false" else Early if early == "true" else ftplib.FTP_TLS
ftp = kind(timeout=10)
ftp.connect("127.0.0.1", int(port))
ftp.login("anna", "secret")
if tls == "true": ftp.prot_p()
try:
    conn = ftp.transfercmd("STOR f")
    conn.sendall(b"x" * 200000)
    if how == "rst":
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(conn.detach())
    print(ftp.voidresp())
except ftplib.Error as error: print(error)
`;

test(
  "ftp-srv passes: curl over explicit and implicit TLS, up and down",
  () =>
    inFolder(async (dir) => {
      await Deno.writeTextFile(`${dir}/file`, "x".repeat(300_000));
      const tls = await certificate(dir);
      for (const implicit of [false, true]) {
        await using server = await start(program, { tls, implicit });
        const at = `${implicit ? "ftps" : "ftp"}://127.0.0.1:${server.port}/f`;
        const common = ["-sS", "--max-time", "10", "-u", "anna:secret", "--ssl-reqd", "-k"];
        await must("curl", [...common, "-T", `${dir}/file`, at]);
        assert.equal((await server.saw("final"))["bytes"], 300_000);
        assert.equal(await must("curl", [...common, at]), "a\nb\n");
      }
    }),
  clients,
);

test(
  "ftp-srv fails: it answers 150 before the handshake, as Python's ftplib waits for",
  () =>
    inFolder(async (dir) => {
      await using server = await start(program, { tls: await certificate(dir) });
      const answer = await cut(server.port, { how: "fin", tls: true, early: false });
      assert.equal(answer, "425 No connection established");
    }),
  clients,
);

test("ftp-srv fails: no login before TLS where TLS is required", () =>
  inFolder(async (dir) => {
    await using server = await start(program, { tls: await certificate(dir) });
    using lines = await connect(server.port);
    assert.match(await lines.ask("USER anna"), /^331 /);
    assert.match(await lines.ask("PASS secret"), /^230 /);
    const { password } = await server.saw("login");
    assert.equal(password, "secret", "a login listener could refuse, after the password came");
  }), clients);

test(
  "ftp-srv fails: what came before the handshake is not run after it",
  () =>
    inFolder(async (dir) => {
      const tls = await certificate(dir);
      await using server = await start(program, { tls });
      const lines = await connect(server.port);
      await lines.send("AUTH TLS\r\nUSER injected\r\n");
      assert.match(await lines.answer(), /^234 /);
      await lines.secure(tls.cert);
      using _closed = lines;
      assert.match(await lines.answer(), /^331 /, "the answer to a command sent in clear");
      assert.match(await lines.ask("PASS x"), /^230 /);
      assert.equal((await server.saw("login"))["username"], "injected");
    }),
  clients,
);

test(
  "ftp-srv passes behind its file system class: session reuse can be seen",
  () =>
    inFolder(async (dir) => {
      await using server = await start(program, { tls: await certificate(dir) });
      const at = `ftp://127.0.0.1:${server.port}/f`;
      const common = [
        "-sS",
        "--max-time",
        "10",
        "-u",
        "anna:secret",
        "--ssl-reqd",
        "-k",
        "-T",
        "-",
      ];
      await must("curl", [...common, at], { stdin: "x" });
      assert.equal((await server.saw("write"))["reused"], true);
    }),
  clients,
);

test("ftp-srv fails: an upload cut by RST is not committed", async () => {
  await using server = await start(program);
  await cut(server.port, { how: "rst", tls: false, early: false });
  const { bytes } = await server.saw("final");
  assert.ok(Number(bytes) <= 200_000);
  await server.saw("destroy");
  const order = server.events.map((e) => e.event).filter((e) => /final|destroy/.test(e));
  assert.deepEqual(order, ["final", "destroy"], "ended first: a commit in final() publishes it");
}, clients);

test(
  "ftp-srv fails: a TLS upload without close_notify is not committed",
  () =>
    inFolder(async (dir) => {
      await using server = await start(program, { tls: await certificate(dir) });
      const answer = await cut(server.port, { how: "fin", tls: true, early: true });
      assert.match(answer, /^226 /);
      await server.saw("final");
    }),
  clients,
);

test(
  "ftp-srv fails: REST then STOR keeps what is there (its own file system)",
  () =>
    inFolder(async (dir) => {
      await Deno.writeTextFile(`${dir}/f`, "0123456789");
      await using server = await start(program, { root: dir });
      using lines = await connect(server.port);
      await lines.ask("USER anna");
      await lines.ask("PASS secret");
      const port = Number(/\|\|\|(\d+)\|/.exec(await lines.ask("EPSV"))?.[1]);
      const conn = await Deno.connect({ hostname: "127.0.0.1", port });
      await lines.ask("REST 5");
      await lines.ask("STOR f");
      await conn.write(new TextEncoder().encode("ab"));
      conn.close();
      assert.match(await lines.answer(), /^226 /);
      assert.equal(await Deno.readTextFile(`${dir}/f`), "\0\0\0\0\0ab");
    }),
  clients,
);
