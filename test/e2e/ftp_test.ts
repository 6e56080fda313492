import assert from "node:assert/strict";
import { cutting, type Dialog, dialog, passivePort } from "./raw_ftp.ts";
import { eventually, must, run } from "./process.ts";
import { addUser, Server } from "./server.ts";

const password = "tick and a quarter";
let server: Server;
let dir = "";
const ports: Record<"plain" | "tls" | "implicit", number> = { plain: 0, tls: 0, implicit: 0 };

Deno.test.beforeAll(async () => {
  dir = await Deno.makeTempDir({ prefix: "sluice-ftp-" });
  const bindings = [0, 1, 2].map((tls_mode) => ({ address: "127.0.0.1", port: 0, tls_mode }));
  server = await Server.start({
    config: { ftpd: { bindings, hash_support: true, enable_site: true, data_timeout: 5 } },
    before: async (dataDir) => {
      await addUser(dataDir, { username: "anna", password });
      await addUser(dataDir, { username: "small", password, quota_size: 1000 });
    },
  });
  const ready = server.log.find(({ event }) => event === "ready");
  const { ftp } = ready?.["listeners"] as { ftp: ReadonlyArray<string> };
  const [plain = 0, tls = 0, implicit = 0] = ftp.map((a) => Number(a.split(":").at(-1)));
  Object.assign(ports, { plain, tls, implicit });
});
Deno.test.afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await Deno.remove(dir, { recursive: true });
});

const home = (name: string) => `${server.dataDir}/users/anna/${name}`;
const curl = (...args: string[]) =>
  run("curl", ["-sS", "-k", "--max-time", "20", "-u", `anna:${password}`, ...args]);
const curlMust = (...args: string[]) =>
  must("curl", ["-sS", "-k", "--max-time", "20", "-u", `anna:${password}`, ...args]);
const random = (bytes: number) => {
  const all = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 65536) {
    crypto.getRandomValues(all.subarray(at, Math.min(bytes, at + 65536)));
  }
  return all;
};
const loggedIn = async (port = ports.plain): Promise<Dialog> => {
  const ftp = await dialog(port);
  assert.match(await ftp.answer(), /^220/);
  assert.match(await ftp.ask("USER anna"), /^331/);
  assert.match(await ftp.ask(`PASS ${password}`), /^230/);
  return ftp;
};

for (const kind of ["plain", "tls", "implicit"] as const) {
  Deno.test(`ftp: curl puts, gets, lists, resumes and appends over ${kind}`, async () => {
    const scheme = kind === "implicit" ? "ftps" : "ftp";
    const url = `${scheme}://127.0.0.1:${ports[kind]}/${kind}`;
    const tls = kind === "tls" ? ["--ssl-reqd"] : [];
    const bytes = random(3_000_000);
    await Deno.writeFile(`${dir}/up`, bytes);
    await curlMust(
      ...tls,
      "--ftp-create-dirs",
      "-T",
      `${dir}/up`,
      `${url}/a b.bin`.replace(" ", "%20"),
    );
    assert.deepEqual(await Deno.readFile(home(`${kind}/a b.bin`)), bytes);
    await curlMust(...tls, "-o", `${dir}/down`, `${url}/a%20b.bin`);
    assert.deepEqual(await Deno.readFile(`${dir}/down`), bytes);
    assert.match(await curlMust(...tls, `${url}/`), /-rw-r--r-- .* 3000000 .* a b\.bin\r?\n/);
    assert.match(await curlMust(...tls, "-X", "MLSD", `${url}/`), /type=file;size=3000000;/);
    await Deno.truncate(`${dir}/down`, 1_000_001);
    await curlMust(...tls, "-C", "-", "-o", `${dir}/down`, `${url}/a%20b.bin`);
    assert.deepEqual(await Deno.readFile(`${dir}/down`), bytes);
    await Deno.truncate(home(`${kind}/a b.bin`), 2_000_003);
    await curlMust(...tls, "-C", "-", "-T", `${dir}/up`, `${url}/a%20b.bin`);
    assert.deepEqual(await Deno.readFile(home(`${kind}/a b.bin`)), bytes);
    await Deno.writeTextFile(`${dir}/tail`, "tail");
    await curlMust(...tls, "--append", "-T", `${dir}/tail`, `${url}/a%20b.bin`);
    assert.equal((await Deno.stat(home(`${kind}/a b.bin`))).size, 3_000_004);
  });
}

Deno.test("ftp: one curl sends and fetches many files over TLS, each connection resumed", async () => {
  const names = Array.from({ length: 16 }, (_, i) => `many${i}`);
  const url = `ftp://127.0.0.1:${ports.tls}/many/`;
  const size = (i: number) => i % 8 === 7 ? 1_000_000 : 100 * i;
  for (const [i, name] of names.entries()) await Deno.writeFile(`${dir}/${name}`, random(size(i)));
  const all = ["--ssl-reqd", "--ftp-create-dirs", "--fail-early"];
  await curlMust(...all, ...names.flatMap((name) => ["-T", `${dir}/${name}`, url + name]));
  for (const name of names) {
    assert.deepEqual(
      await Deno.readFile(home(`many/${name}`)),
      await Deno.readFile(`${dir}/${name}`),
    );
  }
  await curlMust(...all, ...names.flatMap((name) => ["-o", `${dir}/${name}.back`, url + name]));
  for (const [i, name] of names.entries()) {
    assert.equal((await Deno.stat(`${dir}/${name}.back`)).size, size(i));
  }
});

