import assert from "node:assert/strict";
import { sftpMust } from "./clients.ts";
import { noiseFile, scratch, sha256 } from "./files.ts";
import { makeWorld } from "./world.ts";

const ciphers = [
  "aes128-gcm@openssh.com",
  "aes256-gcm@openssh.com",
  "aes128-ctr",
  "aes192-ctr",
  "aes256-ctr",
  "chacha20-poly1305@openssh.com",
];
const providers = { libcrypto: ciphers, node: ciphers, sodium: ["chacha20-poly1305@openssh.com"] };
const mib = 1024 * 1024;
/** aes128-ctr takes a plain MAC, the others EtM. */
const macs = (cipher: string) =>
  cipher === "aes128-ctr" ? "hmac-sha2-256" : "hmac-sha2-256-etm@openssh.com";

for (const [provider, served] of Object.entries(providers)) {
  Deno.test(`Must show 3a: 128 MiB each way through many rekeys, ciphers by ${provider}`, async (t) => {
    // The client's limit is below the server's, so with it the client asks, without it the server.
    const config = { sftpd: { rekey_bytes: 24 * mib } };
    const env = { SLUICE_CIPHERS: provider };
    await using world = await makeWorld([{ username: "ann" }], { config, env });
    await using tmp = await scratch();
    const file = await noiseFile(`${tmp.dir}/f`, 128 * mib, provider.length);
    const want = await sha256(file);
    for (const cipher of served) {
      for (const limit of ["16M", "default"]) {
        await t.step(`${cipher}, RekeyLimit ${limit}`, async () => {
          const options = [`RekeyLimit=${limit}`, `Ciphers=${cipher}`, `MACs=${macs(cipher)}`];
          const flags = options.flatMap((option) => ["-o", option]);
          const script = `put ${file} f\nget f ${tmp.dir}/back`;
          await sftpMust(world.target("ann"), script, flags, { timeout: 60 });
          assert.equal(await sha256(`${world.home("ann")}/f`), want);
          assert.equal(await sha256(`${tmp.dir}/back`), want);
        });
      }
    }
  });
}
