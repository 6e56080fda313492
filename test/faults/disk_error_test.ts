import assert from "node:assert/strict";
import { fingerprint, leftovers, noise, sha256 } from "../e2e/files.ts";
import { apiUsers, curl } from "../e2e/http_client.ts";
import { type Mixed, mixedWorld, password, says, type Way, ways } from "../e2e/mixed.ts";
import { eventually } from "../e2e/process.ts";
import { usageAgrees } from "../e2e/quota_usage.ts";
import { canTrace, testIf } from "../e2e/tools.ts";

const ann = { user: "ann" };
/** What each client tells of a disk that refused. */
const refused: Readonly<Record<Way, RegExp>> = {
  sftp: /(write|close) remote|failure|disk reported an error|not answering/i,
  scp: /disk reported an error|cannot be|failure/i,
  ftp: /^< 451 /m,
  ftps: /^< 451 /m,
  dav: /status 503/,
  http: /status 503/,
};

/** A server whose users have old files, which the catalog has counted. */
const world = async (names: ReadonlyArray<string>, env: Record<string, string> = {}) => {
  const w = await mixedWorld([{ username: "ann" }], {
    args: ["--telemetry", "127.0.0.1:0"],
    config: {
      ftpd: { bindings: [0, 2].map((tls_mode) => ({ address: "127.0.0.1", port: 0, tls_mode })) },
      common: { max_per_host_connections: 0 },
    },
    env,
  });
  for (const name of names) await Deno.writeTextFile(`${w.home("ann")}/${name}`, `old ${name}`);
  assert.equal((await w.server.sluice("user", "quota-scan", "ann")).code, 0);
  await Deno.writeFile(`${w.dir}/large`, noise(300_000));
  await Deno.writeFile(`${w.dir}/small`, noise(3000, 2));
  return w;
};

const tus = ["-H", "Tus-Resumable: 1.0.0", "-H", "Content-Type: application/offset+octet-stream"];

/** Offers a whole file with the request that makes the upload. */
const offer = (w: Mixed, file: string, name: string, size: number) => {
  const { as, base } = apiUsers(() => w, password);
  return as(
    "ann",
    ...["-X", "POST", ...tus, "-H", `Upload-Length: ${size}`, "--data-binary", `@${file}`],
    ...[
      "-H",
      `Upload-Metadata: filename ${btoa(name)}`,
      "-H",
      "Tus-Overwrite: true",
      `${base()}/tus`,
    ],
  );
};

/** The journal tells of no upload to this name that was stored. */
const nothingStored = async (w: Mixed, name: string) => {
  const events = await w.server.events("--action", "upload", "--path", `/${name}`);
  assert.deepEqual(events.filter((event) => event["status"] === 1), [], name);
};

Deno.test("SECURITY 7.3: a flush that fails, of the file or the journal, is told on each protocol, and the old file stays", async () => {
  await using w = await world(["doomed", "logged"], {
    SLUICE_FAILPOINTS: "local.fsync@/doomed=fail*1000,intents.fsync@/logged=fail*1000",
  });
  const home = w.home("ann");
  const before = await fingerprint(home);
  const tries = [["large", "doomed"], ["large", "logged"], ["small", "logged"]] as const;
  for (const way of ways) {
    for (const [file, name] of tries) {
      const what = await w.put(way, ann, `${w.dir}/${file}`, name);
      assert.equal(what.ok, false, `${way} ${file} ${name}: ${what.text}`);
      says(what, refused[way], `${way} ${file} ${name}`);
      assert.deepEqual(await fingerprint(home), before, `${way} ${file} ${name}`);
    }
    const { ok, text } = await w.put(way, ann, `${w.dir}/large`, `fine-${way}`);
    assert.ok(ok, `${way} goes on: ${text}`);
    await Deno.remove(`${home}/fine-${way}`);
  }
  const finished = await offer(w, `${w.dir}/large`, "logged", 300_000);
  assert.equal(finished.status, 503, finished.body);
  for (const name of ["doomed", "logged"]) {
    assert.equal(await Deno.readTextFile(`${home}/${name}`), `old ${name}`);
    await nothingStored(w, name);
  }
});

testIf(
  await canTrace(),
  "strace may not trace here",
  "SECURITY 7.3: while each fsync of the kernel gives EIO nobody is told that a file is stored; then all goes on",
  async () => {
    await using w = await world(["kept"]);
    const home = w.home("ann");
    const { as, login } = apiUsers(() => w, password);
    await login("ann");
    const health = async () => (await curl(`${w.server.telemetry}/healthz`)).status;
    assert.equal(await health(), 200);
    for (const way of ways) assert.ok((await w.look(way, ann)).ok);
    const before = await fingerprint(home);
    const faults = "fsync,fdatasync";
    const tracer = new Deno.Command("strace", {
      args: [
        ...["-f", "-qq", "-p", String(w.server.pid), "-o", `${w.dir}/trace`],
        ...["-e", `trace=${faults}`, "-e", `inject=${faults}:error=EIO`],
      ],
      stdout: "null",
      stderr: "null",
    }).spawn();
    let partial = "";
    try {
      await eventually(
        "the tracer holds every thread",
        () =>
          [...Deno.readDirSync(`/proc/${w.server.pid}/task`)].every(({ name }) =>
            !/^TracerPid:\t0$/m.test(
              Deno.readTextFileSync(`/proc/${w.server.pid}/task/${name}/status`),
            )
          ),
      );
      for (const way of ways) {
        const what = await w.put(way, ann, `${w.dir}/large`, "kept");
        assert.equal(what.ok, false, `${way}: ${what.text}`);
        says(what, refused[way], way);
        assert.equal((await w.put(way, ann, `${w.dir}/small`, `new-${way}`)).ok, false, way);
        assert.deepEqual(await fingerprint(home), before, way);
      }
      const answer = await offer(w, `${w.dir}/large`, "resumed", 300_000);
      assert.ok(answer.status === 503 || answer.status === 201, `${answer.status} ${answer.body}`);
      partial = answer.headers.get("location") ?? "";
      assert.notEqual(answer.headers.get("upload-offset"), "300000", "nothing that may be lost");
      assert.equal(await health(), 503);
    } finally {
      tracer.kill("SIGINT");
      await tracer.status;
    }
    assert.match(await Deno.readTextFile(`${w.dir}/trace`), /EIO.*INJECTED/);
    await eventually("the health is good again", async () => await health() === 200, 20);
    for (const way of ways) {
      const { ok, text } = await w.put(way, ann, `${w.dir}/large`, "kept");
      assert.ok(ok, `${way} after the fault: ${text}`);
    }
    assert.equal(await sha256(`${home}/kept`), await sha256(`${w.dir}/large`));
    if (partial !== "") {
      const url = new URL(partial, w.server.http).href;
      const head = await as("ann", "-I", ...tus.slice(0, 2), url);
      const from = Number(head.headers.get("upload-offset"));
      await Deno.writeFile(`${w.dir}/rest`, noise(300_000).subarray(from));
      const rest = ["-H", `Upload-Offset: ${from}`, "--data-binary", `@${w.dir}/rest`];
      assert.equal((await as("ann", "-X", "PATCH", ...tus, ...rest, url)).status, 204);
      assert.equal(await sha256(`${home}/resumed`), await sha256(`${w.dir}/large`));
    }
    assert.deepEqual((await leftovers(home)).filter((path) => !path.includes("kept")), []);
    await usageAgrees(w.server, "ann");
  },
);
