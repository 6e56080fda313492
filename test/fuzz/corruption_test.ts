import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { randomInt } from "node:crypto";
import { Dice } from "../../scripts/soak/tally.ts";
import { sftp, sftpMust } from "../e2e/clients.ts";
import { leftovers, noise, noiseFile, sha256 } from "../e2e/files.ts";
import { eventually, pause } from "../e2e/process.ts";
import { flag, op, RawSftp, str, u32, u64, u8 } from "../e2e/raw_sftp.ts";
import { kexInit, packet, rawConnect } from "../e2e/raw_ssh.ts";
import { login, sendPacket } from "../e2e/ssh2_client.ts";
import { usageAgrees } from "../e2e/quota_usage.ts";
import { fileWorld } from "../e2e/world.ts";
import { type Damage, damagedWay, drawDamage } from "./damage.ts";

const minutes = Number(Deno.env.get("SLUICE_FUZZ_MINUTES") ?? 0.35);
const seed = Number(Deno.env.get("SLUICE_FUZZ_SEED") ?? randomInt(1, 1e6));
// The server that is started below inherits these, and refuses a setting that it does not know.
for (const name of ["SLUICE_FUZZ_MINUTES", "SLUICE_FUZZ_SEED"]) Deno.env.delete(name);
const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));

const world = fileWorld(
  [{ username: "ann", quota_size: 1e12 }, { username: "clean" }, { username: "raw" }],
  {
    config: {
      common: { max_per_host_connections: 0 },
      // Bytes that are lost may leave both sides waiting: the next probe makes that end.
      sftpd: { keepalive_interval: 1, keepalive_count_max: 3, login_grace: 4 },
    },
  },
);

/** Runs `step` in so many lanes until the share of the time is over. */
const forAWhile = async (share: number, lanes: number, step: (dice: Dice) => Promise<void>) => {
  const end = performance.now() + share * minutes * 60_000;
  await Promise.all(Array.from({ length: lanes }, async (_, lane) => {
    const dice = new Dice(seed * 16 + lane);
    do await step(dice); while (performance.now() < end);
  }));
};

/** Another client, on a way of its own, to whom nothing of this may happen. */
const undisturbed = async (attempt: () => Promise<void>): Promise<void> => {
  const file = await noiseFile(`${world().dir}/clean`, 3 * 1024 * 1024, 99);
  const want = await sha256(file);
  let over = false;
  let rounds = 0;
  const clean = (async () => {
    while (!over) {
      await sftpMust(world().target("clean"), `put ${file} c\nget c ${world().dir}/clean-back`);
      assert.equal(await sha256(`${world().dir}/clean-back`), want);
      rounds++;
      await pause(200);
    }
  })();
  // Its failure must not wait for the end of the attempt to be noticed as a rejection.
  clean.catch(() => {});
  try {
    await attempt();
  } finally {
    over = true;
    await clean;
  }
  assert.ok(rounds > 0, "the clean session did something");
};

/** What must be as it was when the noise is over. */
const unharmedServer = async (descriptors: number): Promise<void> => {
  const { server } = world();
  await eventually(
    `descriptors are back at ${descriptors}`,
    () => server.descriptors <= descriptors + 4,
    20,
  );
  assert.equal(server.escapedErrors, 0, server.stderr.slice(-3000));
  const staged = async () => (await leftovers(`${server.dataDir}/users`)).length === 0;
  await eventually("no staged file is left", staged, 20);
  await sftpMust(world().target("clean"), "pwd");
};

const algorithms = [
  ["-o", "Ciphers=aes128-gcm@openssh.com"],
  ["-o", "Ciphers=aes256-gcm@openssh.com"],
  ["-o", "Ciphers=chacha20-poly1305@openssh.com"],
  ["-o", "Ciphers=aes128-ctr", "-o", "MACs=hmac-sha2-256-etm@openssh.com"],
  ["-o", "Ciphers=aes256-ctr", "-o", "MACs=hmac-sha2-256"],
];
const MiB = 1024 * 1024;
const limit = 40;

