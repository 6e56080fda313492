import assert from "node:assert/strict";
import { sshOptions } from "../e2e/clients.ts";
import { leftovers, noiseFile, sha256 } from "../e2e/files.ts";
import { eventually, pause, run } from "../e2e/process.ts";
import { usageAgrees } from "../e2e/quota_usage.ts";
import { updateUser } from "../e2e/server.ts";
import { testIf } from "../e2e/tools.ts";
import { twoNets } from "../e2e/two_nets.ts";
import { makeWorld, type World } from "../e2e/world.ts";

/** Seconds that the cable is down: by hand 30 (SECURITY 7.8). */
const seconds = Number(Deno.env.get("SLUICE_TEST_CUT_SECONDS") ?? 9);
const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));
const password = "right horse";
const MiB = 1024 * 1024;
const ways = ["sftp", "ftp", "dav", "http", "tus"] as const;
type Way = typeof ways[number];
/** Kilobytes a second, slow enough for the cut to come in the middle. */
const slowly = 512;
const size = 6 * MiB;

interface Row {
  readonly username: string;
  readonly active_transfers?: ReadonlyArray<
    { readonly size: number; readonly operation_type: string }
  >;
}
const sessions = async (w: World): Promise<ReadonlyArray<Row>> => {
  const { stdout } = await w.server.sluice("sessions", "list", "--json");
  return JSON.parse(stdout);
};

const nets = await twoNets();
const usable = nets !== undefined;
await nets?.[Symbol.asyncDispose]();

