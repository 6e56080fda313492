import assert from "node:assert/strict";
import { sftpMust } from "../e2e/clients.ts";
import { noiseFile, sha256 } from "../e2e/files.ts";
import { eventually, pause, run } from "../e2e/process.ts";
import { needs } from "../e2e/tools.ts";
import { makeWorld, type World } from "../e2e/world.ts";

const password = "right horse";
const MiB = 1024 * 1024;
const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));
/** A record that says it has 512 bytes, and the first of a ClientHello. */
const HALF_HELLO = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
const bytes = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));

/** A connection that says `first`, and `then` once it is answered with `cue`; and nothing more. */
const caller = async (port: number, first = "", cue = /never/, then = "") => {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const call = { heard: "", over: false, conn, said: then === "" };
  (async () => {
    if (first !== "") await conn.write(bytes(first));
    for await (const chunk of conn.readable) {
      call.heard += new TextDecoder().decode(chunk);
      if (call.said || !cue.test(call.heard)) continue;
      call.said = true;
      const part = bytes(then);
      // The stream has the connection; its other side is still ours.
      await conn.write(part);
    }
  })().catch(() => {}).finally(() => {
    call.over = true;
    call.said = true;
  });
  return call;
};
type Call = Awaited<ReturnType<typeof caller>>;

const crowd = async (count: number, call: () => Promise<Call>): Promise<Call[]> => {
  const all: Call[] = [];
  for (let i = 0; i < count; i += 50) {
    const some = await Promise.allSettled(Array.from({ length: Math.min(50, count - i) }, call));
    for (const one of some) if (one.status === "fulfilled") all.push(one.value);
  }
  return all;
};
const hangUp = (all: ReadonlyArray<Call>) => {
  for (const { conn } of all) {
    try {
      conn.close();
    } catch {
      // It was closed at the end of what it read.
    }
  }
};

interface Ports {
  readonly ftp: number;
  readonly ftps: number;
  readonly https: number;
}

const start = async (
  ftpd: Readonly<Record<string, unknown>>,
  more: { readonly wrap?: ReadonlyArray<string>; readonly args?: ReadonlyArray<string> } = {},
): Promise<World & { readonly ports: Ports }> => {
  const at = { address: "127.0.0.1", port: 0 };
  const world = await makeWorld([{ username: "ann", password }], {
    ...more,
    config: {
      common: { max_per_host_connections: 0 },
      ftpd: { bindings: [{ ...at, tls_mode: 0 }, { ...at, tls_mode: 2 }], ...ftpd },
      httpd: { bindings: [{ ...at, enable_https: true }] },
    },
  });
  const ready = world.server.log.find(({ event }) => event === "ready");
  const { ftp: ftps, http } = ready?.["listeners"] as Record<string, ReadonlyArray<string>>;
  const port = (address = "") => Number(address.split(":").at(-1));
  return {
    ...world,
    ports: { ftp: port(ftps?.[0]), ftps: port(ftps?.[1]), https: port(http?.[0]) },
  };
};

const curl = (...args: string[]) =>
  run("curl", ["-sS", "-k", "-f", "-m", "30", "-u", `ann:${password}`, ...args], { timeout: 40 });
/** A login on each port, and how it went. */
const logins: Readonly<Record<string, (w: World & { ports: Ports }) => ReturnType<typeof run>>> = {
  ftp: ({ ports }) => curl("--ssl-reqd", `ftp://127.0.0.1:${ports.ftp}/`),
  ftps: ({ ports }) => curl(`ftps://127.0.0.1:${ports.ftps}/`),
  https: ({ ports }) => curl(`https://127.0.0.1:${ports.https}/api/v2/user/token`),
  sftp: async (w) => ({ code: 0, stderr: "", stdout: await sftpMust(w.target("ann"), "ls") }),
};

