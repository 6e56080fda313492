import assert from "node:assert/strict";
import { sftp, sftpMust } from "./clients.ts";
import { noiseFile, scratch, sha256 } from "./files.ts";
import { eventually, run } from "./process.ts";
import { addUsers, Server, sluice, sluiceMust, taskWords } from "./server.ts";

const password = "one tick and a quarter";
const root = new URL("../../", import.meta.url).pathname;
const config = {
  ftpd: { bindings: [{ address: "127.0.0.1", port: 0, tls_mode: 1 }] },
};
const args = ["--http", "127.0.0.1:0", "--workers", "2"];

const curl = (user: string, ...more: string[]) =>
  run("curl", ["-sS", "-k", "-f", "--max-time", "20", "-u", `${user}:${password}`, ...more]);

const ftpPort = (server: Server): number => {
  const ready = server.log.find(({ event }) => event === "ready");
  const { ftp } = ready?.["listeners"] as { ftp: ReadonlyArray<string> };
  return Number(ftp[0]?.split(":").at(-1));
};

const dumpOf = (dataDir: string) => sluiceMust(dataDir, ["dump", "-"]);
const load = async (dataDir: string, ...more: string[]) =>
  JSON.parse(await sluiceMust(dataDir, ["load", ...more, "--json"]));

Deno.test("DB-10, DB-11: a dump beside a server, loaded beside another, lets the same passwords in", async () => {
  await using space = await scratch();
  const { dir } = space;
  const file = await noiseFile(`${dir}/file`, 150_000);
  const home = (name: string) => `${dir}/homes/${name}`;
  await using one = await Server.start({
    config,
    args,
    before: async (dataDir) => {
      await sluiceMust(dataDir, ["folder", "add", "shared", "--path", `${dir}/shared`]);
      await sluiceMust(dataDir, ["group", "add", "staff", "--folder", "/shared=shared"]);
      await addUsers(dataDir, [
        { username: "ann", password, home_dir: home("ann"), groups: [{ name: "staff", type: 1 }] },
        { username: "ben", password, home_dir: home("ben"), status: 0 },
      ]);
      await sluiceMust(dataDir, ["admin", "add", "root", "--password-stdin"], `${password}\n`);
      await sluiceMust(dataDir, ["user", "totp", "ben", "enable"]);
    },
  });
  await sftpMust({ port: one.port, user: "ann", password }, `put ${file} f`);
  await eventually(
    "the upload is counted",
    async () => (await one.user("ann"))["used_quota_size"] === 150_000,
  );
  const dump = `${dir}/dump.json`;
  const { size, users } = JSON.parse(await sluiceMust(one.dataDir, ["dump", dump, "--json"]));
  const { mode, size: real } = await Deno.stat(dump);
  assert.deepEqual([mode! & 0o777, real, users], [0o600, size, 2]);
  assert.equal(await dumpOf(one.dataDir), await Deno.readTextFile(dump));

  await using two = await Server.start({
    config,
    args,
    // Its own key would not open ben's one-time-code secret.
    before: (dataDir) => Deno.copyFile(`${one.dataDir}/master.key`, `${dataDir}/master.key`),
  });
  const ann = { port: two.port, user: "ann", password };
  assert.notEqual((await sftp(ann, "ls")).code, 0);
  const { counts } = await load(two.dataDir, dump);
  assert.deepEqual(counts.users, { add: 2, update: 0, same: 0, skip: 0 });
  assert.equal(await dumpOf(two.dataDir), await Deno.readTextFile(dump));

  // By three protocols, into the mounted folder too.
  await sftpMust(ann, `get f ${dir}/sftp\nput ${file} /shared/g`);
  const ftp = `ftp://127.0.0.1:${ftpPort(two)}`;
  assert.equal((await curl("ann", "--ssl-reqd", "-o", `${dir}/ftp`, `${ftp}/shared/g`)).code, 0);
  assert.equal((await curl("ann", "-o", `${dir}/dav`, `${two.http}/dav/f`)).code, 0);
  for (const name of ["sftp", "ftp", "dav"]) {
    assert.equal(await sha256(`${dir}/${name}`), await sha256(file), name);
  }
  assert.notEqual((await sftp({ ...ann, password: "wrong" }, "ls")).code, 0);
  assert.notEqual((await sftp({ ...ann, user: "ben" }, "ls")).code, 0);

  // What has changed since is named; usage that the server keeps stays.
  const { objects } = await load(two.dataDir, dump, "--dry-run");
  assert.deepEqual(
    new Set(objects.map((o: { action: string }) => o.action)),
    new Set(["same"]),
  );
  await eventually(
    "the other upload is counted",
    async () =>
      JSON.parse(await sluiceMust(two.dataDir, ["folder", "show", "shared", "--json"]))
        .used_quota_size === 150_000,
  );
  await load(two.dataDir, dump);
  const shown = await sluiceMust(two.dataDir, ["folder", "show", "shared", "--json"]);
  assert.equal(JSON.parse(shown).used_quota_size, 150_000);
  // Counting again is the server's, whose counters are live.
  const edited = JSON.parse(await Deno.readTextFile(dump));
  edited.users = [edited.users[0]];
  await Deno.writeTextFile(`${home("ann")}/more`, "12345");
  await Deno.writeTextFile(dump, JSON.stringify(edited));
  assert.equal((await load(two.dataDir, dump, "--scan-quota", "2")).scanned, 0);
  assert.equal((await load(two.dataDir, dump, "--scan-quota", "1")).scanned, 1);
  assert.equal((await two.user("ann"))["used_quota_size"], 150_005);
});