Deno.test("bytes that are changed, lost or added on the way end in a disconnect, never in a wrong file", async () => {
  say(`SLUICE_FUZZ_SEED=${seed}`);
  const { server, dir } = world();
  const sizes = [10_000, MiB, 4 * MiB];
  const sources = await Promise.all(sizes.map(async (size, i) => {
    const path = await noiseFile(`${dir}/source${i}`, size, i + 1);
    return { size, path, hash: await sha256(path) };
  }));
  const puts = sources.map((s, i) => `put ${s.path} ready${i}`);
  await sftpMust(world().target("ann"), puts.join("\n"));
  await pause(500);
  const descriptors = server.descriptors;
  const counts = { whole: 0, ended: 0 };
  const stored: { readonly path: string; readonly name: string; readonly hash: string }[] = [];

  /** A file is whole or not there. By the server it is removed, so that the quota stays true. */
  const settle = async (keep: number) => {
    const old = stored.splice(0, Math.max(0, stored.length - keep));
    for (const { path, hash } of old) {
      const found = await sha256(path).catch(() => undefined);
      assert.ok(found === undefined || found === hash, `${path} is not what was sent`);
    }
    if (old.length === 0) return;
    await sftp(world().target("ann"), old.map((o) => `-rm ${o.name}`).join("\n"));
  };

  let number = 0;
  await undisturbed(() =>
    forAWhile(0.8, 3, async (dice) => {
      const id = number++;
      const source = dice.of(sources);
      const damages: Damage[] = Array.from(
        { length: dice.chance(0.1) ? 0 : dice.int(1, 3) },
        () => drawDamage(dice, source.size),
      );
      const flags = [
        ...dice.of(algorithms),
        ...(dice.chance(0.3) ? ["-o", "RekeyLimit=512K"] : []),
        ...["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=3", "-q"],
      ];
      const put = dice.chance(0.5);
      const what = `${put ? "put" : "get"} ${source.size} ${flags.join(" ")} ` +
        JSON.stringify(damages);
      await using way = damagedWay(server.port, damages);
      const target = { ...world().target("ann"), port: way.port };
      const back = `${dir}/back${id}`;
      const name = `up${id}`;
      const batch = put
        ? `put ${source.path} ${name}`
        : `get ready${sources.indexOf(source)} ${back}`;
      const began = performance.now();
      const { code, stderr } = await sftp(target, batch, flags, { timeout: limit });
      assert.ok(performance.now() - began < limit * 1000, `it did not end: ${what}`);
      if (damages.length === 0) assert.equal(code, 0, `unharmed, and failed: ${what}: ${stderr}`);
      if (code === 0) {
        counts.whole++;
        const got = await sha256(put ? `${server.dataDir}/users/ann/${name}` : back);
        assert.equal(got, source.hash, `told as done, and different: ${what}`);
      } else counts.ended++;
      if (put) {
        stored.push({ path: `${server.dataDir}/users/ann/${name}`, name, hash: source.hash });
        if (stored.length > 80) await settle(40);
      } else await Deno.remove(back).catch(() => {});
    })
  );
  await unharmedServer(descriptors);
  await settle(0);
  await usageAgrees(server, "ann");
  say(`${counts.whole} transfers were whole, ${counts.ended} ended in a disconnect`);
  assert.ok(counts.whole > 0 && counts.ended > 0, "both kinds of end were seen");
});

