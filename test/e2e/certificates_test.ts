import assert from "node:assert/strict";
import { makeKey, publicKey, ssh } from "./clients.ts";
import { scratch } from "./files.ts";
import { must } from "./process.ts";
import { makeWorld, type World } from "./world.ts";

let world: World | undefined;
const stack = new AsyncDisposableStack();
const files: Record<string, string> = {};

interface Signing {
  readonly why: string;
  readonly ok: boolean;
  readonly principals: string;
  readonly more?: ReadonlyArray<string>;
  readonly ca?: "ca" | "other";
  readonly user?: string;
}

const signings: ReadonlyArray<Signing> = [
  { why: "a valid certificate", ok: true, principals: "cert" },
  { why: "one of several principals", ok: true, principals: "x,cert,y" },
  {
    why: "a source address that fits",
    ok: true,
    principals: "cert",
    more: ["-O", "source-address=127.0.0.0/8"],
  },
  {
    why: "an expired certificate",
    ok: false,
    principals: "cert",
    more: ["-V", "20200101:20210101"],
  },
  { why: "a certificate of the future", ok: false, principals: "cert", more: ["-V", "+1d:+2d"] },
  { why: "a wrong principal", ok: false, principals: "other" },
  { why: "no principal", ok: false, principals: "" },
  {
    why: "a wrong source address",
    ok: false,
    principals: "cert",
    more: ["-O", "source-address=10.0.0.0/8"],
  },
  { why: "an authority that is not listed", ok: false, principals: "cert", ca: "other" },
  { why: "a host certificate", ok: false, principals: "cert", more: ["-h"] },
  { why: "a revoked key", ok: false, principals: "cert" },
  {
    why: "an unknown critical option",
    ok: false,
    principals: "cert",
    more: ["-O", "critical:moon@example.org=full"],
  },
  { why: "a user who is disabled", ok: false, principals: "off", user: "off" },
];
const fileOf = (why: string) => why.replaceAll(/\W/g, "_");

Deno.test.beforeAll(async () => {
  const { dir } = stack.use(await scratch());
  for (const ca of ["ca", "other"]) files[ca] = await makeKey(dir, ca);
  for (const { why, principals, more = [], ca = "ca" } of signings) {
    const key = files[why] = await makeKey(dir, fileOf(why));
    const names = principals === "" ? [] : ["-n", principals];
    await must("ssh-keygen", [
      ...["-q", "-s", files[ca] ?? "", "-I", fileOf(why), ...names, ...more, `${key}.pub`],
    ]);
  }
  const revoked = await must("ssh-keygen", ["-l", "-f", `${files["a revoked key"]}.pub`]);
  await Deno.writeTextFile(`${dir}/revoked.json`, JSON.stringify([revoked.split(" ")[1]]));
  world = stack.use(
    await makeWorld([
      { username: "cert", public_keys: [] },
      { username: "off", public_keys: [], status: 0 },
    ], {
      config: {
        sftpd: {
          trusted_user_ca_keys: [await publicKey(files["ca"] ?? "")],
          revoked_user_certs_file: `${dir}/revoked.json`,
        },
      },
    }),
  );
});
Deno.test.afterAll(() => stack.disposeAsync());

for (const { why, ok, user = "cert" } of signings) {
  Deno.test(`Must show 3b: ${why} is ${ok ? "let in" : "refused"}`, async () => {
    assert.ok(world);
    const key = files[why] ?? "";
    const { code, stderr } = await ssh({ port: world.server.port, user, key }, ["pwd"], [
      "-o",
      `CertificateFile=${key}-cert.pub`,
    ]);
    assert.equal(code === 0, ok, stderr);
  });
}

Deno.test("Must show 3b: the certified key without its certificate is refused", async () => {
  assert.ok(world);
  const from = files["a valid certificate"] ?? "";
  const bare = `${world.dir}/bare`;
  await Deno.copyFile(from, bare);
  await Deno.chmod(bare, 0o600);
  await Deno.copyFile(`${from}.pub`, `${bare}.pub`);
  const { code } = await ssh({ port: world.server.port, user: "cert", key: bare }, ["pwd"]);
  assert.notEqual(code, 0);
});
