import assert from "node:assert/strict";
import { folder, sluice } from "./process.ts";

const settings = (path: string, ftpd: unknown) =>
  Deno.writeTextFile(`${path}/sluice.json`, JSON.stringify({ ftpd }));

Deno.test("sluice doctor tells whether the FTP addresses are free", async () => {
  await using dir = await folder();
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const bindings = [taken.addr.port, 0].map((port) => ({ address: "127.0.0.1", port }));
  await settings(dir.path, { bindings });
  const doctor = await sluice(["doctor", "--json", "--data-dir", dir.path]);
  taken.close();
  const { checks } = JSON.parse(doctor.out) as {
    readonly checks: ReadonlyArray<{ readonly name: string; readonly status: string }>;
  };
  const found = checks.filter(({ name }) => name === "port ftp").map(({ status }) => status);
  assert.deepEqual(found, ["fail", "ok"]);
});

Deno.test("sluice serve names what is wrong in the FTP settings", async () => {
  await using dir = await folder();
  const serve = async (ftpd: unknown) => {
    await settings(dir.path, ftpd);
    const flags = ["--sftp", "127.0.0.1:0", "--telemetry", "off", "--data-dir", dir.path];
    const { code, err } = await sluice(["serve", ...flags]);
    assert.notEqual(code, 0);
    return err;
  };
  const wrong = await serve({
    bindings: [{ port: 70_000 }, { port: 0, tls_mode: 4 }],
    passive_port_range: { start: 60_000, end: 50_000 },
    passive_ip_overrides: [{ networks: ["10.0.0.0/99"], ip: "here" }],
    min_tls_version: 11,
    data_timeout: 0,
  });
  for (
    const place of [
      ...["bindings.0.port", "bindings.1.tls_mode", "passive_port_range.end", "min_tls_version"],
      ...["passive_ip_overrides.0.networks.0", "passive_ip_overrides.0.ip", "data_timeout"],
    ]
  ) assert.ok(wrong.includes(`ftpd.${place} (`), `${place}: ${wrong}`);
  const binding = { address: "127.0.0.1", port: 0 };
  const none = await serve({ bindings: [{ ...binding, client_auth_type: 1 }] });
  assert.match(none, /ftpd\.ca_certificates.*client_auth_type needs/);
  const missing = await serve({ bindings: [binding], ca_certificates: ["nowhere.pem"] });
  assert.match(missing, /ftpd\.ca_certificates\.0.*nowhere\.pem cannot be used/);
  const half = await serve({ bindings: [binding], certificate_file: "only.pem" });
  assert.match(half, /certificate_file and certificate_key_file go together/);
});
