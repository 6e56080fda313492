import assert from "node:assert/strict";
import { sftp, sftpMust, ssh, type Target } from "./clients.ts";
import { noise, scratch } from "./files.ts";
import { eventually } from "./process.ts";
import { addUser, Server, sluiceMust } from "./server.ts";
import { makeWorld } from "./world.ts";

const on = { SLUICE_COMMON__DEFENDER__ENABLED: "true" };
const two = ["--workers", "2"];
/** Other addresses of this machine, so that one test does not ban the next. */
const password = "right horse";

/** One connection of OpenSSH that tries one wrong password. */
const wrong = (port: number, from: string) =>
  ssh({ port, user: "ann", password: "wrong" }, ["pwd"], [
    ...["-b", from, "-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1"],
  ]);

const right = (port: number, from: string) =>
  sftp({ port, user: "ann", password }, "pwd", ["-o", `BindAddress=${from}`]);

const until = async (server: Server, ip: string): Promise<number> => {
  const { code, stdout } = await server.sluice("defender", "show", ip, "--json");
  assert.equal(code, 0, stdout);
  return Date.parse(JSON.parse(stdout).ban_time);
};

Deno.test("20 wrong passwords ban their address in every worker, and a restart keeps the ban", async () => {
  const { dir: dataDir, [Symbol.asyncDispose]: done } = await scratch();
  await using _ = { [Symbol.asyncDispose]: done };
  await addUser(dataDir, { username: "ann", password });
  await sluiceMust(dataDir, ["iplist", "add", "defender", "127.0.0.8/32"]);
  const options = { dataDir, env: on, args: two };
  let bannedUntil = 0;
  {
    await using server = await Server.start(options);
    for (let i = 0; i < 10; i++) {
      await Promise.all(
        ["127.0.0.7", "127.0.0.7", "127.0.0.8", "127.0.0.8"].map((ip) => wrong(server.port, ip)),
      );
    }
    // New connections go to either worker.
    for (let i = 0; i < 6; i++) {
      assert.notEqual((await right(server.port, "127.0.0.7")).code, 0, "a banned address got in");
    }
    assert.equal((await right(server.port, "127.0.0.8")).code, 0, "a listed address is spared");
    assert.equal((await right(server.port, "127.0.0.9")).code, 0, "another address is untouched");
    await eventually("the grown ban is stored", async () => {
      bannedUntil = await until(server, "127.0.0.7");
      return bannedUntil > Date.now() + 60 * 60_000;
    });
    await server.kill9();
  }
  await using server = await Server.start(options);
  assert.notEqual((await right(server.port, "127.0.0.7")).code, 0, "the ban was forgotten");
  assert.ok(await until(server, "127.0.0.7") >= bannedUntil);
  assert.equal((await server.sluice("defender", "remove", "127.0.0.7")).code, 0);
  assert.equal((await right(server.port, "127.0.0.7")).code, 0, "the ban was lifted");
  assert.equal((await server.sluice("defender", "remove", "127.0.0.7")).code, 3);
});

Deno.test("only addresses on the allow list may connect where it is in force", async () => {
  const env = { SLUICE_COMMON__ALLOWLIST_STATUS: "1" };
  const before = async (dataDir: string) => {
    await addUser(dataDir, { username: "ann", password });
    await sluiceMust(dataDir, ["iplist", "add", "allow", "127.0.0.0/30"]);
  };
  await using server = await Server.start({ env, args: two, before });
  assert.equal((await right(server.port, "127.0.0.2")).code, 0);
  assert.notEqual((await right(server.port, "127.0.0.9")).code, 0);
  assert.equal((await server.sluice("iplist", "add", "allow", "127.0.0.9")).code, 0);
  assert.equal((await right(server.port, "127.0.0.9")).code, 0, "a change is seen at once");
});

