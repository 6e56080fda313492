import assert from "node:assert/strict";
import { folder, sluice } from "./process.ts";

Deno.test("sluice serve names what is wrong in the settings of clients' certificates", async () => {
  await using dir = await folder();
  const none = { bindings: [] };
  const serve = async (httpd: object, webdavd: object) => {
    await Deno.writeTextFile(`${dir.path}/sluice.json`, JSON.stringify({ httpd, webdavd }));
    const flags = ["--sftp", "127.0.0.1:0", "--telemetry", "off", "--ftp", "off"];
    const { code, err } = await sluice(["serve", ...flags, "--data-dir", dir.path]);
    assert.notEqual(code, 0);
    return err;
  };
  const asking = (client_auth_type: number, enable_https = true) => ({
    bindings: [{ address: "127.0.0.1", port: 0, enable_https, client_auth_type }],
  });
  const wrong = await serve(asking(3), asking(2, false));
  assert.match(wrong, /httpd\.bindings\.0\.client_auth_type \(/);
  assert.match(wrong, /webdavd\.bindings\.0\.client_auth_type.*needs enable_https/);
  const nobody = await serve(none, asking(1));
  assert.match(nobody, /webdavd\.ca_certificates.*client_auth_type needs/);
  const missing = await serve({ ...asking(2), ca_certificates: ["nowhere.pem"] }, none);
  assert.match(missing, /httpd\.ca_certificates\.0.*nowhere\.pem cannot be used/);
  await Deno.writeTextFile(`${dir.path}/list.pem`, "no list");
  const list = await serve(none, { ...none, ca_revocation_lists: ["list.pem"] });
  assert.match(
    list,
    /webdavd\.ca_revocation_lists\.0.*list\.pem cannot be used \(there is no list/,
  );
});
