import assert from "node:assert/strict";
import { type FtpWorld, ftpWorld, password } from "./ftp_world.ts";
import { must, run } from "./process.ts";
import { dialog, passivePort } from "./raw_ftp.ts";

let world: FtpWorld;
let six = 0;

Deno.test.beforeAll(async () => {
  const binding = (address: string, tls_mode: number) => ({ address, port: 0, tls_mode });
  world = await ftpWorld({
    ftpd: {
      bindings: [binding("127.0.0.1", 0), binding("127.0.0.1", 1), binding("::1", 0)],
      active_transfers: true,
      enable_site: true,
      hash_support: true,
      combine_support: true,
      banner: "one\ntwo",
      host_names: ["files.example.org", "[::1]"],
      passive_host: "198.51.100.7",
      passive_ip_overrides: [
        { networks: ["10.0.0.0/8"], ip: "203.0.113.1" },
        { networks: ["127.0.0.9/32"], ip: "203.0.113.9" },
      ],
    },
    common: { symlink_mode: 1 },
  });
  six = world.ports[2] ?? 0;
});
Deno.test.afterAll(async () => await world[Symbol.asyncDispose]());

const get = async (port: number) =>
  await new Response((await Deno.connect({ port })).readable).text();
const base = ["-sS", "-k", "--max-time", "20", "-u", `anna:${password}`];
const urls = () => ({
  plain: `ftp://127.0.0.1:${world.ports[0]}`,
  tls: `ftp://127.0.0.1:${world.ports[1]}`,
});

Deno.test("ftp: the banner has its lines, and HOST knows its names", async () => {
  using ftp = await dialog(world.ports[0] ?? 0);
  assert.equal(await ftp.answer(), "220-one\r\n220 two\r\n");
  assert.match(await ftp.ask("HOST Files.Example.Org"), /^220-one/);
  assert.match(await ftp.ask("HOST [::1]"), /^220/);
  assert.match(await ftp.ask("HOST other.example.org"), /^504/);
  assert.match(await ftp.ask('HOST a..b/"c'), /^501/);
  assert.match(await ftp.ask("USER anna"), /^331/);
  assert.match(await ftp.ask("HOST files.example.org"), /^220/);
  assert.match(await ftp.ask(`PASS ${password}`), /^503/);
  await ftp.ask("USER anna");
  assert.match(await ftp.ask(`PASS ${password}`), /^230/);
  assert.match(await ftp.ask("HOST files.example.org"), /^503/);
});

