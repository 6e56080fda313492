/**
 * Runs every test in named groups and ends with one line, `N passed, N failed, N skipped`,
 * summed from the summaries that the runs themselves print.
 *
 * `--only NAME` (repeatable) runs one group, or the files whose path has NAME in it.
 */
import { setupTools } from "./setup_tools.ts";

/** What one `deno test` run counted. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

// deno test ends with `ok | 5 passed (2 steps) | 0 failed | 1 ignored (3ms)`
const summary =
  /^(?:ok|FAILED) \| (\d+) passed(?: \([^)]*\))? \| (\d+) failed(?: \([^)]*\))?(?: \| (\d+) ignored(?: \([^)]*\))?)?/gm;

/** Reads the summary of a run. A run that failed without counting one (a file that does not load) counts as one failure. */
export const readSummary = (output: string, code: number): Counts => {
  const last = [...output.matchAll(summary)].at(-1);
  const passed = Number(last?.[1] ?? 0);
  const failed = Number(last?.[2] ?? 0);
  const skipped = Number(last?.[3] ?? 0);
  return { passed, failed: code !== 0 && failed === 0 ? 1 : failed, skipped };
};

interface Group {
  readonly name: string;
  readonly files: ReadonlyArray<string>;
  /** Test files at once; more than one only where no test measures time or memory. */
  readonly jobs: number;
}

const out = (text: string | Uint8Array) => {
  let bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
};

async function* testFiles(dir: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(dir)) {
    const path = `${dir}/${entry.name}`;
    if (entry.isDirectory) yield* testFiles(path);
    else if (/_test\.tsx?$/.test(entry.name)) yield path;
  }
}

/** Of test/e2e, the files that measure time or memory. */
const measured =
  /^test\/e2e\/(ftp|ftp_faults|guard|http_api_security|limits|memory|start|supervision|webdav_faults)_test\.ts$/;
/** Of test/faults, those that can share the machine. */
const sharing = /^test\/faults\/(crash|disk_error|poison|poison_ports)_test\.ts$/;

const groupOf = (path: string): string =>
  measured.test(path)
    ? "measured"
    : sharing.test(path)
    ? "storms"
    : /^test\/(e2e|faults|fuzz)\//.exec(path)?.[1] ?? "unit";

/** In this order; those that take the whole machine or measure it run one file at a time. */
const groups: ReadonlyArray<{ readonly name: string; readonly alone: boolean }> = [
  { name: "unit", alone: false },
  { name: "e2e", alone: false },
  { name: "storms", alone: false },
  { name: "measured", alone: true },
  { name: "faults", alone: true },
  { name: "fuzz", alone: true },
];

const plan = async (only: ReadonlyArray<string>): Promise<ReadonlyArray<Group>> => {
  const files = (await Array.fromAsync(testFiles("test"))).sort();
  return groups.map(({ name, alone }) => ({
    name,
    files: files.filter((f) =>
      groupOf(f) === name &&
      (only.length === 0 || only.some((o) => o === name || (f.includes(o) && o !== "unit")))
    ),
    jobs: alone ? 1 : Math.max(2, navigator.hardwareConcurrency),
  })).filter((g) => g.files.length > 0);
};

/** A run that prints nothing for so long hangs: it is ended, and counts as failed, so that CI says so. */
const silence = 6 * 60_000;

const runGroup = async (group: Group): Promise<{ counts: Counts; notes: string[] }> => {
  out(`\n=== ${group.name}: ${group.files.length} files\n`);
  const began = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "test",
      "-A",
      "--no-prompt",
      ...(group.jobs > 1 ? ["--parallel"] : []),
      ...group.files,
    ],
    env: { NO_COLOR: "1", DENO_JOBS: String(group.jobs) },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const decoder = new TextDecoder();
  let text = "";
  let heard = performance.now();
  const watch = setInterval(() => {
    if (performance.now() - heard < silence) return;
    out(`\nno output for ${silence / 60_000} minutes: the last test named above hangs\n`);
    child.kill("SIGKILL");
  }, 5000);
  const pump = async (stream: ReadableStream<Uint8Array>, keep: boolean) => {
    for await (const chunk of stream) {
      heard = performance.now();
      out(chunk);
      if (keep) text += decoder.decode(chunk, { stream: true });
    }
  };
  const [{ code }] = await Promise.all([
    child.status,
    pump(child.stdout, true),
    pump(child.stderr, false),
  ]);
  clearInterval(watch);
  const counts = readSummary(text, code);
  const seconds = Math.round((performance.now() - began) / 1000);
  out(`=== ${group.name}: ${counts.passed} passed, ${counts.failed} failed, `);
  out(`${counts.skipped} skipped in ${seconds} s\n`);
  const notes = [...text.matchAll(/^SKIPPED .*$/gm)].map((m) => m[0]);
  if (counts.failed > 0) notes.push(`FAILED group ${group.name}: see its output above`);
  return { counts, notes };
};

const main = async (args: ReadonlyArray<string>): Promise<number> => {
  const only: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const value = args[i] === "--only" ? args[++i] : undefined;
    if (value === undefined) {
      out(`usage: run_tests.ts [--only NAME]...\n`);
      return 2;
    }
    only.push(value);
  }
  const missing = await setupTools((line) => out(line + "\n"));
  if (missing.length > 0) out(`not installed: ${missing.join(" ")}\n`);

  const results: { counts: Counts; notes: string[] }[] = [];
  for (const group of await plan(only)) results.push(await runGroup(group));
  const sum = (key: keyof Counts) => results.reduce((n, r) => n + r.counts[key], 0);
  const [passed, failed, skipped] = [sum("passed"), sum("failed"), sum("skipped")];
  out("\n" + results.flatMap((r) => r.notes).map((n) => n + "\n").join(""));
  out(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  return failed > 0 || passed === 0 ? 1 : 0;
};

if (import.meta.main) Deno.exit(await main(Deno.args));
