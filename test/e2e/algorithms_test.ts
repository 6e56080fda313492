import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { generateKeyPairSync } from "node:crypto";
import { ssh } from "./clients.ts";
import { eventually, pause } from "./process.ts";
import { kexInit, packet, rawConnect } from "./raw_ssh.ts";
import { str, u8 } from "./raw_sftp.ts";
import { fileWorld } from "./world.ts";

const world = fileWorld([{ username: "ann" }]);

/** OpenSSH's option, what must work with it alone, and what must be refused. */
const lists: ReadonlyArray<readonly [string, ReadonlyArray<string>, ReadonlyArray<string>]> = [
  ["KexAlgorithms", [
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group14-sha256",
  ], [
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group-exchange-sha1",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group1-sha1",
  ]],
  ["Ciphers", [
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
  ], ["aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"]],
  ["MACs", [
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
  ], ["hmac-sha1", "hmac-md5", "umac-64@openssh.com", "hmac-sha1-96"]],
  ["HostKeyAlgorithms", [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "rsa-sha2-256",
    "rsa-sha2-512",
  ], ["ssh-rsa", "ssh-dss"]],
];

for (const [option, good, bad] of lists) {
  for (const name of [...good, ...bad]) {
    const ok = good.includes(name);
    Deno.test(`SECURITY 6.15: ${option}=${name} ${ok ? "works" : "is refused"}`, async () => {
      const more = option === "MACs" ? ["-o", "Ciphers=aes128-ctr"] : [];
      const ended = await ssh(world().target("ann"), ["pwd"], [
        "-o",
        `${option}=${name}`,
        "-o",
        "LogLevel=INFO",
        ...more,
      ]);
      if (ok) assert.equal(ended.code, 0, ended.stderr);
      else {
        assert.notEqual(ended.code, 0);
        assert.match(ended.stderr, /no matching|Unable to negotiate/);
      }
    });
  }
}

Deno.test("SECURITY 6.15: compression is never agreed on, and asking for it costs nothing", async () => {
  const ended = await ssh(world().target("ann"), ["pwd"], ["-v", "-o", "LogLevel=DEBUG1", "-C"]);
  assert.equal(ended.code, 0, ended.stderr);
  assert.match(ended.stderr, /compression: none/);
});

Deno.test("SECURITY 3.1.7: server-sig-algs names rsa-sha2-512 and nistp521, and no SHA-1", async () => {
  const ended = await ssh(world().target("ann"), ["pwd"], ["-vv", "-o", "LogLevel=DEBUG2"]);
  const said = /server-sig-algs=<([^>]*)>/.exec(ended.stderr)?.[1]?.split(",") ?? [];
  assert.ok(said.includes("rsa-sha2-512"), ended.stderr);
  assert.ok(said.includes("rsa-sha2-256"));
  assert.ok(said.includes("ecdsa-sha2-nistp521"));
  assert.ok(!said.includes("ssh-rsa") && !said.includes("ssh-dss"));
});

Deno.test("SECURITY 6.15: a first packet that was guessed right is used, one guessed wrong is skipped", async () => {
  const point = generateKeyPairSync("x25519").publicKey.export({ type: "spki", format: "der" });
  const share = packet(Buffer.concat([u8(30), str(point.subarray(-32))]));
  const guesses: ReadonlyArray<readonly [string, boolean]> = [
    ["curve25519-sha256,ext-info-c", true],
    ["diffie-hellman-group18-sha512,curve25519-sha256", false],
  ];
  for (const [kex, right] of guesses) {
    const offer = kexInit(kex);
    // first_kex_packet_follows stands before the reserved number.
    offer[offer.length - 5] = 1;
    const raw = await rawConnect(world().server.port);
    raw.socket.write(Buffer.concat([Buffer.from("SSH-2.0-guess\r\n"), packet(offer), share]));
    // KEX_ECDH_REPLY names the host key in its own packet.
    const replied = () => raw.received().lastIndexOf("ssh-ed25519") > 500;
    if (!right) {
      await pause(300);
      assert.equal(replied(), false, "the wrong guess is not answered");
      raw.socket.write(share);
    }
    await eventually(`a reply to ${kex}`, replied, 5);
    raw.socket.destroy();
  }
});
