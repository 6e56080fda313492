import assert from "node:assert/strict";
import { type FtpWorld, ftpWorld, password } from "./ftp_world.ts";
import { eventually, must, run } from "./process.ts";
import { type Dialog, dialog, passivePort } from "./raw_ftp.ts";

let world: FtpWorld;
/** Three ports in a row that nobody has. */
const freeRange = (): { readonly start: number; readonly end: number } => {
  for (let tries = 0; tries < 100; tries++) {
    const held = [Deno.listen({ hostname: "127.0.0.1", port: 0 })];
    const start = held[0]?.addr.port ?? 0;
    try {
      for (const port of [start + 1, start + 2]) {
        held.push(Deno.listen({ hostname: "127.0.0.1", port }));
      }
      return { start, end: start + 2 };
    } catch {
      // One of them is taken.
    } finally {
      for (const listener of held) listener.close();
    }
  }
  throw new Error("no three ports in a row are free");
};
const range = freeRange();

Deno.test.beforeAll(async () => {
  world = await ftpWorld({
    ftpd: { passive_port_range: range, data_timeout: 2, login_grace: 2 },
    common: { idle_timeout: 0.05, max_per_host_connections: 0 },
    users: [{ username: "small", password, quota_size: 300_000 }],
  });
});
Deno.test.afterAll(async () => await world[Symbol.asyncDispose]());

const passive = async (ftp: Dialog) => passivePort(await ftp.ask("EPSV"));

Deno.test("ftp: passive ports are random in their range, and where none is left 425 says so", async () => {
  const sessions = [await world.login(), await world.login(), await world.login()];
  using last = await world.login();
  try {
    const ports = new Set<number>();
    for (const ftp of sessions) {
      const port = await passive(ftp);
      assert.ok(port >= range.start && port <= range.end);
      ports.add(port);
    }
    assert.equal(ports.size, 3);
    assert.match(await last.ask("EPSV"), /^425/);
    assert.match(await last.ask("PASV"), /^425/);
    assert.match(await sessions[0]?.ask("ABOR") ?? "", /^226/);
    const [first] = sessions;
    assert.ok(first);
    assert.match(await first.ask("QUIT"), /^221/);
    await eventually("a port is free again", async () => /^229/.test(await last.ask("EPSV")));
  } finally {
    for (const ftp of sessions) ftp[Symbol.dispose]();
  }
  const seen = new Set<number>();
  using ftp = await world.login();
  for (let i = 0; i < 40; i++) seen.add(await passive(ftp));
  assert.ok(seen.size > 1, "all the same port");
});

Deno.test("ftp: a data connection that never comes is 425 after its time, and the session goes on", async () => {
  using ftp = await world.login();
  await passive(ftp);
  const begun = performance.now();
  assert.match(await ftp.ask("NLST"), /^150/);
  assert.match(await ftp.answer(), /^425/);
  const seconds = (performance.now() - begun) / 1000;
  assert.ok(seconds > 1 && seconds < 4, `${seconds} s`);
  assert.match(await ftp.ask("NLST"), /^425/);
  assert.match(await ftp.ask("NOOP"), /^200/);
});

Deno.test("ftp: who does not log in, and who does nothing, is sent away", async () => {
  using silent = await dialog(world.ports[0] ?? 0);
  using idle = await world.login();
  assert.match(await silent.rest(), /^220.*\r\n421 /);
  assert.match(await idle.rest(), /^421 /);
});

Deno.test("ftp: a long transfer is no idle session, and what was sent meanwhile is answered after it", async () => {
  using ftp = await world.login();
  const conn = await Deno.connect({ port: await passive(ftp) });
  assert.match(await ftp.ask("STOR long"), /^150/);
  // Longer than the idle time and the time to log in.
  for (let i = 0; i < 12; i++) {
    await conn.write(new Uint8Array(1000).fill(i));
    await new Promise((resolve) => setTimeout(resolve, 500));
    if (i === 4) assert.match(await ftp.ask("STAT"), /^211 [1-9]\d* bytes/);
    if (i < 10) ftp.send("NOOP\r\n");
  }
  conn.close();
  assert.match(await ftp.answer(), /^226/);
  for (let i = 0; i < 10; i++) assert.match(await ftp.answer(), /^200/);
  assert.match(await ftp.ask("SIZE long"), /^213 12000/);
});

