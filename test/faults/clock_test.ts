import assert from "node:assert/strict";
import { sftp } from "../e2e/clients.ts";
import { curlAs, lock } from "../e2e/curl.ts";
import { noise, noiseFile, sha256 } from "../e2e/files.ts";
import { apiUsers, curl } from "../e2e/http_client.ts";
import { type Mixed, mixedWorld, password, type Way } from "../e2e/mixed.ts";
import { oneTimeCode } from "../e2e/one_time_code.ts";
import { eventually, run } from "../e2e/process.ts";
import { dialog, passivePort } from "../e2e/raw_ftp.ts";
import { flag, op, RawSftp, status, str, u64 } from "../e2e/raw_sftp.ts";
import { fakeTime, testIf } from "../e2e/tools.ts";

const HOUR = 3600;
const MiB = 1024 * 1024;
const faker = await fakeTime();
const looks: ReadonlyArray<Way> = ["sftp", "ftp", "dav", "http"];

/** A server whose clock on the wall the test sets; what measures durations goes on as always. */
const world = async (users: Parameters<typeof mixedWorld>[0]) => {
  const file = await Deno.makeTempFile({ prefix: "sluice-clock-" });
  const set = async (seconds: number) => {
    await Deno.writeTextFile(`${file}.new`, `${seconds < 0 ? "" : "+"}${seconds}\n`);
    await Deno.rename(`${file}.new`, file);
  };
  await set(0);
  const limiter = { average: 100, period: 1000, burst: 100, type: 2 };
  const w = await mixedWorld(users, {
    config: {
      common: { max_per_host_connections: 0, rate_limiters: [limiter], idle_timeout: 15 },
      ftpd: {
        bindings: [0, 2].map((tls_mode) => ({ address: "127.0.0.1", port: 0, tls_mode })),
        login_grace: 120,
      },
    },
    env: {
      LD_PRELOAD: faker ?? "",
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      NO_FAKE_STAT: "1",
      SLUICE_COMMON__DEFENDER__ENABLED: "true",
    },
  });
  return {
    ...w,
    set,
    [Symbol.asyncDispose]: async () => {
      await w[Symbol.asyncDispose]();
      await Deno.remove(file);
    },
  };
};

/** What a look at the root over WebDAV answers. */
const seen = async (w: Mixed, user: string): Promise<number> =>
  (await curlAs(user, password)("-X", "PROPFIND", "-H", "Depth: 0", `${w.server.http}/dav/`))
    .status;

