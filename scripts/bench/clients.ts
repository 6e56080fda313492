import type { Served } from "./servers.ts";

export const ciphers = {
  gcm: "aes128-gcm@openssh.com",
  ctr: "aes128-ctr",
  chacha: "chacha20-poly1305@openssh.com",
} as const;

const options = (server: Served, cipher?: string) => [
  ...["-F", "none", "-q", "-i", server.key, "-P", String(server.port)],
  ...["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"],
  ...["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "LogLevel=ERROR"],
  ...(cipher === undefined ? [] : ["-o", `Ciphers=${cipher}`]),
];

const finish = async (what: string, child: Deno.ChildProcess): Promise<void> => {
  const { code, stderr } = await child.output();
  if (code !== 0) throw new Error(`${what}: exit ${code}\n${new TextDecoder().decode(stderr)}`);
};

/** Runs one batch with OpenSSH's sftp; fails unless every command did what it should. */
export const sftp = async (server: Served, batch: string, cipher?: string): Promise<void> => {
  const child = new Deno.Command("sftp", {
    args: [...options(server, cipher), "-b", "-", `${server.user}@127.0.0.1`],
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const input = child.stdin.getWriter();
  try {
    await input.write(new TextEncoder().encode(batch + "\n"));
    await input.close();
  } catch {
    // It ended before it read all; its exit code says why.
  }
  await finish(`${server.name}: ${batch}`, child);
};

/** Runs OpenSSH's scp with the protocol of old. `REMOTE:` stands for the server's home. */
export const scp = async (
  server: Served,
  args: ReadonlyArray<string>,
  cipher?: string,
): Promise<void> => {
  const remote = `${server.user}@127.0.0.1:${server.prefix}`;
  const child = new Deno.Command("scp", {
    args: ["-O", ...options(server, cipher), ...args.map((a) => a.replace(/^REMOTE:/, remote))],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  await finish(`${server.name}: scp ${args.join(" ")}`, child);
};

/** Whether the server and the client have a cipher in common. */
export const speaks = (server: Served, cipher: string): Promise<boolean> =>
  sftp(server, "pwd", cipher).then(() => true, () => false);
