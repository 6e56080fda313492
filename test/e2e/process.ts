/** What a program that ran to its end left behind. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly stdin?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Seconds until the program is killed; its code is then not 0. */
  readonly timeout?: number;
}

/** Runs a program and waits for its end. A failing program is no exception: read `code`. */
export const run = async (
  command: string,
  args: ReadonlyArray<string>,
  options: RunOptions = {},
): Promise<Ended> => {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), (options.timeout ?? 60) * 1000);
  try {
    const child = new Deno.Command(command, {
      args: [...args],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { LC_ALL: "C.UTF-8", ...options.env },
      stdin: options.stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      signal: timeout.signal,
    }).spawn();
    const fed = options.stdin === undefined ? undefined : feed(child, options.stdin);
    const [{ code, stdout, stderr }] = await Promise.all([child.output(), fed]);
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: text(stdout), stderr: text(stderr) };
  } finally {
    clearTimeout(timer);
  }
};

const feed = async (child: Deno.ChildProcess, input: string | Uint8Array) => {
  const writer = child.stdin.getWriter();
  try {
    await writer.write(typeof input === "string" ? new TextEncoder().encode(input) : input);
    await writer.close();
  } catch {
    // The program ended without reading everything; its exit code tells why.
  }
};

/** Runs a program that must succeed, and answers its standard output. */
export const must = async (
  command: string,
  args: ReadonlyArray<string>,
  options: RunOptions = {},
): Promise<string> => {
  const ended = await run(command, args, options);
  if (ended.code !== 0) {
    throw new Error(
      `${command} ${args.join(" ")}: exit ${ended.code}\n${ended.stdout}\n${ended.stderr}`,
    );
  }
  return ended.stdout;
};

/** Waits until `condition` answers true, looking every 20 ms. Fails after `seconds`. */
export const eventually = async (
  what: string,
  condition: () => boolean | Promise<boolean>,
  seconds = 10,
): Promise<void> => {
  const end = performance.now() + seconds * 1000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`did not happen within ${seconds} s: ${what}`);
    await pause(20);
  }
};

export const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

/** `late` when a promise takes longer; the wait is over then. */
export const within = <A>(seconds: number, promise: Promise<A>): Promise<A | "late"> => {
  const { promise: late, resolve } = Promise.withResolvers<"late">();
  const timer = setTimeout(() => resolve("late"), seconds * 1000);
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};
