const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));

const succeeds = async (command: string, args: ReadonlyArray<string>): Promise<boolean> => {
  try {
    const { code } = await new Deno.Command(command, {
      args: [...args],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
    return code === 0;
  } catch {
    return false;
  }
};

/** Whether a program is on the PATH, or at the path given. */
export const installed = (tool: string): Promise<boolean> =>
  succeeds("sh", ["-c", 'command -v "$0" >/dev/null', tool]);

/**
 * Registers `suite` as a test when `there` holds; else as a skipped one, and
 * says why on a line of its own.
 */
export const testIf = (
  there: boolean,
  reason: string,
  suite: string,
  body: (t: Deno.TestContext) => Promise<void>,
): void => {
  if (!there) say(`SKIPPED ${suite}: ${reason}`);
  Deno.test({ name: suite, ignore: !there, fn: body });
};

/** Makes a `Deno.test` that needs `tool`, and is skipped by name where it is missing. */
export const needs = async (
  tool: string,
): Promise<(suite: string, body: (t: Deno.TestContext) => Promise<void>) => void> => {
  const there = tool === "paramiko"
    ? await succeeds("/usr/bin/python3", ["-c", "import paramiko"])
    : await installed(tool);
  return (suite, body) => testIf(there, `${tool} is not installed`, suite, body);
};

/** Whether this process may mount: root with the capability, which a plain container lacks. */
export const canMount = async (): Promise<boolean> => {
  if (Deno.uid() !== 0) return false;
  const dir = await Deno.makeTempDir({ prefix: "sluice-mount-" });
  try {
    if (!(await succeeds("mount", ["-t", "tmpfs", "-o", "size=64k", "none", dir]))) return false;
    return await succeeds("umount", [dir]);
  } finally {
    await Deno.remove(dir);
  }
};

/** Whether one process may trace another. */
export const canTrace = async (): Promise<boolean> =>
  await installed("strace") && await succeeds("strace", ["-f", "-o", "/dev/null", "true"]);

const fakers = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map((machine) =>
  `/usr/lib/${machine}/faketime/libfaketime.so.1`
);

/** The library that gives a program another clock on the wall; undefined where it is not installed. */
export const fakeTime = async (): Promise<string | undefined> => {
  for (const path of fakers) if (await succeeds("test", ["-e", path])) return path;
  return undefined;
};
