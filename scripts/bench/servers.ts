import { connect } from "node:net";

/** Where one protocol reaches the home, for curl. */
export interface Place {
  /** What file names are put behind. */
  readonly url: string;
  /** What logs in, and other words of curl. */
  readonly args: ReadonlyArray<string>;
  /** Where a file is fetched, and where it is sent by POST, when that is not the URL and its name. */
  readonly download?: (name: string) => string;
  readonly upload?: (name: string) => string;
}

/** A server that the benchmark drives, whoever wrote it. */
export interface Served extends AsyncDisposable {
  readonly name: string;
  readonly port: number;
  /** The process that all of its work descends from. */
  readonly pid: number;
  readonly user: string;
  /** Private key file to log in with. */
  readonly key: string;
  /** The folder on disk that the client sees as its start directory. */
  readonly home: string;
  /** What a client puts before a file name to reach `home`. */
  readonly prefix: string;
  /** Whether it runs `scp -t` and `scp -f`. */
  readonly scp: boolean;
  /** What it serves beside SSH. */
  readonly places?: {
    readonly ftp?: Place;
    readonly ftps?: Place;
    readonly webdav?: Place;
    readonly http?: Place;
  };
  /** Where it keeps accounts of its own: fills another data folder with `users` of them. */
  readonly fill?: (dir: string, users: number) => Promise<void>;
  /** Starts another on that folder, and ends it: seconds until it said that it is ready. */
  readonly startOn?: (dir: string) => Promise<number>;
}

/** How to start one server, again and again. */
export interface Maker {
  readonly name: string;
  readonly version: string;
  /** Which tasks it takes part in; all when absent. */
  readonly serves?: "ssh" | "web";
  /** Serves `dir`/NAME to whoever holds `key`. */
  readonly start: (dir: string, key: string) => Promise<Served>;
}

export interface SluiceOptions {
  readonly name: string;
  /** A checkout of this repository. */
  readonly root: string;
  readonly workers?: number;
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();

/** Runs a program that must succeed, and answers what it printed on both streams. */
export const exec = async (command: string, ...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await new Deno.Command(command, { args, stdin: "null" })
    .output();
  if (code !== 0) throw new Error(`${command} ${args.join(" ")}: exit ${code}\n${text(stderr)}`);
  return `${text(stdout)}\n${text(stderr)}`.trim();
};

export const versionOf = (command: string, ...args: string[]): Promise<string | undefined> =>
  exec(command, ...args).then((all) => all.split("\n")[0], () => undefined);

export const freePort = () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
};

const accepts = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => (socket.destroy(), resolve(true)));
    socket.once("error", () => resolve(false));
  });