Deno.test("DB-11: mode 2 ends the sessions of updated users, and a disabled one is out in any mode", async () => {
  await using space = await scratch();
  const names = ["ann", "ben", "cat"];
  await using server = await Server.start({
    config,
    args,
    before: (dataDir) => addUsers(dataDir, names.map((username) => ({ username, password }))),
  });
  const sessions = async () =>
    JSON.parse(await sluiceMust(server.dataDir, ["sessions", "list", "--json"]))
      .map(({ username }: { username: string }) => username).toSorted();
  const done = new Map(names.map((user) => [
    user,
    // Waits in the middle of its batch, as whoever thinks at the prompt.
    sftp(
      { port: server.port, user, password },
      `ls\n!while [ ! -e ${space.dir}/go ]; do sleep 0.1; done\nls`,
    ),
  ]));
  await eventually("all are in", async () => (await sessions()).length === 3, 20);
  const file = `${space.dir}/load.json`;
  const write = async (changes: Record<string, Record<string, unknown>>) => {
    const document = JSON.parse(await dumpOf(server.dataDir));
    for (const user of document.users) Object.assign(user, changes[user.username]);
    await Deno.writeTextFile(file, JSON.stringify(document));
  };
  await write({ ann: { description: "changed" } });
  assert.deepEqual((await load(server.dataDir, file)).sessions_ended_of, []);
  assert.deepEqual(await sessions(), names);
  await write({ ann: { description: "again" } });
  assert.deepEqual((await load(server.dataDir, file, "--mode", "2")).sessions_ended_of, ["ann"]);
  await eventually("ann is out", async () => !(await sessions()).includes("ann"));
  await write({ ben: { status: 0 } });
  assert.deepEqual((await load(server.dataDir, file)).sessions_ended_of, ["ben"]);
  await eventually("ben is out", async () => (await sessions()).join() === "cat");
  await Deno.writeTextFile(`${space.dir}/go`, "");
  for (const [name, client] of done) assert.equal((await client).code === 0, name === "cat", name);
});

Deno.test("a list that is loaded beside a server is in force at once", async () => {
  await using space = await scratch();
  await using server = await Server.start({
    args,
    env: { SLUICE_COMMON__ALLOWLIST_STATUS: "1" },
    before: async (dataDir) => {
      await addUsers(dataDir, [{ username: "ann", password }]);
      await sluiceMust(dataDir, ["iplist", "add", "allow", "192.0.2.1"]);
    },
  });
  const ann = { port: server.port, user: "ann", password };
  assert.notEqual((await sftp(ann, "ls")).code, 0);
  const file = `${space.dir}/lists.json`;
  const entry = { ipornet: "127.0.0.0/8", type: 1, protocols: 1 };
  await Deno.writeTextFile(file, JSON.stringify({ ip_lists: [entry] }));
  await load(server.dataDir, file);
  await sftpMust(ann, "ls");
  // For SSH only.
  const dav = async () =>
    (await curl("ann", "-X", "PROPFIND", "-H", "Depth: 0", `${server.http}/dav/`)).code;
  assert.notEqual(await dav(), 0);
  await Deno.writeTextFile(file, JSON.stringify({ ip_lists: [{ ...entry, protocols: 0 }] }));
  await load(server.dataDir, file);
  assert.equal(await dav(), 0);
});

