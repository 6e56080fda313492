import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { ssh } from "../e2e/clients.ts";
import { noiseFile } from "../e2e/files.ts";
import { pause } from "../e2e/process.ts";
import { kexInit, packet, rawConnect } from "../e2e/raw_ssh.ts";
import { exec } from "../e2e/raw_exec.ts";
import { op, RawSftp, str, u32, u64, u8 } from "../e2e/raw_sftp.ts";
import { dial, login, sendPacket } from "../e2e/ssh2_client.ts";
import { fileWorld } from "../e2e/world.ts";

/** Seconds of poison in all, shared by the kinds. */
const total = 120;
const seed = Number(Deno.env.get("SLUICE_TEST_SEED") ?? Date.now() % 1_000_000);
const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));

const world = fileWorld([{ username: "ann" }], {
  config: { common: { max_per_host_connections: 0 }, sftpd: { login_grace: 5 } },
});

/** The same numbers for the same seed. */
class Dice {
  #state: number;
  constructor(from: number) {
    this.#state = from >>> 0 || 1;
  }
  /** A number from 0 and below `most`. */
  below(most: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % most;
  }
  bytes(most: number): Buffer {
    return Buffer.from(Uint8Array.from({ length: this.below(most) }, () => this.below(256)));
  }
  pick<A>(from: ReadonlyArray<A>): A {
    return from[this.below(from.length)] as A;
  }
  /** `good` with a few bytes changed, cut short or repeated. */
  spoil(good: Buffer): Buffer {
    const copy = Buffer.from(good);
    for (let i = this.below(4); i > 0 && copy.length > 0; i--) {
      copy[this.below(copy.length)] = this.below(256);
    }
    if (this.below(4) === 0) return copy.subarray(0, this.below(copy.length + 1));
    if (this.below(8) === 0) return Buffer.concat([copy, copy]);
    return copy;
  }
}

/** Answers that a client must not choke on are not the point; neither are lost connections. */
const shrug = () => {};

type Poison = (dice: Dice) => Promise<void>;

