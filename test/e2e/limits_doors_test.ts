import assert from "node:assert/strict";
import { sftp } from "./clients.ts";
import { leftovers, noise, noiseFile } from "./files.ts";
import { type Mixed, mixedWorld, password, says, type Way, ways } from "./mixed.ts";
import { eventually, run } from "./process.ts";
import { dialog } from "./raw_ftp.ts";
import { sluiceMust, updateUser } from "./server.ts";

/** Limits that measure no time: sizes, protocols, hours and data transfer. */

const MB = 1024 * 1024;

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