testIf(
  usable,
  "networks of one's own are not permitted here",
  `SECURITY 7.8: a network that is gone for ${seconds} s: the server lets go of who is cut off, and all resume to equal files`,
  async () => {
    await using net = await twoNets();
    assert.ok(net);
    const { address, here } = net;
    const binding = { address, port: 0 };
    await using w = await makeWorld(
      ways.map((username) => ({
        username,
        password,
        download_bandwidth: slowly,
        // What an upload's client holds back the server has not got; this one cannot.
        upload_bandwidth: username === "tus" ? slowly : 0,
      })),
      {
        wrap: net.there,
        args: ["--sftp", `${address}:0`],
        config: {
          common: { max_per_host_connections: 0, upload_mode: 2, idle_timeout: 0.05 },
          sftpd: { keepalive_interval: 2, keepalive_count_max: 2 },
          ftpd: { bindings: [{ ...binding, tls_mode: 0 }], data_timeout: 3 },
          httpd: { bindings: [binding] },
        },
      },
    );
    const ready = w.server.log.find(({ event }) => event === "ready");
    const listeners = ready?.["listeners"] as Record<string, ReadonlyArray<string>>;
    const sshPort = Number(listeners["sftp"]?.[1]?.split(":").at(-1));
    const http = `http://${listeners["http"]?.[0]}`;
    const ftp = `ftp://${listeners["ftp"]?.[0]}`;

    const up = await noiseFile(`${w.dir}/up`, size);
    const down = await noiseFile(`${w.dir}/down`, size, 7);
    for (const way of ways) await Deno.copyFile(down, `${w.home(way)}/down`);
    const client = (command: string, args: ReadonlyArray<string>, stdin?: string) =>
      run(here[0] ?? "", [...here.slice(1), command, ...args], {
        timeout: seconds + 60,
        cwd: w.dir,
        ...(stdin === undefined ? {} : { stdin }),
      });
    const sftp = (batch: string, ...more: string[]) =>
      client("sftp", [
        ...more,
        ...sshOptions({ ...w.target("sftp"), port: sshPort }),
        ...["-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=2"],
        ...["-P", String(sshPort), "-b", "-", `sftp@${address}`],
      ], `${batch}\n`);
    const lftp = (command: string) =>
      client("lftp", [
        "-c",
        "set net:timeout 3; set net:reconnect-interval-base 1; set net:max-retries 60; " +
        `set net:reconnect-interval-multiplier 1; set ftp:ssl-allow no; set net:persist-retries 60; ` +
        `open -u ftp,"${password}" ${ftp}; ${command}; bye`,
      ]);
    const curl = (...args: string[]) =>
      client("curl", ["-sS", "-f", "--speed-limit", "1", "--speed-time", "4", ...args]);
    const tokenOf = async (user: string) => {
      const { stdout } = await curl("-u", `${user}:${password}`, `${http}/api/v2/user/token`);
      return String(JSON.parse(stdout).access_token);
    };
    const bearerOf = async () => ["-H", `Authorization: Bearer ${await tokenOf("http")}`];
    const bearer = await bearerOf();
    const dav = ["-u", `dav:${password}`];
    const get = ["-C", "-", "-o", "got-dav", `${http}/dav/down`];
    const getHttp = ["-C", "-", "-o", "got-http", `${http}/api/v2/user/files?path=down`];
    const uploadTo = `${http}/api/v2/user/files/upload?path=up`;
    const tus = JSON.stringify({
      endpoint: `${http}/api/v2/user/tus`,
      token: await tokenOf("tus"),
      file: up,
      metadata: { filename: "up" },
      chunkSize: 1024 * MiB,
    });
    const program = new URL("../e2e/tus_client.ts", import.meta.url).pathname;
    const descriptors = w.server.descriptors;

    // Those that go on by themselves are left alone until they are through.
    const patient = {
      "tus upload": client(Deno.execPath(), ["run", "-A", "--no-prompt", program, tus]),
      "ftp upload": lftp(`set net:limit-rate 0:${slowly * 1024}; put ${up} -o up`),
    };
    const cut = [
      sftp(`put ${up} up`, "-l", String(slowly * 8)),
      sftp(`get down got-sftp`),
      lftp(`set net:max-retries 1; set net:persist-retries 0; get down -o got-ftp`),
      curl("--limit-rate", `${slowly}k`, "-T", up, ...dav, `${http}/dav/up`),
      curl(...dav, ...get),
      curl("--limit-rate", `${slowly}k`, "-T", up, ...bearer, uploadTo),
      curl(...bearer, ...getHttp),
    ];
    await eventually("nine transfers are under way", async () => {
      const moving = (await sessions(w)).flatMap((row) => row.active_transfers ?? [])
        .filter((transfer) => transfer.size > 200_000);
      return moving.length === 9;
    }, 15);
    await net.cable("down");
    const began = performance.now();
    await eventually("no session is left", async () => (await sessions(w)).length === 0, 30);
    const dropped = (performance.now() - began) / 1000;
    await eventually("nor a descriptor", () => w.server.descriptors <= descriptors + 4, 20);
    say(`SECURITY 7.8: the server let go after ${dropped.toFixed(1)} s`);
    assert.ok(dropped < 20, `${dropped} s`);
    const publicKeys = [(await Deno.readTextFile(`${w.key}.pub`)).trim()];
    for (const username of ["sftp", "ftp", "dav", "http"]) {
      await updateUser(w.server.dataDir, { username, public_keys: publicKeys });
    }
    await pause(Math.max(0, seconds * 1000 - (performance.now() - began)));
    await net.cable("up");
    for (const [i, ended] of (await Promise.all(cut)).entries()) {
      assert.notEqual(ended.code, 0, `client ${i} thinks that all is well: ${ended.stdout}`);
    }
    for (const way of ["sftp", "ftp", "dav", "http"] as const) {
      const part = (await Deno.stat(`${w.dir}/got-${way}`)).size;
      assert.ok(part > 0 && part < size, `${way} was cut at ${part}`);
    }
    const again = await bearerOf();
    const resumed = {
      "sftp upload": sftp(`reput ${up} up`),
      "sftp download": sftp(`reget down got-sftp`),
      "ftp download": lftp(`get -c down -o got-ftp`),
      "dav upload": curl("-T", up, ...dav, `${http}/dav/up`),
      "dav download": curl(...dav, ...get),
      "http upload": curl("-T", up, ...again, uploadTo),
      "http download": curl(...again, ...getHttp),
      ...patient,
    };
    for (const [what, ending] of Object.entries(resumed)) {
      const { code, stderr, stdout } = await ending;
      assert.equal(code, 0, `${what}: ${stderr}${stdout}`);
    }
    for (const way of ways) {
      assert.equal(await sha256(`${w.home(way)}/up`), await sha256(up), `${way} up`);
      assert.deepEqual((await leftovers(w.home(way))).filter((path) => !/kept/.test(path)), []);
      if (way !== "tus") {
        assert.equal(await sha256(`${w.dir}/got-${way}`), await sha256(down), `${way} down`);
      }
    }
    assert.equal(w.server.escapedErrors, 0);
    assert.equal((await w.server.sluice("user", "quota-scan", "sftp")).code, 0);
    await usageAgrees(w.server, "sftp");
  },
);
