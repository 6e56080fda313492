import assert from "node:assert/strict";

const root = new URL("../../", import.meta.url).pathname;

const words = async (task: string): Promise<string[]> => {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${root}deno.json`));
  const [first, ...rest] = String(tasks[task]).split(/\s+/);
  assert.equal(first, "deno");
  return rest;
};

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `sluice ARGS` as a process of its own, with the rights of the task. */
export const sluice = async (
  args: ReadonlyArray<string>,
  options: { readonly stdin?: string; readonly env?: Record<string, string> } = {},
): Promise<Ran> => {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...await words("sluice"), ...args],
    cwd: root,
    env: { NO_COLOR: "1", ...options.env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(options.stdin ?? "")).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  return { code, out: text.decode(stdout), err: text.decode(stderr) };
};

/** A long-running command that says on stdout when it is ready. */
export class Running implements AsyncDisposable {
  private constructor(
    readonly child: Deno.ChildProcess,
    readonly ready: {
      readonly listeners: Record<string, string[]>;
      readonly username?: string;
      readonly password?: string;
    },
    readonly errors: Promise<string>,
  ) {}

  static async start(args: ReadonlyArray<string>, env: Record<string, string> = {}) {
    const child = new Deno.Command(Deno.execPath(), {
      args: [...await words("sluice"), ...args, "--json-ready"],
      cwd: root,
      env: { NO_COLOR: "1", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const errors = new Response(child.stderr).text();
    let out = "";
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    while (!out.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`did not start: ${await errors}`);
      out += value;
    }
    reader.releaseLock();
    return new Running(child, JSON.parse(out.split("\n")[0] ?? ""), errors);
  }

  port(name: string): number {
    return Number(this.ready.listeners[name]?.[0]?.split(":").at(-1));
  }

  async stop(signal: Deno.Signal = "SIGTERM"): Promise<{ code: number; err: string }> {
    this.child.kill(signal);
    const { code } = await this.child.status;
    return { code, err: await this.errors };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.child.kill("SIGKILL");
    } catch { /* it has ended */ }
    await this.child.status;
    await this.errors;
    await this.child.stdout.cancel().catch(() => {});
  }
}

/** A fresh folder, removed in the end. */
export const folder = async (): Promise<AsyncDisposable & { readonly path: string }> => {
  const path = await Deno.makeTempDir({ prefix: "sluice-cli-" });
  return {
    path,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }).catch(() => {}),
  };
};
