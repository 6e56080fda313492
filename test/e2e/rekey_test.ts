import assert from "node:assert/strict";
import { sftpMust } from "./clients.ts";
import { noiseFile, scratch, sha256 } from "./files.ts";
import { fileWorld } from "./world.ts";

const world = fileWorld([{ username: "ann" }], { config: { sftpd: { rekey_bytes: 64 << 20 } } });

const ciphers = [
  "aes128-gcm@openssh.com",
  "aes256-gcm@openssh.com",
  "aes128-ctr",
  "aes192-ctr",
  "aes256-ctr",
  "chacha20-poly1305@openssh.com",
];

for (const cipher of ciphers) {
  Deno.test(`Must show 3a: 256 MiB each way with RekeyLimit=16M is equal with ${cipher}`, async () => {
    const ann = world().target("ann");
    await using tmp = await scratch();
    const file = await noiseFile(`${tmp.dir}/f`, 256 * 1024 * 1024, cipher.length);
    const more = ["-o", "RekeyLimit=16M", "-o", `Ciphers=${cipher}`];
    await sftpMust(ann, `put ${file} f\nget f ${tmp.dir}/back`, more, { timeout: 60 });
    const want = await sha256(file);
    assert.equal(await sha256(`${world().home("ann")}/f`), want);
    assert.equal(await sha256(`${tmp.dir}/back`), want);
  });
}