Deno.test("a rate limiter admits its burst, and lets listed addresses pass", async () => {
  const limiter = { average: 1, period: 60_000, burst: 2, type: 2 };
  const before = async (dataDir: string) => {
    await addUser(dataDir, { username: "ann", password });
    await sluiceMust(dataDir, ["iplist", "add", "ratelimit", "127.0.0.8"]);
  };
  const config = { common: { rate_limiters: [limiter] } };
  await using server = await Server.start({ config, args: two, before });
  const codes = [];
  for (let i = 0; i < 4; i++) codes.push((await right(server.port, "127.0.0.7")).code === 0);
  assert.deepEqual(codes, [true, true, false, false]);
  for (let i = 0; i < 4; i++) assert.equal((await right(server.port, "127.0.0.8")).code, 0);
});

const MB = 1024 * 1024;

/** Bytes on disk of the files that clients are writing. */
const written = (dir: string) =>
  [...Deno.readDirSync(dir)].reduce(
    (sum, { name }) => sum + Deno.statSync(`${dir}/${name}`).size,
    0,
  );

Deno.test("8 parallel downloads of one user keep the user's rate together", async () => {
  const rate = 10 * MB;
  const users = [{ username: "ann", download_bandwidth: rate / 1024 }];
  await using w = await makeWorld(users, { args: two });
  const size = 8 * MB;
  await Deno.writeFile(`${w.home("ann")}/f`, noise(size, 1));
  const out = `${w.dir}/out`;
  await Deno.mkdir(out);
  const ends = Array.from({ length: 8 }, (_, i) => sftpMust(w.target("ann"), `get f ${out}/${i}`));
  await eventually("all have begun", () => [...Deno.readDirSync(out)].length === 8, 60);
  const from = { at: performance.now(), bytes: written(out) };
  await eventually("most has come", () => written(out) >= 6.5 * size, 60);
  const to = { at: performance.now(), bytes: written(out) };
  await Promise.all(ends);
  const measured = (to.bytes - from.bytes) / (to.at - from.at) * 1000;
  assert.ok(
    Math.abs(measured / rate - 1) <= 0.15,
    `${(measured / MB).toFixed(2)} MB/s instead of 10`,
  );
  for (let i = 0; i < 8; i++) {
    assert.deepEqual(await Deno.readFile(`${out}/${i}`), noise(size, 1));
  }
});

Deno.test("uploads keep the rate of their network, and bytes beyond the allowance are refused", async () => {
  const network = { sources: ["127.0.0.0/8"], upload_bandwidth: 4096, download_bandwidth: 0 };
  const users = [
    { username: "ann", upload_bandwidth: 1, filters: { bandwidth_limits: [network] } },
    { username: "ben", upload_data_transfer: 3, download_data_transfer: 1 },
  ];
  await using w = await makeWorld(users, { args: two });
  const file = `${w.dir}/2m`;
  await Deno.writeFile(file, noise(2 * MB, 2));
  const began = performance.now();
  await Promise.all([1, 2, 3, 4].map((i) => sftpMust(w.target("ann"), `put ${file} f${i}`)));
  const seconds = (performance.now() - began) / 1000;
  assert.ok(seconds >= 1.8, `8 MiB at 4 MiB/s took ${seconds} s`);
  assert.ok(seconds < 20, "the network's rate holds, not the user's 1 KB/s");

  const ben: Target = w.target("ben");
  await sftpMust(ben, `put ${file} a`);
  const cut = await sftp(ben, `put ${file} b`);
  assert.notEqual(cut.code, 0);
  await assert.rejects(Deno.stat(`${w.home("ben")}/b`), "what was cut is no file");
  assert.notEqual((await sftp(ben, `get a ${w.dir}/back`)).code, 0);
  await eventually("the bytes are counted", async () => {
    const user = await w.server.user("ben");
    return Number(user["used_upload_data_transfer"]) >= 2 * MB;
  });
});

Deno.test("sessions beyond max_sessions that come at one instant are refused by exactly the limit", async () => {
  await using w = await makeWorld([{ username: "ann", max_sessions: 2 }], { args: two });
  const file = `${w.dir}/slow`;
  await Deno.writeFile(file, noise(64, 3));
  // `!sleep` holds the session open on the client's side.
  const all = await Promise.all(
    Array.from({ length: 5 }, () => sftp(w.target("ann"), "pwd\n!sleep 6\npwd")),
  );
  assert.equal(all.filter(({ code }) => code === 0).length, 2);
});