/** Starts a program and waits until it listens. */
export const background = async (
  command: string,
  args: ReadonlyArray<string>,
  port: number,
  options: { readonly env?: Record<string, string>; readonly cwd?: string } = {},
) => {
  const child = new Deno.Command(command, {
    args: [...args],
    ...options,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  let gone = false;
  child.status.then(() => gone = true);
  for (let i = 0; !(await accepts(port)); i++) {
    if (gone || i > 200) throw new Error(`${command} does not listen on ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const stop = async () => {
    if (!gone) child.kill("SIGTERM");
    await child.status;
  };
  return { pid: child.pid, port, [Symbol.asyncDispose]: stop };
};

/** Makes the key that every server is told to accept. */
export const makeClientKey = async (dir: string): Promise<string> => {
  await exec("ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", `${dir}/client`);
  return `${dir}/client`;
};

/** OpenSSH's sshd with its in-process SFTP server, run as the present user; undefined when there is none. */
export const openssh = async (): Promise<Maker | undefined> => {
  const program = "/usr/sbin/sshd";
  const there = await Deno.stat(program).then(() => true, () => false);
  if (!there) return undefined;
  const version = (await versionOf("ssh", "-V"))?.split(",")[0] ?? "unknown";
  const start = async (dir: string, key: string): Promise<Served> => {
    const home = `${dir}/openssh`;
    await Deno.mkdir(home, { recursive: true });
    if (!(await Deno.stat(`${dir}/sshd_host`).catch(() => undefined))) {
      await exec("ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", `${dir}/sshd_host`);
      await Deno.copyFile(`${key}.pub`, `${dir}/authorized`);
      await Deno.chmod(`${dir}/authorized`, 0o600);
    }
    const port = freePort();
    const config = [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${dir}/sshd_host`,
      `AuthorizedKeysFile ${dir}/authorized`,
      "PidFile none",
      "StrictModes no",
      "UsePAM no",
      "PermitRootLogin yes",
      "PasswordAuthentication no",
      "MaxStartups 2000",
      // 9.8 and later slow down an address that comes often.
      ...(/OpenSSH_(9\.[89]|[1-9]\d)/.test(version) ? ["PerSourcePenalties no"] : []),
      "Subsystem sftp internal-sftp",
    ];
    await Deno.writeTextFile(`${dir}/sshd_config`, config.join("\n") + "\n");
    // Only root needs it; sshd refuses to start without.
    if (Deno.uid() === 0) await Deno.mkdir("/run/sshd", { recursive: true });
    const running = await background(program, ["-D", "-f", `${dir}/sshd_config`], port);
    const user = await exec("id", "-un");
    return { ...running, name: "OpenSSH", user, key, home, prefix: `${home}/`, scp: true };
  };
  return { name: "OpenSSH", version, serves: "ssh", start };
};

/** `rclone serve sftp` on a local folder; undefined when there is none. */
export const rclone = async (): Promise<Maker | undefined> => {
  const version = await versionOf("rclone", "version");
  if (version === undefined) return undefined;
  const start = async (dir: string, key: string): Promise<Served> => {
    const home = `${dir}/rclone`;
    await Deno.mkdir(home, { recursive: true });
    const port = freePort();
    const args = [
      ...["serve", "sftp", home, "--addr", `127.0.0.1:${port}`],
      ...["--user", "bench", "--authorized-keys", `${key}.pub`, "--vfs-cache-mode", "off"],
    ];
    const env = { RCLONE_CONFIG: "/dev/null", HOME: dir, XDG_CACHE_HOME: dir };
    const running = await background("rclone", args, port, { env });
    return { ...running, name: "rclone", user: "bench", key, home, prefix: "", scp: false };
  };
  return { name: "rclone", version, serves: "ssh", start };
};

/** SFTPGo in portable mode, when SFTPGO_BIN names its program. */
export const sftpgo = async (): Promise<Maker | undefined> => {
  const program = Deno.env.get("SFTPGO_BIN");
  if (!program) return undefined;
  const version = await versionOf(program, "--version");
  if (version === undefined) throw new Error(`SFTPGO_BIN=${program} does not run`);
  const start = async (dir: string, key: string): Promise<Served> => {
    const home = `${dir}/sftpgo`;
    await Deno.mkdir(`${dir}/sftpgo-work`, { recursive: true });
    await Deno.mkdir(home, { recursive: true });
    const port = freePort();
    const args = [
      ...["portable", "--directory", home, "--sftpd-port", String(port)],
      ...["--username", "bench", "--public-key", await Deno.readTextFile(`${key}.pub`)],
      ...["--permissions", "*", "--ssh-commands", "scp"],
    ];
    const env = {
      SFTPGO_COMMON__MAX_PER_HOST_CONNECTIONS: "0",
      SFTPGO_COMMON__DEFENDER__ENABLED: "false",
    };
    // It makes its host keys in the folder it is started in.
    const running = await background(program, args.map((a) => a.trim()), port, {
      env,
      cwd: `${dir}/sftpgo-work`,
    });
    return { ...running, name: "SFTPGo", user: "bench", key, home, prefix: "", scp: true };
  };
  return { name: "SFTPGo", version, serves: "ssh", start };
};
