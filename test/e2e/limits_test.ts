import assert from "node:assert/strict";
import { lftp, sftp } from "./clients.ts";
import { leftovers, noise, noiseFile } from "./files.ts";
import { mixedWorld, password, says, type Way, ways } from "./mixed.ts";
import { eventually, run } from "./process.ts";
import { dialog } from "./raw_ftp.ts";
import { usageAgrees } from "./quota_usage.ts";

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