Deno.test("ftp: PASV tells the address of the settings, or that for the client's network", async () => {
  using ftp = await world.login();
  assert.match(await ftp.ask("PASV"), /^227 .*\(198,51,100,7,\d+,\d+\)/);
  const other = await must("python3", [
    "-c",
    `import ftplib
ftp = ftplib.FTP(timeout=10, source_address=("127.0.0.9", 0))
ftp.connect("127.0.0.1", ${world.ports[0]})
ftp.login("anna", "${password}")
print(ftp.sendcmd("PASV"))`,
  ]);
  assert.match(other, /\(203,0,113,9,/);
  assert.match(await ftp.ask("EPSV 2"), /^522/);
  assert.match(await ftp.ask("EPSV ALL"), /^200/);
  for (const command of ["PASV", "PORT 127,0,0,1,200,1", "EPRT |1|127.0.0.1|50000|"]) {
    assert.match(await ftp.ask(command), /^503/);
  }
  assert.match(await ftp.ask("EPSV"), /^229/);
});

Deno.test("ftp: curl puts and gets in active mode", async () => {
  const { plain } = urls();
  await Deno.writeTextFile(`${world.dir}/active`, "active");
  for (const how of [[], ["--disable-eprt"]]) {
    const all = [...base, ...how, "-P", "-"];
    await must("curl", [...all, "-T", `${world.dir}/active`, `${plain}/active`]);
    assert.equal(await must("curl", [...all, `${plain}/active`]), "active");
  }
});

Deno.test("ftp: lftp puts and gets in active mode over TLS", async () => {
  await Deno.writeFile(`${world.dir}/lftp`, new Uint8Array(300_000).fill(7));
  const settings = "set ssl:verify-certificate no; set ftp:ssl-force yes; set ftp:passive-mode no";
  const commands = `put ${world.dir}/lftp -o lftp; get lftp -o ${world.dir}/lftp2`;
  const open = `open -u anna,"${password}" ${urls().tls}`;
  await must("lftp", ["-c", `${settings}; set net:max-retries 1; ${open}; ${commands}; bye`]);
  await must("cmp", [`${world.dir}/lftp`, world.home("lftp")]);
  await must("cmp", [`${world.dir}/lftp`, `${world.dir}/lftp2`]);
});

Deno.test("ftp: a client that leaves before TLS begins harms nobody", async () => {
  // curl 7.88 gives up active uploads over TLS by itself, right after it was connected to.
  const args = [...base, "--ssl-reqd", "-P", "-", "-T", `${world.dir}/active`];
  for (let i = 0; i < 5; i++) await run("curl", [...args, `${urls().tls}/left`]);
  using ftp = await world.login();
  assert.match(await ftp.ask("NOOP"), /^200/);
  assert.equal(world.server.escapedErrors, 0);
});

Deno.test("ftp: active mode goes to the client alone, and to no port of a service", async () => {
  using ftp = await world.login();
  for (
    const wrong of [
      ...[
        "PORT 127,0,0,2,200,1",
        "PORT 10,0,0,1,200,1",
        "PORT 127,0,0,1,0,25",
        "PORT 127,0,0,1,3,255",
      ],
      ...[
        "PORT 0177,0,0,1,200,1",
        "PORT 0x7f,0,0,1,200,1",
        "PORT 127,1,200,1",
        "PORT 127,0,0,1,256,1",
      ],
      ...["EPRT |1|127.0.0.2|50000|", "EPRT |2|::ffff:127.0.0.1|50000|", "EPRT |1|127.0.0.1|80|"],
      ...["EPRT |1|127.0.0.1|70000|", "EPRT |3|x|1|", "EPRT |1|127.1|50000|", "PORT 127,0,0,1"],
    ]
  ) {
    assert.match(await ftp.ask(wrong), /^500/, wrong);
    assert.match(await ftp.ask("NLST"), /^425/, wrong);
  }
  // Nobody listens there.
  const gone = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = gone.addr;
  gone.close();
  assert.match(await ftp.ask(`EPRT |1|127.0.0.1|${port}|`), /^200/);
  assert.match(await ftp.ask("NLST"), /^150/);
  assert.match(await ftp.answer(), /^425/);
});

Deno.test("ftp: curl puts and gets over IPv6, passive and active", async () => {
  const url = `ftp://[::1]:${six}/six`;
  await Deno.writeTextFile(`${world.dir}/six`, "six");
  for (const how of [[], ["-P", "-"]]) {
    await must("curl", [...base, "-g", ...how, "-T", `${world.dir}/six`, url]);
    assert.equal(await must("curl", [...base, "-g", ...how, url]), "six");
  }
});

Deno.test("ftp: curl -Q changes times, modes, names and links", async () => {
  const { plain } = urls();
  await Deno.writeTextFile(world.home("f"), "sum me");
  const quote = (...commands: string[]) =>
    must("curl", [...base, "-v", "-I", ...commands.flatMap((one) => ["-Q", one]), `${plain}/`]);
  await quote(
    "SITE CHMOD 600 f",
    "SITE SYMLINK f link",
    "MFF Modify=20010203040506;UNIX.mode=0640; f",
  );
  const info = await Deno.stat(world.home("f"));
  assert.equal((info.mode ?? 0) & 0o777, 0o640);
  assert.equal(info.mtime?.toISOString(), "2001-02-03T04:05:06.000Z");
  assert.equal(await Deno.readLink(world.home("link")), "f");
  await quote("SITE UTIME 20020203040506 f", "XMKD dir", "XCWD dir", "XPWD", "XCUP", "XRMD dir");
  assert.equal((await Deno.stat(world.home("f"))).mtime?.getUTCFullYear(), 2002);
  for (
    const wrong of ["SITE CHOWN root f", "SITE EXEC ls", "MFF Owner=x; f", "SITE CHMOD 9 f", "SITE"]
  ) {
    const { code } = await run("curl", [...base, "-I", "-Q", wrong, `${plain}/`]);
    assert.equal(code, 21, wrong);
  }
});

Deno.test("ftp: HASH and its kin tell what the system's tools tell", async () => {
  using ftp = await world.login();
  await Deno.writeTextFile(world.home("f"), "sum me");
  const sum = async (tool: string) => (await must(tool, [world.home("f")])).split(" ")[0] ?? "";
  for (
    const [name, tool] of [
      ["SHA-256", "sha256sum"],
      ["SHA-512", "sha512sum"],
      ["SHA-1", "sha1sum"],
      ["MD5", "md5sum"],
    ]
  ) {
    const expected = await sum(tool ?? "");
    assert.match(await ftp.ask(`OPTS HASH ${name}`), new RegExp(`^200 ${name}\r`));
    assert.equal(await ftp.ask("HASH f"), `213 ${name} 0-6 ${expected} /f\r\n`);
    assert.match(await ftp.ask("FEAT"), new RegExp(`HASH .*${name}\\*`));
    assert.match(await ftp.ask(`X${(name ?? "").replace("-", "")} f`), new RegExp(expected));
  }
  const { data } = JSON.parse(
    await must("python3", [
      "-c",
      `import zlib; print('{"data": "%08x"}' % zlib.crc32(open("${world.home("f")}","rb").read()))`,
    ]),
  );
  assert.equal(await ftp.ask("XCRC f"), `250 ${data}\r\n`);
  assert.match(await ftp.ask("OPTS HASH CRC32"), /^200 CRC32\r/);
  assert.equal(await ftp.ask("HASH f"), `213 CRC32 0-6 ${data} /f\r\n`);
  assert.match(await ftp.ask("OPTS HASH CRC16"), /^501/);
  assert.match(await ftp.ask("HASH /"), /^550/);
  assert.match(await ftp.ask("HASH none"), /^550/);
});

Deno.test("ftp: FTP-13: COMB adds parts to a file whole or not at all, and removes them", async () => {
  const { plain } = urls();
  const at = (name: string) => world.home(`comb/${name}`);
  await Deno.mkdir(world.home("comb"));
  const parts = { "a 1": "first ", b: "second ", c: "x".repeat(600_000) };
  for (const [name, text] of Object.entries(parts)) await Deno.writeTextFile(at(name), text);
  await must("curl", [...base, "-I", "-Q", 'COMB comb/whole "comb/a 1" comb/b', `${plain}/`]);
  assert.equal(await Deno.readTextFile(at("whole")), "first second ");
  await must("curl", [...base, "-I", "-Q", "COMB comb/whole comb/c", `${plain}/`]);
  assert.equal(await Deno.readTextFile(at("whole")), Object.values(parts).join(""));
  assert.deepEqual([...Deno.readDirSync(world.home("comb"))].map(({ name }) => name), ["whole"]);

  using ftp = await world.login();
  await Deno.writeTextFile(at("d"), "more");
  for (
    const [ask, code] of [
      ["comb/whole comb/d comb/none", 550],
      ["comb/whole comb/d comb", 550],
      ["comb/whole comb/d ../comb/d", 501],
      ["comb/d ./comb/d", 501],
      ["comb/whole", 501],
      ['comb/whole "comb/d', 501],
    ] as const
  ) {
    assert.match(await ftp.ask(`COMB ${ask}`), new RegExp(`^${code}`), ask);
    assert.equal((await Deno.stat(at("whole"))).size, 600_013, ask);
    assert.equal(await Deno.readTextFile(at("d")), "more", ask);
  }
});

Deno.test("ftp: OPTS, STAT, AVBL and the small commands", async () => {
  using ftp = await world.login();
  await Deno.mkdir(world.home("stat"));
  await Deno.writeTextFile(world.home("stat/file one"), "12345");
  assert.match(await ftp.ask("STAT"), /^211-.*in clear.*\r\n211 End\r\n$/s);
  assert.match(await ftp.ask("STAT stat"), /^212-.*-rw.* 5 .* file one\r\n212 End\r\n$/s);
  assert.match(await ftp.ask("STAT -la stat/file one"), /^213-.* 5 .*\r\n213 End/s);
  assert.match(await ftp.ask("STAT none"), /^550/);
  assert.match(await ftp.ask("OPTS MLST Size;Type;Nothing;"), /^200 MLST OPTS type;size;\r/);
  assert.match(
    await ftp.ask("MLST stat/file one"),
    /\r\n type=file;size=5; \/stat\/file one\r\n250 /,
  );
  assert.match(await ftp.ask("FEAT"), /MLST type\*;size\*;modify;UNIX.mode;/);
  assert.match(await ftp.ask("OPTS UTF8 ON"), /^200/);
  assert.match(await ftp.ask("OPTS UTF8 OFF"), /^504/);
  assert.match(await ftp.ask("OPTS NONE"), /^501/);
  assert.match(await ftp.ask("AVBL stat"), /^213 \d+/);
  assert.match(await ftp.ask("AVBL none"), /^550/);
  for (
    const [command, code] of [
      ["CCC", 534],
      ["ACCT x", 202],
      ["ALLO 10", 202],
      ["HELP", 214],
      ["CLNT x", 200],
      ["MODE S", 200],
      ["MODE B", 504],
      ["STRU F", 200],
      ["STRU R", 504],
      ["TYPE E", 504],
      ["PBSZ 0", 503],
      ["PROT P", 503],
      ["REIN", 500],
    ] as const
  ) {
    assert.match(await ftp.ask(command), new RegExp(`^${code}`), command);
  }
  assert.match(await ftp.ask("CWD stat/file one"), /^550/);
  assert.match(await ftp.ask("CWD stat"), /^250/);
  assert.match(await ftp.ask("MLST"), / \/stat\r\n/);
  const names = passivePort(await ftp.ask("EPSV"));
  assert.match(await ftp.ask("NLST *ne"), /^150/);
  assert.equal(await get(names), "file one\r\n");
  await ftp.answer();
  assert.match(await ftp.ask("CDUP"), /^250/);
  assert.match(await ftp.ask("CDUP"), /^250/);
  assert.match(await ftp.ask("PWD"), /^257 "\/"/);
  assert.match(await ftp.ask("QUIT"), /^221/);
});

Deno.test("ftp: names that are strange stay what they are, and those that leave are refused", async () => {
  using ftp = await world.login();
  const names = [
    "a ",
    "a.",
    "-rf",
    '"q"',
    "CON",
    "😀",
    "e\u0301",
    "\u00e9",
    "x".repeat(255),
    "-la b",
  ];
  for (const name of names) {
    const port = passivePort(await ftp.ask("EPSV"));
    const conn = await Deno.connect({ port });
    assert.match(await ftp.ask(`STOR ${name}`), /^150/, name);
    await conn.write(new TextEncoder().encode(name));
    conn.close();
    assert.match(await ftp.answer(), /^226/, name);
  }
  const port = passivePort(await ftp.ask("EPSV"));
  assert.match(await ftp.ask("MLSD"), /^150/);
  const listed = await get(port);
  await ftp.answer();
  for (const name of names) {
    assert.equal(await Deno.readTextFile(world.home(name)), name);
    assert.ok(listed.includes(`; ${name}\r\n`), name);
    assert.match(await ftp.ask(`DELE ${name}`), /^250/);
  }
  for (
    const [name, code] of [["x".repeat(256), 553], ["x/".repeat(2500), 553], ["a\0b", 553], [
      "a\rb",
      553,
    ]] as const
  ) {
    assert.match(await ftp.ask(`MKD ${name}`), new RegExp(`^${code}`), name.slice(0, 20));
  }
  for (const name of ["../../etc/passwd", "..\\..\\etc\\passwd", "%2e%2e/%2e%2e/etc/passwd"]) {
    assert.match(await ftp.ask(`SIZE ${name}`), /^55[03]/);
  }
  assert.match(await ftp.ask("RNFR /"), /^(350|550)/);
  assert.match(await ftp.ask("RNTO /other"), /^5/);
  assert.match(await ftp.ask("RMD /"), /^550/);
});