testIf(
  faker !== undefined,
  "libfaketime is not installed",
  "SECURITY 7.12: a clock set an hour forward and two back ends no session, transfer or lock before its time",
  async () => {
    await using w = await world([
      { username: "ann" },
      { username: "bob" },
      { username: "slow", upload_bandwidth: 1024, download_bandwidth: 1024 },
    ]);
    const ann = curlAs("ann", password);
    const { as, login, url, base } = apiUsers(() => w, password);
    const here = { user: "ann" };
    const target = { port: w.server.port, user: "slow", password };

    // What lives while the clock is set.
    await using raw = await RawSftp.open(w.target("ann"));
    const handle = await raw.handle("/held", flag.write | flag.creat);
    using ftp = await dialog(w.ports.ftp);
    await ftp.answer();
    await ftp.ask("USER ann");
    assert.match(await ftp.ask(`PASS ${password}`), /^230/);
    using data = await Deno.connect({ port: passivePort(await ftp.ask("EPSV")) });
    assert.match(await ftp.ask("STOR streamed"), /^150/);
    using half = await dialog(w.ports.ftp);
    await half.answer();
    const dav = `${w.server.http}/dav`;
    assert.equal((await ann("-X", "PUT", "--data-binary", "old", `${dav}/locked`)).status, 201);
    const held = await lock(ann, `${dav}/locked`, "-H", "Timeout: Second-86400");
    const brief = await lock(ann, `${dav}/brief`, "-H", "Timeout: Second-600");
    const token = await login("ann");
    const bearer = ["-H", `Authorization: Bearer ${token}`];
    const piece = noise(MiB, 5);
    await Deno.writeFile(`${w.dir}/first`, piece.subarray(0, MiB / 2));
    await Deno.writeFile(`${w.dir}/second`, piece.subarray(MiB / 2));
    const tus = [
      "-H",
      "Tus-Resumable: 1.0.0",
      "-H",
      "Content-Type: application/offset+octet-stream",
    ];
    const made = await as(
      "ann",
      ...["-X", "POST", ...tus, "-H", `Upload-Length: ${MiB}`, "--data-binary", `@${w.dir}/first`],
      ...["-H", `Upload-Metadata: filename ${btoa("resumed")}`, `${base()}/tus`],
    );
    assert.equal(made.status, 201, made.body);
    const upload = new URL(made.headers.get("location") ?? "", w.server.http).href;
    assert.equal(await seen(w, "bob"), 207);
    const stranger = { ...here, password: "bad", from: "127.0.0.7" };
    await Promise.all(Array.from({ length: 16 }, () => w.look("dav", stranger)));
    const banned = async (at: string) =>
      assert.match((await w.look("dav", { ...here, from: "127.0.0.7" })).text, /status 403/, at);
    await banned("before");
    const big = await noiseFile(`${w.dir}/big`, 6 * MiB);
    // Key exchanges of the client's own all along, and a bandwidth that each clock must keep.
    const limited = sftp(target, `put ${big} big`, ["-o", "RekeyLimit=1M"]);
    const shared = w.put("dav", { user: "slow" }, await noiseFile(`${w.dir}/b2`, 2 * MiB), "b2");

    const began = performance.now();
    const hold = async (at: string, offset: number) => {
      const wrote = await raw.request(op.write, str(handle), u64(offset), str(noise(1000, offset)));
      assert.equal(wrote.code, status.ok, `${at}: the SFTP session lives`);
      assert.equal(await data.write(noise(1000, offset)), 1000, at);
      await Promise.all(looks.map(async (way) => {
        const { ok, text } = await w.look(way, here);
        assert.ok(ok, `${at}: a login over ${way}: ${text.slice(-1000)}`);
      }));
      const unlocked = await ann("-X", "PUT", "--data-binary", "new", `${dav}/locked`);
      assert.equal(unlocked.status, 423, `${at}: the lock holds`);
      const fresh = ["-H", `Authorization: Bearer ${await login("ann")}`];
      const head = await curl(...fresh, "-I", ...tus.slice(0, 2), upload);
      assert.equal(head.headers.get("upload-offset"), String(MiB / 2), `${at}: ${head.status}`);
    };
    await hold("at first", 0);
    await w.set(-HOUR);
    await hold("an hour back", 1000);
    assert.equal(
      (await curl(...bearer, url("dirs"))).status,
      200,
      "its token is good an hour back",
    );
    assert.equal((await ann("-X", "PUT", "--data-binary", "n", `${dav}/brief`)).status, 423, brief);
    await banned("an hour back");
    await w.server.sluice("user", "update", "bob", "--status", "0");
    await eventually(
      "a closed account is out, remembered or not",
      async () => await seen(w, "bob") === 401,
      5,
    );
    await w.set(HOUR);
    await new Promise((resolve) => setTimeout(resolve, 2500));
    await hold("an hour ahead", 2000);
    assert.equal((await curl(...bearer, url("dirs"))).status, 401, "twenty minutes are over");
    await w.set(0);
    await hold("back", 3000);
    assert.match(await half.ask("NOOP"), /^(200|530)/, "nor is the time to log in over");

    data.close();
    assert.match(await ftp.answer(), /^226/);
    assert.equal((await raw.close(handle)).code, status.ok);
    assert.equal((await Deno.stat(`${w.home("ann")}/held`)).size, 4000);
    assert.equal((await Deno.stat(`${w.home("ann")}/streamed`)).size, 4000);
    const token2 = ["-H", `If: (<${held}>)`];
    assert.equal((await ann("-T", big, ...token2, `${dav}/locked`)).status, 204);
    const rest = ["-H", `Upload-Offset: ${MiB / 2}`, "--data-binary", `@${w.dir}/second`];
    const ended = await as("ann", "-X", "PATCH", ...tus, ...rest, upload);
    assert.equal(ended.status, 204, ended.body);
    await Deno.writeFile(`${w.dir}/piece`, piece);
    assert.equal(await sha256(`${w.home("ann")}/resumed`), await sha256(`${w.dir}/piece`));
    const { code, stderr } = await limited;
    assert.equal(code, 0, stderr);
    const told = await shared;
    assert.ok(told.ok, told.text);
    const seconds = (performance.now() - began) / 1000;
    assert.ok(seconds < 30, `8 MiB at 1 MiB/s took ${seconds} s`);
    assert.equal(await sha256(`${w.home("slow")}/big`), await sha256(big));

    // Oldest first, whatever the clock said; and nothing took an hour or less than no time.
    const events = await w.server.events("--limit", "1000");
    const elapsed = events.map((event) => Number(event["elapsed"] ?? 0));
    assert.ok(elapsed.every((ms) => ms >= 0 && ms < 60_000), `${elapsed}`);
    const opened = events.findIndex(({ action, protocol }) =>
      action === "session.opened" && protocol === "FTP"
    );
    const stored = events.findIndex(({ virtual_path }) => virtual_path === "/streamed");
    assert.ok(opened >= 0 && opened < stored, "the journal keeps its order");
  },
);

testIf(
  faker !== undefined,
  "libfaketime is not installed",
  "SECURITY 7.12: no one-time code works twice, whichever way the clock is set",
  async () => {
    await using w = await world([{ username: "coded" }]);
    const enrolled = await w.server.sluice(
      ...["user", "totp", "coded", "enable", "--protocols", "HTTP", "--json"],
    );
    const { secret } = JSON.parse(enrolled.stdout);
    const ask = async (code: string) =>
      (await run("curl", [
        ...["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-u", `coded:${password}`],
        ...["-H", `X-Sluice-OTP: ${code}`, `${w.server.http}/api/v2/user/token`],
      ])).stdout;
    const code = (seconds: number) => oneTimeCode(secret, Date.now() + seconds * 1000);
    const first = code(0);
    assert.equal(await ask(first), "200");
    assert.equal(await ask(first), "401");
    await w.set(-HOUR);
    assert.equal(await ask(code(-HOUR)), "401", "of an hour ago: it may have been used then");
    await w.set(0);
    assert.equal(await ask(first), "401");
    await w.set(HOUR);
    const later = code(HOUR);
    assert.equal(await ask(later), "200");
    await w.set(0);
    assert.equal(await ask(first), "401");
    await w.set(HOUR);
    assert.equal(await ask(later), "401");
  },
);
