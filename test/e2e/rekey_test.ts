import assert from "node:assert/strict";
import { sftp } from "./clients.ts";
import { noiseFile, scratch, sha256 } from "./files.ts";
import { makeWorld } from "./world.ts";

/** With the MAC to go with it, where there is one. */
const ciphers = {
  "aes128-gcm@openssh.com": "",
  "aes256-gcm@openssh.com": "",
  "chacha20-poly1305@openssh.com": "",
  "aes128-ctr": "hmac-sha2-256-etm@openssh.com",
  "aes192-ctr": "hmac-sha2-512-etm@openssh.com",
  "aes256-ctr": "hmac-sha2-256",
};
const providers = {
  libcrypto: Object.entries(ciphers),
  sodium: [["chacha20-poly1305@openssh.com", ""]],
  node: Object.entries(ciphers),
} as const;
const mib = 1024 * 1024;

for (const [provider, served] of Object.entries(providers)) {
  Deno.test(`Must show 3a: 128 MiB each way through many rekeys, ciphers by ${provider}`, async (t) => {
    // The client's limit is below the server's: with it the client asks for new keys, without it
    // the server does.
    const config = { sftpd: { rekey_bytes: 24 * mib } };
    const env = { SLUICE_CIPHERS: provider };
    await using world = await makeWorld([{ username: "ann" }], { config, env });
    await using tmp = await scratch();
    const file = await noiseFile(`${tmp.dir}/f`, 128 * mib, provider.length);
    const want = await sha256(file);
    for (const [cipher, mac] of served) {
      for (const [limit, exchanges] of [["16M", 15], ["default", 9]] as const) {
        await t.step(`${cipher} ${mac}, RekeyLimit ${limit}`, async () => {
          const options = [`RekeyLimit=${limit}`, `Ciphers=${cipher}`, `LogLevel=DEBUG1`];
          if (mac) options.push(`MACs=${mac}`);
          const flags = options.flatMap((option) => ["-o", option]);
          const script = `put ${file} f\nget f ${tmp.dir}/back`;
          const done = await sftp(world.target("ann"), script, flags, { timeout: 60 });
          assert.equal(done.code, 0, done.stderr.slice(-2000));
          assert.equal(await sha256(`${world.home("ann")}/f`), want);
          assert.equal(await sha256(`${tmp.dir}/back`), want);
          const seen = done.stderr.match(/NEWKEYS received/g)?.length ?? 0;
          assert.ok(seen >= exchanges, `${seen} key exchanges`);
        });
      }
    }
  });
}