Deno.test("ftp: TLS that is required comes before the password", async () => {
  const { code } = await curl(`ftp://127.0.0.1:${ports.tls}/`);
  assert.equal(code, 67);
  using ftp = await dialog(ports.tls);
  await ftp.answer();
  assert.match(await ftp.ask("USER anna"), /^530/);
  assert.match(await ftp.ask("PASS x"), /^530/);
});

Deno.test("ftp: what follows AUTH TLS in its packet is never run", async () => {
  using ftp = await dialog(ports.tls);
  await ftp.answer();
  ftp.send("AUTH TLS\r\nUSER anna\r\n");
  assert.match(await ftp.rest(), /^(234 [^\r]*\r\n)?$/);
  using slow = await dialog(ports.plain);
  await slow.answer();
  slow.send(`USER anna\r\nPASS wrong\r\nAUTH TLS\r\nUSER anna\r\n`);
  assert.match(await slow.rest(), /^331 [^\r]*\r\n530 [^\r]*\r\n$/);
});

Deno.test("ftp: lines are whole, exact and bounded", async () => {
  using ftp = await dialog(ports.plain);
  await ftp.answer();
  ftp.send("USER an");
  await new Promise((resolve) => setTimeout(resolve, 30));
  ftp.send(`na\r\nPASS ${password.slice(0, 5)}`);
  assert.match(await ftp.answer(), /^331/);
  await new Promise((resolve) => setTimeout(resolve, 30));
  ftp.send(`${password.slice(5)}\r\nPWD\nSYST\n`);
  assert.match(await ftp.answer(), /^230/);
  assert.match(await ftp.answer(), /^257 "\/"/);
  assert.match(await ftp.answer(), /^215/);
  assert.match(await ftp.ask("MKD bad\u0001name"), /^553/);
  assert.match(await ftp.ask("DELE"), /^501/);
  assert.match(await ftp.ask("PORT 10,0,0,1,4,1"), /^502/);
  ftp.send("A".repeat(1_000_000));
  assert.match(await ftp.answer(), /^500 the line is too long/);
  assert.match(await ftp.ask("DELE x\r\nPWD"), /^257/);
});

Deno.test("ftp: wrong passwords are refused, and HTTP is no FTP", async () => {
  using ftp = await dialog(ports.plain);
  await ftp.answer();
  await ftp.ask("USER anna");
  assert.match(await ftp.ask("PASS wrong"), /^530/);
  assert.match(await ftp.ask("SITE CPFR /etc/passwd"), /^530/);
  ftp.send("GET / HTTP/1.1\r\n");
  assert.equal(await ftp.rest(), "");
});

Deno.test("ftp: ABOR in mid-transfer answers 426 and 226 and leaves the target", async () => {
  using ftp = await loggedIn();
  await Deno.writeTextFile(home("kept"), "old");
  await ftp.ask("TYPE I");
  const conn = await Deno.connect({ port: passivePort(await ftp.ask("EPSV")) });
  assert.match(await ftp.ask("STOR kept"), /^150/);
  await conn.write(random(100_000));
  const begun = performance.now();
  ftp.sendBytes(new Uint8Array([255, 244, 255, 242]));
  assert.match(await ftp.ask("ABOR"), /^426/);
  assert.match(await ftp.answer(), /^226/);
  assert.ok(performance.now() - begun < 1000);
  conn.close();
  assert.equal(await Deno.readTextFile(home("kept")), "old");
  await Deno.writeFile(home("long"), random(30_000_000));
  const slow = await Deno.connect({ port: passivePort(await ftp.ask("EPSV")) });
  assert.match(await ftp.ask("RETR long"), /^150/);
  assert.match(await ftp.ask("ABOR"), /^426/);
  assert.match(await ftp.answer(), /^226/);
  slow.close();
  assert.match(await ftp.ask("SIZE long"), /^213 30000000/);
});

Deno.test("ftp: strangers are dropped, and a session has one listener", async () => {
  using ftp = await loggedIn();
  const before = server.descriptors;
  let port = 0;
  for (let i = 0; i < 100; i++) port = passivePort(await ftp.ask("EPSV"));
  assert.ok(server.descriptors <= before + 10);
  const stranger = await must("python3", [
    "-c",
    `import socket;s=socket.create_connection(('127.0.0.1',${port}),source_address=('127.0.0.9',0));s.settimeout(5)
try: print(len(s.recv(1)))
except ConnectionError: print(0)`,
  ]);
  assert.equal(stranger.trim(), "0");
  const conn = await Deno.connect({ port });
  assert.match(await ftp.ask("NLST"), /^150/);
  await new Response(conn.readable).text();
  assert.match(await ftp.answer(), /^226/);
});

