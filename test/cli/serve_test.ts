import assert from "node:assert/strict";
import { folder, Running, sluice } from "./process.ts";

Deno.test("sluice serve answers its control socket and telemetry, and SIGTERM ends it with 0", async () => {
  await using dir = await folder();
  const data = ["--data-dir", dir.path];
  await using server = await Running.start([
    ...["serve", "--http", "off", "--sftp", "127.0.0.1:0", "--telemetry", "127.0.0.1:0", ...data],
  ], { SLUICE_ADMIN_USERNAME: "root", SLUICE_ADMIN_PASSWORD: "correct horse" });
  assert.ok(server.port("sftp") > 0);

  const at = `http://127.0.0.1:${server.port("telemetry")}`;
  const health = await (await fetch(`${at}/healthz`)).json();
  assert.equal(health.status, "ok", JSON.stringify(health));
  assert.equal((await (await fetch(`${at}/readyz`)).text()).trim(), "ready");
  const metrics = await (await fetch(`${at}/metrics`)).text();
  assert.match(metrics, /^sluice_escaped_errors_total 0$/m);

  const mode = (await Deno.stat(`${dir.path}/control.sock`)).mode ?? 0;
  assert.equal(mode & 0o777, 0o600);
  for (const name of ["sluice.db", "id_ed25519", "master.key", "sluice.lock"]) {
    assert.equal(((await Deno.stat(`${dir.path}/${name}`)).mode ?? 0) & 0o077, 0, name);
  }
  const sessions = await sluice(["sessions", "list", "--json", ...data]);
  assert.equal(sessions.out.trim(), "[]", sessions.err);
  assert.equal((await sluice(["sessions", "kick", "SSH_nobody", ...data])).code, 3);
  const admins = await sluice(["admin", "list", "--json", ...data]);
  assert.equal(JSON.parse(admins.out)[0].username, "root");
  const doctor = await sluice(["doctor", "--json", ...data]);
  assert.equal(doctor.code, 0, doctor.out);
  assert.ok(JSON.parse(doctor.out).checks.some((c: { name: string }) => c.name === "port sftp"));
  const gcm = JSON.parse(doctor.out).checks.find((c: { name: string }) =>
    c.name === "cipher aes128-gcm@openssh.com"
  );
  const forced = Deno.env.get("SLUICE_CIPHERS") === "node";
  const why = forced ? "SLUICE_CIPHERS=node" : "does not have it";
  assert.match(gcm.found, new RegExp(`^(libcrypto|node) \\(.*sodium: ${why}`));

  const second = await sluice([
    "serve",
    "--http",
    "off",
    "--sftp",
    "127.0.0.1:0",
    "--telemetry",
    "off",
    ...data,
  ]);
  assert.equal(second.code, 1);
  assert.match(second.err, new RegExp(`in use by a running server \\(pid ${server.child.pid}\\)`));
  const restore = await sluice(["restore", `${dir.path}/sluice.db`, ...data]);
  assert.equal(restore.code, 1);
  assert.match(restore.err, /in use by a running server/);

  const { code, err } = await server.stop();
  assert.equal(code, 0, err);
  assert.ok(!err.includes("correct horse"));
  for (const line of err.trim().split("\n")) assert.ok(JSON.parse(line).time, line);
});

Deno.test("sluice drain ends the server; sessions fails clearly without one", async () => {
  await using dir = await folder();
  const data = ["--data-dir", dir.path];
  await using server = await Running.start([
    ...["serve", "--http", "off", "--sftp", "127.0.0.1:0", "--telemetry", "off", ...data],
  ]);
  assert.equal((await sluice(["drain", "--seconds", "1", ...data])).code, 0);
  assert.equal((await server.child.status).code, 0);
  const sessions = await sluice(["sessions", "list", ...data]);
  assert.equal(sessions.code, 1);
  assert.match(sessions.err, /no server is running/);
});

Deno.test("sluice serve says in one line what stands in its way, and where", async () => {
  await using dir = await folder();
  const data = ["--data-dir", dir.path];
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `127.0.0.1:${(taken.addr as Deno.NetAddr).port}`;
  const busy = await sluice([
    "serve",
    "--http",
    "off",
    "--sftp",
    address,
    "--telemetry",
    "off",
    ...data,
  ]);
  taken.close();
  assert.equal(busy.code, 1);
  assert.match(
    busy.err.trim().split("\n").at(-1) ?? "",
    new RegExp(`${address}: the port is taken`),
  );

  await Deno.writeTextFile(`${dir.path}/id_ed25519`, "nonsense", { mode: 0o600 });
  const key = await sluice([
    "serve",
    "--http",
    "off",
    "--sftp",
    "127.0.0.1:0",
    "--telemetry",
    "off",
    ...data,
  ]);
  assert.equal(key.code, 1);
  assert.match(key.err, /id_ed25519: host key cannot be used/);
  assert.equal(await Deno.readTextFile(`${dir.path}/id_ed25519`), "nonsense");

  await Deno.writeTextFile(`${dir.path}/file`, "");
  const notDir = await sluice(["serve", "--data-dir", `${dir.path}/file`]);
  assert.equal(notDir.code, 1);
  assert.match(notDir.err, /data folder .* is not a folder; .*--data-dir/);

  await Deno.writeTextFile(`${dir.path}/sluice.json`, '{ "sftp": { "port": 1 }, "comon": 2 }');
  const config = await sluice(["config", "check", ...data]);
  assert.equal(config.code, 2);
  assert.equal(config.err.trim().split("\n").length, 2, config.err);
  assert.match(config.err, /did you mean sftpd\?/);
  await Deno.remove(`${dir.path}/sluice.json`);
  const here = await sluice(["serve", "--http", "off", "--sftp", "here", ...data]);
  assert.equal(here.code, 2);
  assert.match(here.err, /--sftp: "here" is not an address/);
  assert.equal((await sluice(["sevre"])).code, 2);
});

Deno.test("sluice portable serves a folder, prints a generated password, and leaves nothing", async () => {
  await using dir = await folder();
  await using server = await Running.start([
    ...["portable", "--dir", dir.path, "--sftp", "127.0.0.1:0"],
  ], { TMPDIR: dir.path });
  assert.equal(server.ready.username, "portable");
  assert.match(server.ready.password ?? "", /^[a-z2-9]{24}$/);
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port("sftp") });
  const hello = new Uint8Array(8);
  await connection.read(hello);
  connection.close();
  assert.match(new TextDecoder().decode(hello), /^SSH-2\.0-/);
  const { code, err } = await server.stop("SIGINT");
  assert.equal(code, 0, err);
  assert.deepEqual([...Deno.readDirSync(dir.path)].map((e) => e.name), []);
});

Deno.test("sluice backup and restore carry the accounts over", async () => {
  await using dir = await folder();
  const data = ["--data-dir", dir.path];
  assert.equal((await sluice(["user", "add", "anna", ...data])).code, 0);
  const file = `${dir.path}/copy.db`;
  assert.equal((await sluice(["backup", file, ...data])).code, 0);
  assert.equal((await sluice(["backup", file, ...data])).code, 4);
  assert.equal((await sluice(["user", "remove", "anna", ...data])).code, 0);
  await Deno.writeTextFile(`${dir.path}/junk`, "not a database");
  assert.notEqual((await sluice(["restore", `${dir.path}/junk`, ...data])).code, 0);
  const restored = await sluice(["restore", file, ...data]);
  assert.equal(restored.code, 0, restored.err);
  assert.equal((await sluice(["user", "show", "anna", ...data])).code, 0);
});
