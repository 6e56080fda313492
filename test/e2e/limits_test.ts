import assert from "node:assert/strict";
import { lftp, sftp } from "./clients.ts";
import { leftovers, noise, noiseFile } from "./files.ts";
import { type Mixed, mixedWorld, password, says, type Way, ways } from "./mixed.ts";
import { eventually, run } from "./process.ts";
import { dialog } from "./raw_ftp.ts";
import { usageAgrees } from "./quota_usage.ts";
import { sluiceMust, updateUser } from "./server.ts";

const MB = 1024 * 1024;
const eight: ReadonlyArray<Way> = ["sftp", "scp", "ftp", "ftps", "dav", "http", "dav", "http"];

/** Bytes on disk of the files that are being written; what is renamed meanwhile is looked at again. */
const written = (dir: string): number => {
  for (;;) {
    try {
      return [...Deno.readDirSync(dir)].reduce(
        (sum, { name }) => sum + Deno.statSync(`${dir}/${name}`).size,
        0,
      );
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
};

/** Bytes a second at which `dir` grows between two sizes. */
const pace = async (dir: string, begun: () => boolean, most: number): Promise<number> => {
  await eventually("all have begun", begun, 60);
  const from = { at: performance.now(), bytes: written(dir) };
  await eventually("most has come", () => written(dir) >= most, 60);
  const to = { at: performance.now(), bytes: written(dir) };
  return (to.bytes - from.bytes) / (to.at - from.at) * 1000;
};

for (const workers of [1, 4]) {
  Deno.test(`BW-01, DIS-16: 8 transfers of one user at once keep the rate together, over all protocols, ${workers} workers`, async () => {
    const rate = 10 * MB;
    const both = { download_bandwidth: rate / 1024, upload_bandwidth: rate / 1024 };
    await using w = await mixedWorld([{ username: "ann", ...both }], {
      args: ["--workers", String(workers)],
    });
    const ann = { user: "ann" };
    const size = 8 * MB;
    const file = `${w.dir}/f`;
    await Deno.writeFile(file, noise(size, 1));
    await Deno.copyFile(file, `${w.home("ann")}/f`);
    const near = (measured: number, what: string) =>
      assert.ok(
        Math.abs(measured / rate - 1) <= 0.15,
        `${what} at ${(measured / MB).toFixed(2)} MB/s instead of 10`,
      );

    const out = `${w.dir}/out`;
    await Deno.mkdir(out);
    const gets = eight.map((way, i) => w.get(way, ann, "f", `${out}/${i}`));
    near(
      await pace(out, () => [...Deno.readDirSync(out)].length === 8, 6.5 * size),
      "downloads came",
    );
    for (const [i, what] of (await Promise.all(gets)).entries()) {
      assert.ok(what.ok, `${eight[i]}: ${what.text}`);
      assert.deepEqual(await Deno.readFile(`${out}/${i}`), noise(size, 1));
    }

    await Deno.remove(`${w.home("ann")}/f`);
    const home = w.home("ann");
    const puts = eight.map((way, i) => w.put(way, ann, file, String(i)));
    near(
      await pace(home, () => [...Deno.readDirSync(home)].length === 8, 6.5 * size),
      "uploads went",
    );
    for (const [i, what] of (await Promise.all(puts)).entries()) {
      assert.ok(what.ok, `${eight[i]}: ${what.text}`);
      assert.deepEqual(await Deno.readFile(`${home}/${i}`), noise(size, 1));
    }
  });
}

/** What each client says of a refused upload. */
const full: Readonly<Record<Way, RegExp>> = {
  sftp: /Failure|failed/i,
  scp: /quota exceeded/,
  ftp: /^< 552 /m,
  ftps: /^< 552 /m,
  dav: /status 507/,
  http: /status 507/,
};

Deno.test("QUOTA-04, DIS-15: a quota exceeded in mid-upload has its status on each protocol; count and old file stay right", async () => {
  const users = ways.map((username) => ({ username, quota_size: 2 * MB }));
  await using w = await mixedWorld(users, { args: ["--workers", "2"] });
  await Deno.writeFile(`${w.dir}/old`, noise(MB / 2, 1));
  await Deno.writeFile(`${w.dir}/much`, noise(6 * MB, 2));
  for (const way of ways) {
    const who = { user: way };
    const first = await w.put(way, who, `${w.dir}/old`, "f");
    assert.ok(first.ok, `${way}: ${first.text}`);
    const over = await w.put(way, who, `${w.dir}/much`, "f");
    assert.equal(over.ok, false, way);
    says(over, full[way], way);
    const fresh = await w.put(way, who, `${w.dir}/much`, "g");
    assert.equal(fresh.ok, false, way);
    if (way === "dav") {
      const chunked = await run("curl", [
        ...["-sS", "-u", `dav:${password}`, "-o", "/dev/null", "-w", "%{http_code}"],
        ...["-H", "Transfer-Encoding: chunked", "-T", `${w.dir}/much`, `${w.server.http}/dav/f`],
      ]);
      assert.match(chunked.stdout, /507/, chunked.stderr);
    }
    if (way === "sftp") {
      const { stdout, stderr } = await lftp(w.target(way), `put ${w.dir}/much -o f`);
      assert.match(stdout + stderr, /quota exceeded/, "the failure has a text");
    }
    assert.deepEqual(await Deno.readFile(`${w.home(way)}/f`), noise(MB / 2, 1), `${way}: old file`);
    await eventually(
      `${way}: nothing is left`,
      async () =>
        (await leftovers(w.home(way))).length === 0 &&
        [...Deno.readDirSync(w.home(way))].length === 1,
    );
    await usageAgrees(w.server, way);
  }
});

Deno.test("AUTH-25: sessions beyond max_sessions that come at one instant over mixed protocols are refused by exactly the limit", async () => {
  await using w = await mixedWorld([{ username: "six", max_sessions: 6 }], {
    args: ["--workers", "4"],
  });
  await Deno.truncate(await noiseFile(`${w.home("six")}/large`, MB), 300 * MB);
  const six = { port: w.server.port, user: "six", password };
  // Each holds on to what it got until all have their answer.
  const overSsh = async () => (await sftp(six, "pwd\n!sleep 10\npwd")).code === 0;
  const overFtp = async () => {
    const ftp = await dialog(w.ports.ftp);
    held.use(ftp);
    await ftp.answer();
    await ftp.ask("USER six");
    const answer = await ftp.ask(`PASS ${password}`);
    assert.match(answer, /^(230|530) /);
    return answer.startsWith("230");
  };
  const slowly = async (...args: string[]) => {
    const { stdout } = await run("curl", [
      ...["-s", "--limit-rate", "100k", "--max-time", "10", "-o", "/dev/null"],
      ...["-w", "%{http_code}", ...args],
    ]);
    assert.match(stdout, /^(200|429)$/);
    return stdout === "200";
  };
  const overDav = () => slowly("-u", `six:${password}`, `${w.server.http}/dav/large`);
  const tokens = await run("curl", [
    ...["-sS", "-u", `six:${password}`, `${w.server.http}/api/v2/user/token`],
  ]);
  const bearer = `Authorization: Bearer ${JSON.parse(tokens.stdout).access_token}`;
  const overHttp = () => slowly("-H", bearer, `${w.server.http}/api/v2/user/files?path=large`);
  using held = new DisposableStack();
  const both = [overSsh, overFtp, overDav, overHttp];
  const all = await Promise.all([...both, ...both.toReversed()].map((one) => one()));
  assert.equal(all.filter((admitted) => admitted).length, 6, JSON.stringify(all));
});

const otherDay = (new Date().getUTCDay() + 3) % 7;
const never = { access_time: [{ day_of_week: otherDay, from: "00:00", to: "23:59" }] };
const moved = {
  dav: { upload_data_transfer: 1, download_data_transfer: 1 },
  ftp: { upload_data_transfer: 1, download_data_transfer: 1 },
  http: { upload_data_transfer: 1, download_data_transfer: 1 },
};
const others = [
  { username: "small", filters: { max_upload_file_size: MB } },
  { username: "nossh", filters: { denied_protocols: ["SSH"] } },
  { username: "noftp", filters: { denied_protocols: ["FTP"] } },
  { username: "nodav", filters: { denied_protocols: ["DAV"] } },
  { username: "nohttp", filters: { denied_protocols: ["HTTP"] } },
  { username: "late", filters: never },
  { username: "ends" },
  { username: "dav", ...moved.dav },
  { username: "ftp", ...moved.ftp },
  { username: "http", ...moved.http },
];
let w: Mixed;
Deno.test.beforeAll(async () => {
  w = await mixedWorld(others, { args: ["--workers", "2"] });
});
Deno.test.afterAll(async () => {
  await w[Symbol.asyncDispose]();
});

const tooLarge: Readonly<Record<Way, RegExp>> = {
  sftp: /Failure|failed/i,
  scp: /files may have at most/,
  ftp: /^< 552 /m,
  ftps: /^< 552 /m,
  dav: /status 413/,
  http: /status 413/,
};

Deno.test("the largest upload is refused with its status on each protocol", async () => {
  await Deno.writeFile(`${w.dir}/two`, noise(2 * MB, 3));
  await Deno.writeFile(`${w.dir}/one`, noise(MB, 3));
  for (const way of ways) {
    const fits = await w.put(way, { user: "small" }, `${w.dir}/one`, way);
    assert.ok(fits.ok, `${way}: ${fits.text}`);
    const over = await w.put(way, { user: "small" }, `${w.dir}/two`, way);
    assert.equal(over.ok, false, way);
    says(over, tooLarge[way], way);
    assert.equal((await Deno.stat(`${w.home("small")}/${way}`)).size, MB, `${way}: the old file`);
  }
  assert.deepEqual(await leftovers(w.home("small")), []);
});

const refused = {
  sftp: /Permission denied/,
  ftp: /^< 530 /m,
  ftps: /^< 530 /m,
  dav: /status 401/,
  http: /status 401/,
};
const doors = ["sftp", "ftp", "ftps", "dav", "http"] as const;

Deno.test("a protocol that is denied to a user is denied, and no other", async () => {
  const denied = { nossh: ["sftp"], noftp: ["ftp", "ftps"], nodav: ["dav"], nohttp: ["http"] };
  for (const [user, shut] of Object.entries(denied)) {
    for (const way of doors) {
      const what = await w.look(way, { user });
      assert.equal(what.ok, !shut.includes(way), `${user} by ${way}: ${what.text}`);
      if (!what.ok) says(what, refused[way], `${user} by ${way}`);
    }
  }
});

Deno.test("AUTH-22, CONN-07: outside the allowed hours nobody logs in, and sessions end on every protocol", async () => {
  for (const way of doors) {
    const what = await w.look(way, { user: "late" });
    assert.equal(what.ok, false, way);
    says(what, refused[way], way);
  }
  await Deno.truncate(await noiseFile(`${w.home("ends")}/large`, MB), 300 * MB);
  const began = performance.now();
  const overSsh = sftp({ port: w.server.port, user: "ends", password }, "pwd\n!sleep 70\nls");
  using ftp = await dialog(w.ports.ftp);
  await ftp.answer();
  await ftp.ask("USER ends");
  assert.match(await ftp.ask(`PASS ${password}`), /^230/);
  const overDav = run("curl", [
    ...["-sS", "-u", `ends:${password}`, "--limit-rate", "2M", "-o", "/dev/null"],
    `${w.server.http}/dav/large`,
  ], { timeout: 100 });
  const token = await run("curl", [
    ...["-sS", "-u", `ends:${password}`, `${w.server.http}/api/v2/user/token`],
  ]);
  const overHttp = run("curl", [
    ...["-sS", "-H", `Authorization: Bearer ${JSON.parse(token.stdout).access_token}`],
    ...["--limit-rate", "2M", "-o", "/dev/null", `${w.server.http}/api/v2/user/files?path=large`],
  ], { timeout: 100 });
  const mine = async () => {
    const { stdout } = await w.server.sluice("sessions", "list", "--json");
    const rows = JSON.parse(stdout) as Array<{ username: string; protocol: string }>;
    return rows.filter(({ username }) => username === "ends").map(({ protocol }) => protocol)
      .sort();
  };
  let there: ReadonlyArray<string> = [];
  await eventually("all are in", async () => (there = await mine()).length === 4, 30);
  assert.deepEqual(there, ["DAV", "FTP", "HTTP", "SFTP"]);
  await updateUser(w.server.dataDir, { username: "ends", filters: never });
  await eventually("all were ended", async () => (await mine()).length === 0, 75);
  assert.ok(performance.now() - began < 85_000);
  assert.match(await ftp.rest(), /^421 the user may no longer log in/);
  assert.notEqual((await overDav).code, 0, "the download was cut");
  assert.notEqual((await overHttp).code, 0, "the download was cut");
  assert.notEqual((await overSsh).code, 0);
});

Deno.test("DT-01, DT-02, DT-03, DT-05: what may be moved is refused beyond, and reset at once for all workers", async () => {
  await Deno.writeFile(`${w.dir}/mega`, noise(MB, 4));
  await Deno.writeFile(`${w.dir}/three`, noise(3 * MB, 5));
  const status = {
    dav: { put: /status 507/, get: /status 403/ },
    http: { put: /status 507/, get: /status 403/ },
    ftp: { put: /^< 552 /m, get: /^< 550 /m },
  };
  for (const way of ["dav", "ftp", "http"] as const) {
    const who = { user: way };
    const spend = async (round: string) => {
      const put = await w.put(way, who, `${w.dir}/mega`, round);
      assert.ok(put.ok, `${way} put ${round}: ${put.text}`);
      const get = await w.get(way, who, round, `${w.dir}/back-${way}`);
      assert.ok(get.ok, `${way} get ${round}: ${get.text}`);
    };
    await spend("a");
    // Connections go to either worker.
    for (let i = 0; i < 4; i++) {
      const put = await w.put(way, who, `${w.dir}/mega`, "b");
      assert.equal(put.ok, false, way);
      says(put, status[way].put, way);
      const get = await w.get(way, who, "a", `${w.dir}/none`);
      assert.equal(get.ok, false, way);
      says(get, status[way].get, way);
    }
    await sluiceMust(w.server.dataDir, ["user", "reset-transfer", way]);
    await spend("c");
    await eventually("the new round alone is counted", async () => {
      const user = await w.server.user(way);
      return user["used_upload_data_transfer"] === MB && user["used_download_data_transfer"] === MB;
    });
    // DT-03: what is over the limit ends the transfer in its middle.
    await sluiceMust(w.server.dataDir, ["user", "reset-transfer", way]);
    await noiseFile(`${w.home(way)}/large`, 3 * MB);
    const cut = await w.get(way, who, "large", `${w.dir}/cut-${way}`);
    assert.equal(cut.ok, false, way);
    assert.ok((await Deno.stat(`${w.dir}/cut-${way}`)).size <= MB, way);
    const put = await w.put(way, who, `${w.dir}/three`, "a");
    assert.equal(put.ok, false, way);
    says(put, status[way].put, way);
    assert.deepEqual(await Deno.readFile(`${w.home(way)}/a`), noise(MB, 4), "the old file");
  }
  assert.equal((await w.server.sluice("user", "reset-transfer", "stranger")).code, 3);
});
