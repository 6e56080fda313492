/**
 * Installs the clients that the end-to-end tests drive, on Debian as root.
 *
 * Only what is missing is installed. A failure is no error: a suite without
 * its tool says so and is counted as skipped.
 */

interface Tool {
  readonly debian: string;
  /** Succeeds when the tool is there. */
  readonly probe: ReadonlyArray<string>;
}

const tools: ReadonlyArray<Tool> = [
  { debian: "openssh-client", probe: ["sftp"] },
  { debian: "openssh-server", probe: ["/usr/sbin/sshd"] },
  { debian: "rclone", probe: ["rclone"] },
  { debian: "lftp", probe: ["lftp"] },
  { debian: "sshfs", probe: ["sshfs"] },
  { debian: "putty-tools", probe: ["psftp"] },
  { debian: "dropbear-bin", probe: ["dbclient"] },
  { debian: "python3-paramiko", probe: ["/usr/bin/python3", "-c", "import paramiko"] },
  { debian: "strace", probe: ["strace"] },
  { debian: "curl", probe: ["curl"] },
  { debian: "cadaver", probe: ["cadaver"] },
  { debian: "litmus", probe: ["litmus"] },
  { debian: "openssl", probe: ["openssl"] },
  { debian: "iproute2", probe: ["ss"] },
  { debian: "faketime", probe: ["faketime"] },
  { debian: "davfs2", probe: ["mount.davfs"] },
];

const succeeds = async (command: string, args: ReadonlyArray<string>, env = {}) => {
  try {
    const { code } = await new Deno.Command(command, {
      args: [...args],
      env,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
    return code === 0;
  } catch {
    return false;
  }
};

const present = ({ probe: [command = "", ...args] }: Tool) =>
  args.length > 0
    ? succeeds(command, args)
    : succeeds("sh", ["-c", 'command -v "$0" >/dev/null', command]);

/** Installs what is missing. Answers the packages that are still not there. */
export const setupTools = async (say: (line: string) => void): Promise<ReadonlyArray<string>> => {
  const missing = async () => {
    const found = await Promise.all(tools.map(present));
    return tools.filter((_, i) => !found[i]).map((t) => t.debian);
  };
  const wanted = await missing();
  if (wanted.length === 0) return [];
  if (Deno.uid() !== 0 || !(await succeeds("sh", ["-c", "command -v apt-get"]))) return wanted;
  say(`installing ${wanted.join(" ")}`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  await succeeds("apt-get", ["-qq", "update"], env);
  const install = ["-qq", "-y", "--no-install-recommends", "install"];
  // One at a time when the whole does not work: a package that the mirror lacks must not cost the rest.
  if (!(await succeeds("apt-get", [...install, ...wanted], env))) {
    for (const name of wanted) await succeeds("apt-get", [...install, name], env);
  }
  return await missing();
};

if (import.meta.main) {
  const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));
  const left = await setupTools(say);
  if (left.length > 0) say(`not installed: ${left.join(" ")}`);
}
