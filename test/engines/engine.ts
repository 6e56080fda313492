/**
 * Runs one of the packages that the owner named for FTP and WebDAV in a process of its own.
 *
 * The packages are no part of the product: they stand in no `imports`, only in the lock file
 * of this folder, and are fetched into Deno's cache when these tests run.
 */
import assert from "node:assert/strict";
import { eventually, run } from "../e2e/process.ts";
import { testIf } from "../e2e/tools.ts";

const folder = new URL("./", import.meta.url).pathname;
const flags = ["run", "-A", "--no-config", "--node-modules-dir=none", "--no-check"];
const locked = [...flags, "--frozen", `--lock=${folder}deno.lock`];

/** One line that a subject printed: `{ event: "final", name: "f", bytes: 3 }`. */
export type Event = { readonly event: string } & Readonly<Record<string, unknown>>;

/** A running subject. */
export interface Subject extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  readonly events: ReadonlyArray<Event>;
  /** Waits for an event with that name. */
  readonly saw: (event: string) => Promise<Event>;
  /** Waits until the process ends by itself, and answers its code and what it wrote to stderr. */
  readonly ended: () => Promise<{ readonly code: number; readonly stderr: string }>;
  readonly alive: () => boolean;
}

/** A `Deno.test` that is skipped by name where the package cannot be fetched. */
export const testsOf = async (specifier: string, program: string) => {
  const { code, stderr } = await run(Deno.execPath(), [...locked, folder + program, "probe"], {
    env: { NO_COLOR: "1" },
    timeout: 120,
  });
  const reason = `${specifier} cannot be loaded: ${
    /^error: .*/m.exec(stderr)?.[0] ?? stderr.trim()
  }`;
  return (name: string, body: () => Promise<void>, there = true) =>
    code === 0
      ? testIf(there, "a client that it needs is not installed", name, () => body())
      : testIf(false, reason, name, () => body());
};

/** Starts `program` of this folder with `options`, and waits until it listens. */
export const start = async (
  program: string,
  options: Readonly<Record<string, unknown>> = {},
): Promise<Subject> => {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...locked, folder + program, JSON.stringify(options)],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let over = false;
  const status = child.status.finally(() => over = true);
  const stderr = new Response(child.stderr).text();
  const events: Event[] = [];
  const reading = (async () => {
    let rest = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      // The packages print lines of their own.
      for (const line of lines) if (line.startsWith("{")) events.push(JSON.parse(line));
    }
  })();
  const saw = async (name: string): Promise<Event> => {
    const find = () => events.find((e) => e.event === name);
    await eventually(`event ${name}`, () => over || find() !== undefined);
    const event = find();
    assert.ok(event, `no event ${name}: ${over ? await stderr : ""}`);
    return event;
  };
  const { port } = await saw("listening");
  return {
    port: Number(port),
    pid: child.pid,
    events,
    saw,
    alive: () => !over,
    ended: async () => {
      await eventually("the end of the process", () => over);
      return { code: (await status).code, stderr: await stderr };
    },
    [Symbol.asyncDispose]: async () => {
      if (!over) child.kill("SIGKILL");
      await Promise.all([status, stderr, reading]);
    },
  };
};
