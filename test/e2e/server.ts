import assert from "node:assert/strict";
import { eventually, must, run } from "./process.ts";

const root = new URL("../../", import.meta.url).pathname;

export interface ServerOptions {
  /** An existing data folder; a fresh one is made, and removed in the end, otherwise. */
  readonly dataDir?: string;
  /** Written to `sluice.json` before the start. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Further flags of `serve`. */
  readonly args?: ReadonlyArray<string>;
  /** A command that runs the server: `prlimit --nofile=256`, `strace -f ...`. */
  readonly wrap?: ReadonlyArray<string>;
  /** Runs before the start with the data folder: adds users. */
  readonly before?: (dataDir: string) => Promise<void>;
  /** Lines of `escaped_error` that are part of what the test shows. Default none. */
  readonly mayEscape?: boolean;
}

/** One line of the server's log. */
export type LogLine = Readonly<Record<string, unknown>>;

const words = (command: string) =>
  [...command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map((m) => m[1] ?? m[2] ?? m[3] ?? "");

/** The words of a task of deno.json, with `deno` as this very program. */
export const taskWords = async (name: string): Promise<string[]> => {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${root}deno.json`));
  const task: string | { command: string } = tasks[name];
  const [first, ...rest] = words(typeof task === "string" ? task : task.command);
  assert.equal(first, "deno", `task ${name} starts with deno`);
  return [Deno.execPath(), ...rest];
};

/** Runs one `sluice` command against a data folder, with the rights that the task gives. */
export const sluice = async (dataDir: string, args: ReadonlyArray<string>, stdin?: string) => {
  const [command = "", ...task] = await taskWords("sluice");
  return await run(command, [...task, ...args, "--data-dir", dataDir], {
    cwd: root,
    ...(stdin === undefined ? {} : { stdin }),
  });
};

/** The same for a command that must succeed; answers its standard output. */
export const sluiceMust = async (
  dataDir: string,
  args: ReadonlyArray<string>,
  stdin?: string,
): Promise<string> => {
  const [command = "", ...task] = await taskWords("sluice");
  return await must(command, [...task, ...args, "--data-dir", dataDir], {
    cwd: root,
    ...(stdin === undefined ? {} : { stdin }),
  });
};

/** Adds one user as API-V2.md describes it: what is missing gets the default, `/` is allowed all. */
export const addUser = async (
  dataDir: string,
  user: Readonly<Record<string, unknown>> & { readonly username: string },
): Promise<void> => {
  const home = user["home_dir"] ?? `${dataDir}/users/${user.username}`;
  const whole = { permissions: { "/": ["*"] }, status: 1, home_dir: home, ...user };
  await sluiceMust(
    dataDir,
    ["user", "add", user.username, "--json-input", "-"],
    JSON.stringify(whole),
  );
};

/** Replaces one user by what {@linkcode addUser} would add; a password that is not given stays. */
export const updateUser: typeof addUser = async (dataDir, user) => {
  const home = user["home_dir"] ?? `${dataDir}/users/${user.username}`;
  const whole = { permissions: { "/": ["*"] }, status: 1, home_dir: home, ...user };
  await sluiceMust(
    dataDir,
    ["user", "update", user.username, "--json-input", "-"],
    JSON.stringify(whole),
  );
};

/** Adds several, two at a time: each is a process of its own. */
export const addUsers = async (
  dataDir: string,
  users: ReadonlyArray<Parameters<typeof addUser>[1]>,
): Promise<void> => {
  const left = [...users];
  const work = async () => {
    for (let user = left.shift(); user; user = left.shift()) await addUser(dataDir, user);
  };
  // The first alone: it makes the database.
  const first = left.shift();
  if (first) await addUser(dataDir, first);
  await Promise.all([work(), work()]);
};

/** A server process under test. Leaving the scope stops it and checks how it ended. */
export class Server implements AsyncDisposable {
  readonly host = "127.0.0.1";
  stderr = "";
  #ended = false;
  #done: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly dataDir: string,
    readonly child: Deno.ChildProcess,
    readonly options: ServerOptions,
  ) {}

  /** Where SFTP is listening. */
  port = 0;
  /** `http://...` of the users' web port, where `--http` asks for it. */
  http = "";
  /** `http://...` of WebDAV alone, where `--webdav` asks for it. */
  webdav = "";
  /** `http://...` of the telemetry, where `--telemetry` asks for it. */
  telemetry = "";

  static async start(options: ServerOptions = {}): Promise<Server> {
    const dataDir = options.dataDir ?? await Deno.makeTempDir({ prefix: "sluice-e2e-" });
    if (options.config) {
      await Deno.writeTextFile(`${dataDir}/sluice.json`, JSON.stringify(options.config));
    }
    await options.before?.(dataDir);
    const task = await taskWords("start");
    const sections = { "--telemetry": "telemetry", "--http": "httpd", "--ftp": "ftpd" };
    const quiet = Object.entries(sections).flatMap(([flag, section]) =>
      options.args?.includes(flag) || section in (options.config ?? {}) ? [] : [flag, "off"]
    );
    const flags = ["--json-ready", "--sftp", "127.0.0.1:0", ...quiet];
    const all = [
      ...(options.wrap ?? []),
      ...task,
      ...["--data-dir", dataDir, ...flags, ...(options.args ?? [])],
    ];
    const child = new Deno.Command(all[0] ?? "", {
      args: all.slice(1),
      cwd: root,
      // Tests log in wrongly from one address by the hundred; guard_test turns it on.
      env: { NO_COLOR: "1", SLUICE_COMMON__DEFENDER__ENABLED: "false", ...options.env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const server = new Server(dataDir, child, options);
    const decoder = new TextDecoder();
    const noise = (async () => {
      for await (const chunk of child.stderr) {
        server.stderr += decoder.decode(chunk, { stream: true });
      }
    })();
    let stdout = "";
    const lines = (async () => {
      const text = new TextDecoder();
      for await (const chunk of child.stdout) stdout += text.decode(chunk, { stream: true });
    })();
    server.#done = Promise.all([noise, lines]);
    let gone = false;
    child.status.then(() => gone = true);
    try {
      await eventually("the server says that it is ready", () => gone || stdout.includes("\n"), 30);
      const ready = JSON.parse(stdout.split("\n")[0] ?? "");
      assert.equal(ready.ready, true);
      server.port = Number(String(ready.listeners.sftp[0]).split(":").at(-1));
      server.http = `http://${ready.listeners.http?.[0] ?? ""}`;
      server.webdav = `http://${ready.listeners.webdav?.[0] ?? ""}`;
      server.telemetry = `http://${ready.listeners.telemetry?.[0] ?? ""}`;
      // It is ready with the first of them.
      const args = options.args ?? [];
      const workers = args.includes("--workers") ? Number(args[args.indexOf("--workers") + 1]) : 0;
      const serving = () => server.log.filter(({ event }) => event === "worker_serves").length;
      if (workers > 1) {
        await eventually("all workers serve", () => serving() >= workers, 30);
      }
      return server;
    } catch (error) {
      if (!gone) child.kill("SIGKILL");
      await child.status;
      await server.#done;
      throw new Error(`the server did not start: ${stdout}\n${server.stderr}`, { cause: error });
    }
  }

  get pid(): number {
    return this.child.pid;
  }

  /** The log so far, one object a line; lines that are no JSON are left out. */
  get log(): ReadonlyArray<LogLine> {
    return this.stderr.split("\n").flatMap((line) => {
      try {
        return line.startsWith("{") ? [JSON.parse(line) as LogLine] : [];
      } catch {
        return [];
      }
    });
  }

  get escapedErrors(): number {
    return this.stderr.split("\n").filter((line) => line.includes("escaped_error")).length;
  }

  /** Resident memory in bytes, as the kernel counts it now. */
  get rss(): number {
    const status = Deno.readTextFileSync(`/proc/${this.pid}/status`);
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
  }

  /** Open descriptors. */
  get descriptors(): number {
    return [...Deno.readDirSync(`/proc/${this.pid}/fd`)].length;
  }

  get alive(): boolean {
    return !this.#ended;
  }

  sluice(...args: string[]): ReturnType<typeof sluice> {
    return sluice(this.dataDir, args);
  }

  /** The events that match the filter flags, oldest first as the command prints them. */
  async events(...filters: string[]): Promise<ReadonlyArray<LogLine>> {
    const text = await sluiceMust(this.dataDir, ["events", "--json", ...filters]);
    const trimmed = text.trim();
    if (trimmed === "") return [];
    if (trimmed.startsWith("[")) return JSON.parse(trimmed);
    return trimmed.split("\n").map((line) => JSON.parse(line));
  }

  async user(name: string): Promise<LogLine> {
    return JSON.parse(await sluiceMust(this.dataDir, ["user", "show", name, "--json"]));
  }

  /** Ends the process at once, as a power cut would. The data folder stays. */
  async kill9(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.child.kill("SIGKILL");
    await this.child.status;
    await this.#done;
  }

  /** Asks the server to stop, and checks that it ended well and that nothing escaped. */
  async stop(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    try {
      this.child.kill("SIGTERM");
    } catch {
      // It has ended already; how is checked below.
    }
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 45_000);
    const status = await this.child.status;
    clearTimeout(timer);
    await this.#done;
    const tail = this.stderr.slice(-4000);
    if (!this.options.mayEscape) assert.equal(this.escapedErrors, 0, `errors escaped: ${tail}`);
    assert.equal(status.code, 0, `exit code at SIGTERM: ${tail}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.stop();
    } finally {
      if (this.options.dataDir === undefined) await Deno.remove(this.dataDir, { recursive: true });
    }
  }
}