Deno.test("DIS-20: a load that is killed leaves the old catalog or the new one, whole", async () => {
  await using space = await scratch();
  const dataDir = `${space.dir}/data`;
  await sluiceMust(dataDir, ["user", "add", "anna", "--password-stdin"], `${password}\n`);
  const [anna] = JSON.parse(await dumpOf(dataDir)).users;
  const count = 8_000;
  const document = (description: string) => ({
    users: Array.from({ length: count }, (_, i) => ({
      ...anna,
      username: `user${String(i).padStart(5, "0")}`,
      home_dir: "",
      description,
    })),
  });
  const file = `${space.dir}/many.json`;
  await Deno.writeTextFile(file, JSON.stringify(document("first")));
  const before = await dumpOf(dataDir);
  const [command = "", ...task] = await taskWords("sluice");
  const start = (env: Record<string, string>) =>
    new Deno.Command(command, {
      args: [...task, "load", file, "--data-dir", dataDir],
      cwd: root,
      env,
      stdout: "null",
      stderr: "null",
    }).spawn();
  // Everything written, nothing committed.
  const { success } = await start({ SLUICE_FAILPOINTS: "catalog.commit=kill" }).status;
  assert.ok(!success);
  assert.equal(await dumpOf(dataDir), before);

  const walSize = () => Deno.statSync(`${dataDir}/sluice.db-wal`).size;
  const outcomes = new Set<string>();
  // What does not fit into SQLite's cache reaches the log while the transaction is open.
  for (const most of [1, 1_000_000, 4_000_000, 8_000_000]) {
    const child = start({});
    let ended = false;
    child.status.then(() => ended = true);
    await eventually("the log grows", () => {
      if (ended) return true;
      try {
        return walSize() >= most;
      } catch {
        return false;
      }
    }, 60);
    if (!ended) child.kill("SIGKILL");
    await child.status;
    const users = JSON.parse(await dumpOf(dataDir)).users.length;
    assert.ok(users === 1 || users === count + 1, `${users} users after ${most} bytes`);
    outcomes.add(users === 1 ? "old" : "new");
  }
  assert.ok(outcomes.has("old"), "no load was killed in time");
  await sluiceMust(dataDir, ["load", file]);
  assert.equal(JSON.parse(await dumpOf(dataDir)).users.length, count + 1);
  assert.equal((await sluice(dataDir, ["doctor"])).stdout.includes("damaged"), false);
});

Deno.test("a load of 5,000 users beside a server leaves no upload and no login behind", async () => {
  await using space = await scratch();
  await using server = await Server.start({
    config,
    args,
    before: (dataDir) => addUsers(dataDir, [{ username: "ann", password }]),
  });
  const [ann] = JSON.parse(await dumpOf(server.dataDir)).users;
  const users = Array.from({ length: 5_000 }, (_, i) => ({
    ...ann,
    username: `user${i}`,
    home_dir: "",
  }));
  const file = `${space.dir}/many.json`;
  await Deno.writeTextFile(file, JSON.stringify({ users }));
  const small = await noiseFile(`${space.dir}/small`, 1000);
  let loaded = false;
  const loading = load(server.dataDir, file).finally(() => loaded = true);
  let uploads = 0;
  while (!loaded) {
    await sftpMust({ port: server.port, user: "ann", password }, `put ${small} f${uploads++}`);
  }
  assert.equal((await loading).counts.users.add, 5_000);
  assert.ok(uploads > 1);
  await sftpMust({ port: server.port, user: "user4999", password }, "ls");
  await eventually(
    "every upload is in the journal",
    async () => (await server.events("--user", "ann", "--action", "upload")).length === uploads,
  );
});
