import { sftp, type Target } from "../../test/e2e/clients.ts";
import { noiseFile, sha256 } from "../../test/e2e/files.ts";
import { pause } from "../../test/e2e/process.ts";
import type { World } from "../../test/e2e/world.ts";
import { treeOf } from "../bench/process_tree.ts";
import type { Dice, Tally } from "./tally.ts";

/** One kind of load: a user of its own, and steps that are taken until the time is over. */
export interface Load {
  readonly world: World;
  readonly dice: Dice;
  readonly tally: Tally;
  /** Its folder on the client's side. */
  readonly dir: string;
  readonly target: Target & { readonly key: string };
  readonly home: string;
}

export const MiB = 1024 ** 2;
const ciphers = ["aes128-gcm@openssh.com", "aes128-ctr", "chacha20-poly1305@openssh.com"];

/** Client options drawn by lot: a cipher, and now and then a key exchange every few MiB. */
export const sshFlags = (dice: Dice): string[] => [
  ...["-o", `Ciphers=${dice.of(ciphers)}`],
  ...(dice.chance(0.3) ? ["-o", `RekeyLimit=${dice.int(1, 16)}M`] : []),
];

/** A fresh file of random length. */
export const source = async (load: Load, name: string, most: number): Promise<string> =>
  await noiseFile(`${load.dir}/${name}`, load.dice.size(most), load.dice.int(1, 1e6));

/** Notes a failure unless two files are equal. */
export const compare = async (load: Load, what: string, want: string, got: string) => {
  const hashes = await Promise.all([sha256(want), sha256(got).catch((e) => String(e))]);
  if (hashes[0] !== hashes[1]) {
    load.tally.failed(`${what}: ${got} differs from ${want}: ${hashes.join(" ")}`);
  }
};

/** Runs a batch that must succeed; answers whether it did. */
export const batch = async (load: Load, what: string, commands: string): Promise<boolean> => {
  const flags = sshFlags(load.dice);
  const { code, stderr } = await sftp(load.target, commands, flags, { timeout: 300 });
  if (code !== 0) {
    load.tally.failed(`${what} (${flags.join(" ")}): exit ${code}: ${stderr.slice(0, 500)}`);
  }
  return code === 0;
};

/** Starts a batch and kills the client somewhere on its way; answers whether it had ended before. */
export const killedBatch = async (load: Load, commands: string): Promise<boolean> => {
  const { target, dice } = load;
  const child = new Deno.Command("sftp", {
    args: [
      ...["-F", "none", "-q", "-b", "-", "-i", target.key, "-P", String(target.port)],
      ...["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"],
      ...["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", ...sshFlags(dice)],
      `${target.user}@127.0.0.1`,
    ],
    stdin: "piped",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(commands + "\n"));
  await input.close();
  let ended = false;
  child.status.then(() => ended = true);
  await pause(dice.int(20, 1500));
  const over = ended;
  // sftp alone, and its ssh says goodbye; both at once, and the connection is cut.
  const victims = dice.chance(0.5) ? treeOf(child.pid) : [child.pid];
  for (const pid of ended ? [] : victims) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch {
      // It has just ended by itself.
    }
  }
  await child.status;
  return over;
};
