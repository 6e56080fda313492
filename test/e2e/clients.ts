import { type Ended, must, run, type RunOptions } from "./process.ts";

/** Where a client connects and as whom. */
export interface Target {
  readonly port: number;
  readonly user: string;
  /** File name of a private key. */
  readonly key?: string;
  readonly password?: string;
}

/** Makes a key pair with OpenSSH's own tool; answers the private key's file name. */
export const makeKey = async (
  dir: string,
  name: string,
  ...args: string[]
): Promise<string> => {
  const file = `${dir}/${name}`;
  const kind = args.length > 0 ? args : ["-t", "ed25519"];
  await must("ssh-keygen", ["-q", "-N", "", "-C", name, "-f", file, ...kind]);
  return file;
};

export const publicKey = async (file: string): Promise<string> =>
  (await Deno.readTextFile(`${file}.pub`)).trim();

/** Options that keep the machine's own configuration, keys and agents out. */
export const sshOptions = (target: Target): string[] => [
  "-F",
  "none",
  "-o",
  "StrictHostKeyChecking=no",
  "-o",
  "UserKnownHostsFile=/dev/null",
  "-o",
  "LogLevel=ERROR",
  "-o",
  "IdentitiesOnly=yes",
  "-o",
  "IdentityAgent=none",
  "-o",
  "ConnectTimeout=20",
  ...(target.key === undefined
    ? ["-o", "IdentityFile=none", "-o", "PubkeyAuthentication=no"]
    : ["-i", target.key]),
  ...(target.password === undefined ? ["-o", "BatchMode=yes"] : ["-o", "BatchMode=no"]),
];

const askpass = async (password: string) => {
  const file = await Deno.makeTempFile({ prefix: "sluice-askpass-" });
  await Deno.writeTextFile(file, `#!/bin/sh\nprintf '%s\\n' "$SLUICE_TEST_PASSWORD"\n`);
  await Deno.chmod(file, 0o700);
  return {
    env: { SSH_ASKPASS: file, SSH_ASKPASS_REQUIRE: "force", SLUICE_TEST_PASSWORD: password },
    [Symbol.asyncDispose]: () => Deno.remove(file),
  };
};

const withPassword = async (
  target: Target,
  options: RunOptions,
  body: (options: RunOptions) => Promise<Ended>,
): Promise<Ended> => {
  if (target.password === undefined) return await body(options);
  await using ask = await askpass(target.password);
  return await body({ ...options, env: { ...options.env, ...ask.env } });
};

/** Runs a batch of OpenSSH `sftp` commands, one a line; a line that starts with `-` may fail. */
export const sftp = (
  target: Target,
  batch: string,
  more: ReadonlyArray<string> = [],
  options: RunOptions = {},
): Promise<Ended> =>
  withPassword(target, options, (o) =>
    run("sftp", [
      ...more,
      ...sshOptions(target),
      ...["-P", String(target.port), "-b", "-", `${target.user}@127.0.0.1`],
    ], { timeout: 120, ...o, stdin: batch + "\n" }));

/** The same, and it must succeed; answers standard output. */
export const sftpMust = async (
  target: Target,
  batch: string,
  more: ReadonlyArray<string> = [],
  options: RunOptions = {},
): Promise<string> => {
  const { code, stdout, stderr } = await sftp(target, batch, more, options);
  if (code !== 0) throw new Error(`sftp: exit ${code}\n${batch}\n${stdout}\n${stderr}`);
  return stdout;
};

/** Runs OpenSSH `scp`. In `args` the text `REMOTE:` stands for the target. */
export const scp = (
  target: Target,
  args: ReadonlyArray<string>,
  options: RunOptions = {},
): Promise<Ended> =>
  withPassword(target, options, (o) =>
    run("scp", [
      ...sshOptions(target),
      ...["-P", String(target.port)],
      ...args.map((a) => a.replace(/^REMOTE:/, `${target.user}@127.0.0.1:`)),
    ], { timeout: 120, ...o }));

/** Runs OpenSSH `ssh`; `more` holds options, `command` what to run there. */
export const ssh = (
  target: Target,
  command: ReadonlyArray<string>,
  more: ReadonlyArray<string> = [],
  options: RunOptions = {},
): Promise<Ended> =>
  withPassword(target, options, (o) =>
    run("ssh", [
      ...more,
      ...sshOptions(target),
      ...["-p", String(target.port), `${target.user}@127.0.0.1`, ...command],
    ], { timeout: 30, ...o }));

/** Runs rclone; the text `REMOTE:` at the start of an argument stands for the target. */
export const rclone = (
  target: Target,
  args: ReadonlyArray<string>,
  options: RunOptions = {},
): Promise<Ended> =>
  run("rclone", [
    ...args.map((a) => a.replace(/^REMOTE:/, "t:")),
    ...["--retries", "1", "--low-level-retries", "1"],
  ], {
    timeout: 180,
    ...options,
    env: {
      ...options.env,
      RCLONE_CONFIG: "/dev/null",
      RCLONE_CONFIG_T_TYPE: "sftp",
      RCLONE_CONFIG_T_HOST: "127.0.0.1",
      RCLONE_CONFIG_T_PORT: String(target.port),
      RCLONE_CONFIG_T_USER: target.user,
      ...(target.key === undefined ? {} : { RCLONE_CONFIG_T_KEY_FILE: target.key }),
    },
  });

/** Runs lftp commands over `sftp://`. */
export const lftp = (
  target: Target,
  commands: string,
  options: RunOptions = {},
): Promise<Ended> => {
  const connect = ["ssh", "-a", "-x", ...sshOptions(target)].join(" ");
  const set = [
    `set sftp:connect-program "${connect}"`,
    "set net:max-retries 1",
    "set net:timeout 20",
    "set cmd:fail-exit yes",
    "set sftp:auto-confirm yes",
  ];
  return run("lftp", [
    "--norc",
    "-c",
    [
      ...set,
      `open -u ${target.user},x -p ${target.port} sftp://127.0.0.1`,
      commands,
    ].join("; "),
  ], { timeout: 120, ...options, env: { HOME: "/nonexistent", ...options.env } });
};

/** Runs PuTTY's sftp client with a password. `hostKey` is the SHA256 fingerprint to trust. */
export const psftp = (
  target: Target & { readonly password: string },
  hostKey: string,
  batch: string,
  options: RunOptions = {},
): Promise<Ended> =>
  run("psftp", [
    ...["-batch", "-P", String(target.port), "-l", target.user, "-pw", target.password],
    ...["-hostkey", hostKey, "-b", "/dev/stdin", "127.0.0.1"],
  ], { timeout: 60, ...options, stdin: batch + "\n" });

/**
 * Runs a Python script with paramiko. In it `client` is a connected SSHClient
 * and `sftp` its SFTP client.
 */
export const paramiko = (
  target: Target & { readonly key: string },
  script: string,
  options: RunOptions = {},
): Promise<Ended> => {
  const whole = `
import sys, os, io, stat, hashlib, paramiko
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect("127.0.0.1", ${target.port}, ${JSON.stringify(target.user)},
  key_filename=${JSON.stringify(target.key)}, look_for_keys=False, allow_agent=False, timeout=20)
sftp = client.open_sftp()
${script}
client.close()
`;
  return run("/usr/bin/python3", ["-"], { timeout: 60, ...options, stdin: whole });
};