Deno.test("SECURITY 7.6: 2,000 silent FTP connections and 500 half TLS hellos are cut by their graces, transfers and logins go on", async () => {
  const grace = 12;
  await using w = await start({ login_grace: grace, max_startups: 5000 });
  const { ports, server } = w;
  for (const login of Object.values(logins)) assert.equal((await login(w)).code, 0);
  const descriptors = server.descriptors;
  const before = server.rss;
  const began = performance.now();
  const all = [
    ...await crowd(200, () => caller(ports.ftp, "AUTH TLS\r\n", /^234/m, HALF_HELLO)),
    ...await crowd(200, () => caller(ports.ftps, HALF_HELLO)),
    ...await crowd(100, () => caller(ports.https, HALF_HELLO)),
    ...await crowd(2000, () => caller(ports.ftp)),
  ];
  assert.ok(all.length > 2450, `${all.length} connected`);
  const held = (server.rss - before) / 1e6;
  const file = await noiseFile(`${w.dir}/f`, 50 * MiB);
  const sent = Promise.all([
    curl("--ssl-reqd", "-T", file, `ftp://127.0.0.1:${ports.ftp}/one`),
    sftpMust(w.target("ann"), `put ${file} two`),
  ]);
  const times: number[] = [];
  for (let i = 0; i < 2; i++) {
    for (const [name, login] of Object.entries(logins)) {
      const from = performance.now();
      const { code, stderr } = await login(w);
      assert.equal(code, 0, `${name}: ${stderr}`);
      times.push(performance.now() - from);
    }
  }
  assert.equal((await sent)[0].code, 0);
  for (const name of ["one", "two"]) {
    assert.equal(await sha256(`${w.home("ann")}/${name}`), await sha256(file));
  }
  const worst = Math.max(...times);
  say(
    `SECURITY 7.6: ${all.length} wait, ${held.toFixed(0)} MB, a login takes ${worst.toFixed(0)} ms`,
  );
  assert.ok(worst < 2000, `${worst} ms`);
  assert.ok(held < 250, `${held} MB for ${all.length} connections`);
  const open = () =>
    [0, 200, 400, 500].map((from, i, at) =>
      all.slice(from, at[i + 1]).filter(({ over }) => !over).length
    );
  await eventually("the timers cut them all", () => all.every(({ over }) => over), 25).catch(
    (error) => assert.fail(`${error.message}: still open ${open()}`),
  );
  const seconds = (performance.now() - began) / 1000;
  assert.ok(seconds > grace - 1, `${seconds} s`);
  const unsaid = all.slice(500).map(({ heard }) => heard).filter((heard) => !/^421/m.test(heard));
  // The farewell has a second, which is short for so many on a busy machine.
  assert.ok(unsaid.length < 400, `FTP says why: ${unsaid.length} did not hear it`);
  hangUp(all);
  await eventually("no descriptor is left", () => server.descriptors <= descriptors + 8, 20);
  assert.equal(server.escapedErrors, 0);
});

Deno.test("SECURITY 7.6: of those who do not log in FTP keeps as many as it is told, and they keep nobody out elsewhere", async () => {
  await using w = await start({ login_grace: 5 });
  const all = await crowd(300, () => caller(w.ports.ftp));
  await eventually("those beyond are refused", () => all.filter(({ over }) => over).length >= 200);
  const kept = all.filter(({ over }) => !over);
  assert.equal(kept.length, 100);
  for (const name of ["https", "sftp"]) {
    assert.equal((await logins[name]?.(w))?.code, 0, name);
  }
  await eventually("the grace is over", () => all.every(({ over }) => over), 15);
  // Who has heard the farewell and does not hang up keeps its seat for the second that it is given.
  const from = performance.now();
  await eventually("FTP lets in again", async () => (await logins["ftp"]?.(w))?.code === 0);
  const seconds = (performance.now() - from) / 1000;
  assert.ok(seconds < 2.5, `${seconds} s`);
  hangUp(all);
});

(await needs("prlimit"))(
  "SECURITY 7.5: 400 half TLS hellos on 256 descriptors keep nobody out of FTP, FTPS and HTTPS for long",
  async () => {
    await using w = await start({ login_grace: 60, max_startups: 5000 }, {
      wrap: ["prlimit", "--nofile=256"],
      args: ["--workers", "1"],
    });
    for (const port of [w.ports.ftps, w.ports.https, w.ports.ftp]) {
      const starttls = port === w.ports.ftp;
      const all = await crowd(
        400,
        () =>
          starttls ? caller(port, "AUTH TLS\r\n", /^234/m, HALF_HELLO) : caller(port, HALF_HELLO),
      );
      await pause(300);
      hangUp(all);
      for (const [name, login] of Object.entries(logins)) {
        const from = performance.now();
        await eventually(`${name} lets in again`, async () => {
          return await login(w).then(({ code }) => code === 0, () => false);
        });
        const seconds = (performance.now() - from) / 1000;
        assert.ok(seconds < 2.5, `${name}: ${seconds} s`);
      }
    }
  },
);