Deno.test("ftp: slow readers and writers take little memory, and only who stands still is cut", async () => {
  await must("truncate", ["-s", "200M", world.home("large")]);
  const { server } = world;
  const readers = await Promise.all(Array.from({ length: 3 }, async () => {
    const ftp = await world.login();
    const conn = await Deno.connect({ port: await passive(ftp) });
    assert.match(await ftp.ask("RETR large"), /^150/);
    return { ftp, conn };
  }));
  const before = server.rss;
  const buffer = new Uint8Array(64 * 1024);
  const begun = performance.now();
  while (performance.now() - begun < 5000) {
    await readers[0]?.conn.read(buffer);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.ok(server.rss < before + 30 * 1024 ** 2, `${before} to ${server.rss} bytes`);
  // Those who read nothing for 2 seconds are out, the slow one is not.
  assert.match(await readers[1]?.ftp.answer() ?? "", /^426/);
  assert.match(await readers[2]?.ftp.answer() ?? "", /^426/);
  assert.match(await readers[0]?.ftp.ask("ABOR") ?? "", /^426/);
  assert.match(await readers[0]?.ftp.answer() ?? "", /^226/);
  for (const { ftp, conn } of readers) {
    conn.close();
    ftp[Symbol.dispose]();
  }
});

Deno.test("ftp: a slow TLS download is bounded too", async () => {
  const { server } = world;
  await must("truncate", ["-s", "200M", world.home("large")]);
  const before = server.rss;
  const slow = run("curl", [
    ...["-sS", "-k", "--ssl-reqd", "-u", `anna:${password}`, "--limit-rate", "200K"],
    ...["--max-time", "6", "-o", `${world.dir}/slow`, `ftp://127.0.0.1:${world.ports[1]}/large`],
  ]);
  await new Promise((resolve) => setTimeout(resolve, 5000));
  const during = server.rss;
  assert.equal((await slow).code, 28, "curl's own time-out");
  assert.ok(during < before + 40 * 1024 ** 2, `${before} to ${during} bytes`);
});

Deno.test("ftp: a quota that is reached in mid-upload is 552, and the old file is as it was", async () => {
  const home = `${world.server.dataDir}/users/small`;
  const put = (bytes: number, force: boolean) => {
    Deno.writeFileSync(`${world.dir}/put`, new Uint8Array(bytes).fill(bytes % 251));
    const settings =
      `set ssl:verify-certificate no; set ftp:ssl-force ${force}; set net:max-retries 1`;
    const open = `open -u small,"${password}" ftp://127.0.0.1:${world.ports[force ? 1 : 0]}`;
    const command = `set xfer:clobber yes; put ${world.dir}/put -o kept`;
    return run("lftp", ["-c", `${settings}; ${open}; ${command}; bye`]);
  };
  assert.equal((await put(1000, false)).code, 0);
  const old = await Deno.readFile(`${home}/kept`);
  for (const force of [false, true]) {
    const { code, stderr } = await put(5_000_000, force);
    assert.notEqual(code, 0);
    assert.match(stderr, /552/);
    assert.deepEqual(await Deno.readFile(`${home}/kept`), old);
    assert.deepEqual([...Deno.readDirSync(home)].map(({ name }) => name), ["kept"]);
    const user = await world.server.user("small");
    assert.equal(user["used_quota_size"], 1000);
  }
});

Deno.test("ftp: kick ends an upload, which is no file then", async () => {
  using ftp = await world.login();
  const conn = await Deno.connect({ port: await passive(ftp) });
  assert.match(await ftp.ask("STOR kicked"), /^150/);
  await conn.write(new Uint8Array(100_000));
  assert.equal((await world.server.sluice("sessions", "kick", "--user", "anna")).code, 0);
  assert.match(await ftp.rest(), /421/);
  conn.close();
  await eventually(
    "nothing is left",
    () => [...Deno.readDirSync(world.home(""))].every(({ name }) => !name.includes("kicked")),
  );
});

Deno.test("ftp: garbage where TLS should begin harms nobody", async () => {
  const port = world.ports[1] ?? 0;
  for (let seed = 1; seed < 30; seed++) {
    using ftp = await dialog(port);
    await ftp.answer();
    assert.match(await ftp.ask("AUTH TLS"), /^234/);
    const bytes = crypto.getRandomValues(new Uint8Array(seed * 37));
    // A TLS record of the handshake, at times.
    if (seed % 2) bytes.set([22, 3, 1, 0, seed]);
    ftp.sendBytes(bytes);
    if (seed % 3) continue;
    await ftp.rest();
  }
  assert.equal(world.server.escapedErrors, 0);
  using ftp = await world.login();
  assert.match(await ftp.ask("NOOP"), /^200/);
});

Deno.test("ftp: drain lets a transfer finish", async () => {
  await using own = await ftpWorld();
  using ftp = await own.login();
  const conn = await Deno.connect({ port: passivePort(await ftp.ask("EPSV")) });
  assert.match(await ftp.ask("STOR drained"), /^150/);
  await conn.write(new Uint8Array(1000));
  const drained = own.server.sluice("drain");
  await eventually("nobody is let in", async () => {
    using late = await dialog(own.ports[0] ?? 0);
    return /^421/.test(await late.answer());
  });
  await conn.write(new Uint8Array(1000));
  conn.close();
  assert.match(await ftp.answer(), /^226/);
  assert.equal((await drained).code, 0);
  assert.equal((await Deno.stat(own.home("drained"))).size, 2000);
});

Deno.test("ftp: without descriptors the server refuses, and goes on when there are some again", async () => {
  await using own = await ftpWorld({
    wrap: ["prlimit", "--nofile=120"],
    common: { max_per_host_connections: 0, workers: 1 },
  });
  using first = await own.login();
  const many: Deno.TcpConn[] = [];
  for (let i = 0; i < 200; i++) many.push(await Deno.connect({ port: own.ports[0] ?? 0 }));
  // There is none for a listener, and none for a file.
  assert.match(await first.ask("EPSV"), /^(229|425)/);
  assert.match(await first.ask("NOOP"), /^200/);
  for (const conn of many) conn.close();
  await eventually("a transfer works again", async () => {
    const { code } = await run("curl", [
      ...["-sS", "--max-time", "5", "-u", `anna:${password}`, "-T", "/etc/hostname"],
      `ftp://127.0.0.1:${own.ports[0]}/again`,
    ]);
    return code === 0;
  });
});