Deno.test("ftp: REST, TYPE A, names and facts keep to the RFCs", async () => {
  using ftp = await loggedIn();
  await Deno.writeTextFile(home("text"), "one\ntwo\n");
  assert.match(await ftp.ask("REST 5"), /^350/);
  assert.match(await ftp.ask("TYPE A"), /^200/);
  assert.match(await ftp.ask("REST 5"), /^504/);
  let conn = await Deno.connect({ port: passivePort(await ftp.ask("EPSV")) });
  assert.match(await ftp.ask("RETR text"), /^150/);
  assert.equal(await new Response(conn.readable).text(), "one\r\ntwo\r\n");
  assert.match(await ftp.answer(), /^226/);
  conn = await Deno.connect({ port: passivePort(await ftp.ask("EPSV")) });
  assert.match(await ftp.ask("STOR text2"), /^150/);
  await conn.write(new TextEncoder().encode("a\r\nb\r\n"));
  conn.close();
  assert.match(await ftp.answer(), /^226/);
  assert.equal(await Deno.readTextFile(home("text2")), "a\nb\n");
  await ftp.ask("TYPE I");
  assert.match(await ftp.ask("REST -1"), /^501/);
  await ftp.ask("EPSV");
  assert.match(await ftp.ask("REST 500"), /^350/);
  assert.match(await ftp.ask("RETR text"), /^554/);
  assert.match(await ftp.ask("MFMT 20200102030405 text"), /^213 Modify=20200102030405;/);
  assert.match(await ftp.ask("MDTM text"), /^213 20200102030405/);
  assert.match(await ftp.ask("MLST text"), /type=file;size=8;modify=20200102030405;.* \/text/s);
  assert.match(await ftp.ask("SITE CHMOD 600 text"), /^200/);
  assert.equal((await Deno.stat(home("text"))).mode! & 0o777, 0o600);
  assert.match(await ftp.ask("HASH text"), /^213 SHA-256 0-8 [0-9a-f]{64} \/text/);
  assert.match(await ftp.ask("MKD d"), /^257 "\/d"/);
  assert.match(await ftp.ask("DELE d"), /^550/);
  assert.match(await ftp.ask("RMD text"), /^550/);
  assert.match(await ftp.ask("RNFR text2"), /^350/);
  assert.match(await ftp.ask("RNTO text"), /^250/);
  assert.equal(await Deno.readTextFile(home("text")), "a\nb\n");
  assert.match(await ftp.ask("AVBL"), /^213 \d+/);
  assert.match(await ftp.ask("FEAT"), /REST STREAM/);
});

for (const how of ["rst", "fin"] as const) {
  Deno.test(`ftp: an FTPS upload that is cut by ${how} never becomes the file`, async () => {
    await Deno.writeTextFile(home("whole"), "old");
    const answer = await must("python3", ["-c", cutting(ports.tls, password, how)]);
    assert.match(answer, /^426/);
    assert.equal(await Deno.readTextFile(home("whole")), "old");
    const left = [...Deno.readDirSync(home(""))].filter(({ name }) => name.startsWith("."));
    assert.deepEqual(left.map(({ name }) => name), []);
  });
}

Deno.test("ftp: a data connection without the session of the control connection is refused", async () => {
  const answer = await must("python3", ["-c", cutting(ports.tls, password, "stranger")]);
  assert.match(answer, /^522/);
});

Deno.test("ftp: an upload over the quota answers 552 and leaves nothing", async () => {
  await Deno.writeFile(`${dir}/much`, random(5000));
  const { code, stderr } = await run("curl", [
    ...["-sSv", "-k", "--ssl-reqd", "-u", `small:${password}`, "-T", `${dir}/much`],
    `ftp://127.0.0.1:${ports.tls}/much`,
  ]);
  assert.notEqual(code, 0);
  assert.match(stderr, /552/);
  await eventually(
    "nothing is left",
    async () => await Deno.stat(`${server.dataDir}/users/small/much`).then(() => false, () => true),
  );
});

Deno.test("ftp: lftp resumes its session over TLS 1.2 too", async () => {
  await Deno.writeFile(`${dir}/old`, random(200_000));
  const settings = "set ssl:verify-certificate no; set ftp:ssl-force yes; set net:max-retries 1; " +
    "set ssl:priority NORMAL:-VERS-ALL:+VERS-TLS1.2";
  const commands = `put ${dir}/old -o old12; get old12 -o ${dir}/old12`;
  const open = `open -u anna,"${password}" ftp://127.0.0.1:${ports.tls}`;
  await must("lftp", ["-c", `${settings}; ${open}; ${commands}; bye`]);
  await must("cmp", [`${dir}/old`, `${dir}/old12`]);
});