const poisons: Readonly<Record<string, Poison>> = {
  "bytes on the port": async (dice) => {
    const raw = await rawConnect(world().server.port);
    if (dice.below(2) === 0) raw.socket.write("SSH-2.0-poison\r\n");
    for (let i = dice.below(5); i >= 0; i--) raw.socket.write(dice.bytes(5000));
    await raw.closedWithin(dice.below(10) === 0 ? 0.5 : 0.02);
  },
  "spoilt key exchanges": async (dice) => {
    const raw = await rawConnect(world().server.port);
    raw.socket.write("SSH-2.0-poison\r\n");
    const parts = [
      kexInit(),
      kexInit("ecdh-sha2-nistp256"),
      Buffer.concat([u8(30), str(dice.bytes(80))]),
      Buffer.concat([u8(30), str(Buffer.alloc(32, dice.below(256)))]),
      u8(21),
      dice.bytes(200),
    ];
    for (let i = dice.below(5); i >= 0; i--) {
      const whole = packet(dice.spoil(dice.pick(parts)));
      raw.socket.write(dice.below(3) === 0 ? dice.spoil(whole) : whole);
    }
    await raw.closedWithin(0.03);
  },
  "packets before the login": async (dice) => {
    await using connection = await dial({ port: world().server.port, user: "ann" }, {
      authHandler: shrug,
    });
    await Promise.race([
      new Promise((resolve) => connection.client.on("handshake", resolve)),
      connection.closed,
      pause(3000),
    ]);
    const known = [
      Buffer.concat([u8(5), str("ssh-userauth")]),
      Buffer.concat([u8(50), str("ann"), str("ssh-connection"), str("password"), u8(0), str("x")]),
      Buffer.concat([
        u8(50),
        str("ann"),
        str("ssh-connection"),
        str("publickey"),
        u8(1),
        str("ssh-ed25519"),
        str(dice.bytes(60)),
        str(dice.bytes(100)),
      ]),
      Buffer.concat([
        u8(50),
        str("ann"),
        str("ssh-connection"),
        str("keyboard-interactive"),
        str(""),
        str(""),
      ]),
      Buffer.concat([u8(61), u32(1), str("x")]),
      Buffer.concat([u8(7), u32(1), str("ext"), str("x")]),
      Buffer.concat([u8(dice.below(256)), dice.bytes(300)]),
    ];
    for (let i = dice.below(12); i >= 0; i--) {
      try {
        sendPacket(connection.client, dice.spoil(dice.pick(known)));
      } catch {
        return;
      }
    }
    await Promise.race([connection.closed, pause(30)]);
  },
  "packets after the login": async (dice) => {
    await using connection = await login(world().target("ann"));
    const known = [
      Buffer.concat([u8(90), str("session"), u32(dice.below(20)), u32(1 << 20), u32(1 << 15)]),
      Buffer.concat([u8(98), u32(dice.below(3)), str("exec"), u8(1), str(dice.bytes(50))]),
      Buffer.concat([u8(98), u32(dice.below(3)), str("subsystem"), u8(1), str("sftp")]),
      Buffer.concat([u8(94), u32(dice.below(3)), str(dice.bytes(300))]),
      Buffer.concat([u8(93), u32(dice.below(3)), u32(0xffffffff)]),
      Buffer.concat([u8(95), u32(dice.below(3)), u32(1), str(dice.bytes(100))]),
      Buffer.concat([u8(96), u32(dice.below(3))]),
      Buffer.concat([u8(97), u32(dice.below(3))]),
      Buffer.concat([u8(80), str("tcpip-forward"), u8(1), str(""), u32(0)]),
      Buffer.concat([u8(dice.below(256)), dice.bytes(300)]),
    ];
    for (let i = dice.below(20); i >= 0; i--) {
      try {
        sendPacket(connection.client, dice.spoil(dice.pick(known)));
      } catch {
        return;
      }
    }
    await Promise.race([connection.closed, pause(30)]);
  },
  "SFTP packets": async (dice) => {
    await using sftp = await RawSftp.open(world().target("ann"));
    const handle = await sftp.open("/victim", 1).catch(() => Buffer.alloc(4));
    const handles = [handle instanceof Uint8Array ? handle : Buffer.alloc(4), dice.bytes(20)];
    const paths = ["/victim", "/", "..", "/p", "", dice.bytes(30)];
    const types = [...Object.values(op), dice.below(256)];
    const fields = () =>
      dice.pick([
        str(dice.pick(paths)),
        str(dice.pick(handles)),
        u32(dice.pick([0, 1, 8, 26, 0xffffffff, dice.below(2 ** 31)])),
        u64(dice.pick([0n, 1n, 2n ** 63n, 2n ** 64n - 1n])),
        str(
          dice.pick([
            "copy-data",
            "check-file-name",
            "limits@openssh.com",
            "statvfs@openssh.com",
            "posix-rename@openssh.com",
            "expand-path@openssh.com",
            "users-groups-by-id@openssh.com",
          ]),
        ),
        dice.bytes(50),
      ]);
    for (let i = dice.below(60); i >= 0; i--) {
      const parts = Array.from({ length: dice.below(6) }, fields);
      const whole = Buffer.concat([u8(dice.pick(types)), u32(i), ...parts]);
      if (dice.below(30) === 0) sftp.bytes(dice.bytes(200));
      else sftp.packet(dice.below(3) === 0 ? dice.spoil(whole) : whole);
    }
    await Promise.race([sftp.ended, pause(60)]);
  },
  "scp and commands": async (dice) => {
    await using connection = await login(world().target("ann"));
    const words = [
      "scp",
      "-t",
      "-f",
      "-r",
      "-p",
      "-d",
      "--",
      "/p",
      "sha256sum",
      "md5sum",
      "cd",
      "pwd",
      "'",
      '"',
      "\\",
      "$(id)",
      dice.bytes(10).toString("latin1"),
    ];
    const command = Array.from({ length: 1 + dice.below(5) }, () => dice.pick(words)).join(" ");
    const lines = [
      Buffer.from("C0644 5 f\n"),
      Buffer.from("D0755 0 d\n"),
      Buffer.from("E\n"),
      Buffer.from("T1 0 1 0\n"),
      Buffer.from("hello\0"),
      Buffer.from("\0"),
      dice.bytes(100),
    ];
    const input = Array.from({ length: dice.below(6) }, () => dice.spoil(dice.pick(lines)));
    await exec(connection, command, input);
  },
};

for (const [name, poison] of Object.entries(poisons)) {
  Deno.test(`SECURITY 7.14: ${total / Object.keys(poisons).length} s of poison, ${name}: no exit, no escape, still serving`, async () => {
    const { server, target } = world();
    // The poison before may have renamed anything into its place.
    await Deno.remove(`${world().home("ann")}/victim`, { recursive: true }).catch(shrug);
    await noiseFile(`${world().home("ann")}/victim`, 10_000);
    const seconds = total / Object.keys(poisons).length;
    const end = performance.now() + seconds * 1000;
    // Every thread has compiled what it needs after a quarter of it; what grows then is a leak.
    const warm = end - seconds * 750;
    let rss: number | undefined;
    let doses = 0;
    let failed = 0;
    const drink = async (lane: number) => {
      const dice = new Dice(seed * 31 + lane);
      while (performance.now() < end) {
        if (rss === undefined && performance.now() > warm) rss = server.rss;
        // A connection that the server cut is what poison is for; a server that is gone shows below.
        await poison(dice).catch(() => failed++);
        doses++;
      }
    };
    await Promise.all([1, 2, 3, 4].map(drink));
    say(`SECURITY 7.14: ${name}: ${doses} doses (${failed} cut), seed ${seed}`);
    assert.ok(doses > 20, `${doses} doses`);
    assert.equal(server.escapedErrors, 0, server.stderr.slice(-3000));
    assert.doesNotMatch(server.stderr, /unhandled|Uncaught/i);
    const { code, stderr } = await ssh(target("ann"), ["pwd"]);
    assert.equal(code, 0, stderr);
    assert.ok(rss !== undefined, "no baseline");
    const grown = server.rss - rss;
    say(`SECURITY 7.14: ${name}: memory ${rss / 1e6} MB, then ${grown / 1e6} more`);
    assert.ok(grown < 250e6, `memory grew by ${grown / 1e6} MB`);
  });
}
