import { connect } from "node:net";

/** A server that the benchmark drives, whoever wrote it. */
export interface Served extends AsyncDisposable {
  readonly name: string;
  readonly port: number;
  readonly user: string;
  /** Private key file to log in with. */
  readonly key: string;
  /** The folder on disk that the client sees as its start directory. */
  readonly home: string;
  /** What a client puts before a file name to reach `home`. */
  readonly prefix: string;
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

const exec = async (command: string, ...args: string[]) => {
  const { code, stdout, stderr } = await new Deno.Command(command, { args, stdin: "null" })
    .output();
  if (code !== 0) throw new Error(`${command}: exit ${code}\n${text(stderr)}`);
  return text(stdout);
};

const freePort = () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
};

const accepts = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => (socket.destroy(), resolve(true)));
    socket.once("error", () => resolve(false));
  });

const untilAccepts = async (port: number) => {
  for (let i = 0; i < 200; i++) {
    if (await accepts(port)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing listens on ${port}`);
};

const background = (command: string, args: string[], env: Record<string, string> = {}) => {
  const child = new Deno.Command(command, {
    args,
    env,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  return async () => {
    child.kill("SIGTERM");
    await child.status;
  };
};

/** Makes the key that every server is told to accept. */
export const makeClientKey = async (dir: string): Promise<string> => {
  await exec("ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", `${dir}/client`);
  return `${dir}/client`;
};

/** OpenSSH's sshd with its in-process SFTP server, run as the present user. */
export const openssh = async (dir: string, key: string): Promise<Served> => {
  const home = `${dir}/openssh`;
  await Deno.mkdir(home, { recursive: true });
  await exec("ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", `${dir}/sshd_host`);
  await Deno.copyFile(`${key}.pub`, `${dir}/authorized`);
  await Deno.chmod(`${dir}/authorized`, 0o600);
  const port = freePort();
  const config = [
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${dir}/sshd_host`,
    `AuthorizedKeysFile ${dir}/authorized`,
    `PidFile none`,
    "StrictModes no",
    "UsePAM no",
    "PermitRootLogin yes",
    "PasswordAuthentication no",
    "Subsystem sftp internal-sftp",
  ];
  await Deno.writeTextFile(`${dir}/sshd_config`, config.join("\n") + "\n");
  // Only root needs it; sshd refuses to start without.
  if (Deno.uid() === 0) await Deno.mkdir("/run/sshd", { recursive: true });
  const stop = background("/usr/sbin/sshd", ["-D", "-f", `${dir}/sshd_config`]);
  await untilAccepts(port);
  const user = (await exec("id", "-un")).trim();
  const prefix = `${home}/`;
  return { name: "OpenSSH", port, user, key, home, prefix, [Symbol.asyncDispose]: stop };
};

/** `rclone serve sftp` on a local folder. */
export const rclone = async (dir: string, key: string): Promise<Served> => {
  const home = `${dir}/rclone`;
  await Deno.mkdir(home, { recursive: true });
  const port = freePort();
  const stop = background("rclone", [
    ...["serve", "sftp", home, "--addr", `127.0.0.1:${port}`],
    ...["--user", "bench", "--authorized-keys", `${key}.pub`, "--vfs-cache-mode", "off"],
  ], { RCLONE_CONFIG: "/dev/null", HOME: dir, XDG_CACHE_HOME: dir });
  await untilAccepts(port);
  return {
    name: "rclone",
    port,
    user: "bench",
    key,
    home,
    prefix: "",
    [Symbol.asyncDispose]: stop,
  };
};

/** This server, started by the `start` task of deno.json. */
export const sluice = async (dir: string, key: string): Promise<Served> => {
  const root = new URL("../../", import.meta.url).pathname;
  const { tasks } = JSON.parse(await Deno.readTextFile(`${root}deno.json`));
  const command = (name: string) => {
    const task = tasks[name];
    return String(typeof task === "string" ? task : task.command).split(/\s+/).slice(1);
  };
  const data = `${dir}/sluice`;
  await Deno.mkdir(data, { recursive: true });
  const add = new Deno.Command(Deno.execPath(), {
    args: [
      ...command("sluice"),
      ...["user", "add", "bench", "--public-key", `${key}.pub`, "--data-dir", data],
    ],
    cwd: root,
    stdin: "null",
  });
  const added = await add.output();
  if (added.code !== 0) throw new Error(`user add: ${text(added.stderr)}`);
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...command("start"),
      ...["--data-dir", data, "--json-ready", "--sftp", "127.0.0.1:0", "--telemetry", "off"],
    ],
    cwd: root,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let line = "";
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  while (!line.includes("\n")) {
    const { done, value } = await reader.read();
    if (done) throw new Error("sluice did not start");
    line += value;
  }
  const port = Number(String(JSON.parse(line).listeners.sftp[0]).split(":").at(-1));
  const stop = async () => {
    child.kill("SIGTERM");
    await reader.cancel();
    await child.status;
  };
  const home = `${data}/users/bench`;
  return {
    name: "Sluice",
    port,
    user: "bench",
    key,
    home,
    prefix: "",
    [Symbol.asyncDispose]: stop,
  };
};