/** A payload that was one of a client's, with bytes of it changed, or nothing of the kind. */
const drawPayload = (dice: Dice, channel: number, handle: Uint8Array): Buffer => {
  const read = Buffer.concat([u8(op.read), u32(1), str(handle), u64(0), u32(32_768)]);
  const data = Buffer.concat([u32(read.length), read]);
  const known = [
    Buffer.concat([u8(94), u32(channel), str(data)]),
    Buffer.concat([u8(95), u32(channel), u32(1), str(data)]),
    Buffer.concat([u8(93), u32(channel), u32(dice.int(0, 0xffffffff))]),
    Buffer.concat([u8(96), u32(channel)]),
    Buffer.concat([u8(97), u32(channel)]),
    Buffer.concat([u8(98), u32(channel), str("exec"), u8(1), str("scp -t /")]),
    Buffer.concat([u8(90), str("session"), u32(7), u32(1 << 20), u32(32_768)]),
    Buffer.concat([u8(80), str("keepalive@openssh.com"), u8(1)]),
    Buffer.concat([u8(50), str("raw"), str("ssh-connection"), str("none")]),
    Buffer.from(kexInit()),
    Buffer.concat([u8(21)]),
    Buffer.concat([u8(30), str(noise(32, dice.int(1, 1e6)))]),
    Buffer.concat([u8(1), u32(2), str("bye"), str("")]),
  ];
  const payload = Buffer.from(dice.of(known));
  if (dice.chance(0.2)) return Buffer.from(noise(dice.int(1, 2000), dice.int(1, 1e6)));
  for (let i = dice.int(0, 4); i > 0; i--) {
    payload[dice.int(0, payload.length - 1)] = dice.int(0, 255);
  }
  return dice.chance(0.2) ? payload.subarray(0, dice.int(1, payload.length)) : payload;
};

Deno.test("packets that are sealed well and make no sense end their connection at most", async () => {
  const { server } = world();
  const target = world().target("raw");
  await noiseFile(`${world().home("raw")}/f`, 100_000, 5);
  await pause(500);
  const descriptors = server.descriptors;
  let alive = 0;
  let closed = 0;
  await undisturbed(() =>
    forAWhile(0.1, 2, async (dice) => {
      const connection = await login(target);
      await using _ = connection;
      const raw = await RawSftp.on(connection);
      const handle = await raw.handle("/f", flag.read);
      for (let i = dice.int(1, 6); i > 0; i--) {
        sendPacket(
          connection.client,
          drawPayload(dice, raw.channel.outgoing.id, handle),
        );
      }
      const answer = raw.request(op.stat, str("/f")).then(() => "answered", () => "closed");
      const end = await Promise.race([
        answer,
        connection.closed.then(() => "closed"),
        pause(2000).then(() => "silent"),
      ]);
      // Silent is a channel that the noise closed, or a packet of which the rest is awaited.
      if (end === "closed") closed++;
      else alive++;
    })
  );
  await unharmedServer(descriptors);
  say(`${closed} connections were closed, ${alive} went on`);
  assert.ok(closed > 0);
});

Deno.test("a greeting, a key exchange and packets in the clear may be any bytes", async () => {
  const { server } = world();
  await pause(500);
  const descriptors = server.descriptors;
  let count = 0;
  await undisturbed(() =>
    forAWhile(0.1, 6, async (dice) => {
      const raw = await rawConnect(server.port);
      const stream = Buffer.concat([
        Buffer.from("SSH-2.0-fuzz\r\n"),
        packet(kexInit()),
        packet(Buffer.concat([u8(30), str(noise(32, dice.int(1, 1e6)))])),
        packet(u8(21)),
        noise(dice.int(0, 500), dice.int(1, 1e6)),
      ]);
      for (let i = dice.int(1, 8); i > 0; i--) {
        stream[dice.int(0, stream.length - 1)] = dice.int(0, 255);
      }
      const length = dice.chance(0.3) ? dice.int(1, stream.length) : stream.length;
      raw.socket.write(stream.subarray(0, length));
      if (dice.chance(0.5)) raw.socket.end();
      // Who stops in the middle of a packet is given the grace of a login, 4 s.
      assert.ok(await raw.closedWithin(12), `not closed: ${stream.toString("hex")}`);
      count++;
    })
  );
  await unharmedServer(descriptors);
  say(`${count} connections`);
  assert.ok(count > 0);
});
