/** Keeps a server under mixed load and tells whether it stays well: see `--help`. */
import { makeKey } from "../../test/e2e/clients.ts";
import { eventually, pause } from "../../test/e2e/process.ts";
import { usageAgrees } from "../../test/e2e/quota_usage.ts";
import { makeWorld, type World } from "../../test/e2e/world.ts";
import {
  descriptorTolerance,
  flatness,
  look,
  rssTolerance,
  type Sample,
  sessionsOf,
  type Tolerance,
} from "./health.ts";
import { loads } from "./loads.ts";
import { Dice, Tally } from "./tally.ts";

const usage = `usage: deno task soak [--minutes N] [--workers N] [--seed N] [--only LOAD,...]

Starts a server, keeps it under mixed load (${Object.keys(loads).join(", ")})
and ends with PASS or FAIL: every hash equal, nothing failed that should not, no error
escaped, memory and descriptors flat, quotas as they are on the disk, nothing left over.

  --minutes N   how long; default 30
  --workers N   start the server with --workers N
  --seed N      what the load draws its numbers from; printed at the start
`;

const say = (line: string) => {
  let bytes = new TextEncoder().encode(line + "\n");
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
};

interface Options {
  readonly minutes: number;
  readonly workers: number | undefined;
  readonly seed: number;
  readonly only: ReadonlyArray<string>;
}

const readOptions = (args: ReadonlyArray<string>): Options => {
  const found = new Map<string, string>();
  for (let i = 0; i < args.length; i += 2) {
    const [flag = "", value] = [args[i], args[i + 1]];
    const known = ["--minutes", "--workers", "--seed", "--only"].includes(flag);
    if (!known || value === undefined) throw new Error(`${flag}: unknown, or without a value`);
    found.set(flag, value);
  }
  const number = (flag: string, other: number) => {
    const n = Number(found.get(flag) ?? other);
    if (!(n > 0)) throw new Error(`${flag} takes a number above 0`);
    return n;
  };
  const only = found.get("--only")?.split(",") ?? Object.keys(loads);
  const unknown = only.find((name) => !(name in loads));
  if (unknown !== undefined) throw new Error(`no such load: ${unknown}`);
  return {
    minutes: number("--minutes", 30),
    workers: found.has("--workers") ? number("--workers", 1) : undefined,
    seed: number("--seed", 1 + Math.floor(Math.random() * 1e6)),
    only,
  };
};

const start = (options: Options): Promise<World> =>
  makeWorld(
    // A quota far away, so that the server counts.
    options.only.map((username) => ({ username, quota_size: 1e12, quota_files: 1e9 })),
    {
      config: {
        common: { max_per_host_connections: 0 },
        // The server asks for new keys as well as the clients.
        sftpd: { rekey_bytes: 24 * 1024 ** 2, max_startups: 200 },
      },
      args: options.workers === undefined ? [] : ["--workers", String(options.workers)],
    },
  );

/** Runs every load until the time is over; a step that throws is a failure, and the next follows. */
const run = async (world: World, options: Options, tally: Tally, over: () => boolean) => {
  await Promise.all(options.only.map(async (name, i) => {
    const dir = `${world.dir}/${name}`;
    await Deno.mkdir(dir);
    if (name === "refused") await makeKey(dir, "other");
    const dice = new Dice(options.seed * 100 + i);
    const load = { world, dice, tally, dir, target: world.target(name), home: world.home(name) };
    while (!over()) {
      await loads[name]?.(load).catch((error) => {
        tally.failed(`${name}: ${error instanceof Error ? error.stack : error}`);
      });
      await pause(dice.int(10, 300));
    }
  }));
};

const mib = (bytes: number) => (bytes / 1024 ** 2).toFixed(0);

const showSample = (s: Sample) =>
  `${s.seconds.toFixed(0).padStart(6)} s: RSS ${mib(s.rss)} MiB, ${s.descriptors} descriptors, ` +
  `${s.sessions} sessions, ${s.staged} staged`;

const judgeFlat = (
  name: string,
  values: ReadonlyArray<number>,
  tolerance: Tolerance,
  show: (n: number) => string,
): string | undefined => {
  const { second, last, flat } = flatness(values, tolerance);
  const allowed = `${tolerance.share * 100} % + ${show(tolerance.amount)}`;
  const text = `${name}: median ${show(second)} in the second third, ${show(last)} in the last`;
  say(`${text} (allowed: + ${allowed})`);
  return flat ? undefined : `${text}: not flat`;
};

/** What remains when the load is over and all clients are gone. */
const judgeEnd = async (world: World, before: Sample, options: Options): Promise<string[]> => {
  const bad: string[] = [];
  const began = performance.now();
  const quiet = async () => {
    const now = await look(world, began);
    return now.sessions === 0 && now.staged === 0 &&
      now.descriptors <= before.descriptors + descriptorTolerance.amount;
  };
  await eventually("all is quiet", quiet, 60).catch(() => {});
  const end = await look(world, began);
  say(`when all clients had left: ${showSample(end)}; before: ${before.descriptors} descriptors`);
  for (const session of await sessionsOf(world.server.dataDir)) {
    bad.push(`a session was left: ${JSON.stringify(session)}`);
  }
  if (end.staged > 0) bad.push(`${end.staged} staged files were left`);
  if (end.descriptors > before.descriptors + descriptorTolerance.amount) {
    bad.push(`${end.descriptors - before.descriptors} descriptors were left`);
  }
  for (const user of options.only) {
    await usageAgrees(world.server, user).catch((e) => bad.push(String(e.message ?? e)));
  }
  const escaped = world.server.stderr.split("\n").filter((l) => l.includes("escaped_error"));
  if (escaped.length > 0) bad.push(`${escaped.length} errors escaped; the first: ${escaped[0]}`);
  return bad;
};

const main = async (options: Options): Promise<number> => {
  say(
    `soak: ${options.minutes} minutes, seed ${options.seed}, workers: ${
      options.workers ?? "as configured"
    }`,
  );
  const tally = new Tally();
  const samples: Sample[] = [];
  const bad: string[] = [];
  const world = await start(options);
  try {
    const began = performance.now();
    const before = await look(world, began);
    const over = () => performance.now() - began > options.minutes * 60_000;
    // Every 10 s, but often enough for a short run to be judged.
    const step = Math.min(10_000, options.minutes * 60_000 / 18);
    let done = false;
    const watching = (async () => {
      for (let at = step; !done; at += step) {
        while (!done && performance.now() - began < at) await pause(100);
        const sample = await look(world, began).catch((e) => tally.failed(`no sample: ${e}`));
        if (sample && !over()) {
          samples.push(sample);
          say(`${showSample(sample)}, ${mib(tally.bytes)} MiB moved`);
        }
      }
    })();
    await run(world, options, tally, over);
    done = true;
    await watching;
    for (const [what, times] of [...tally.counts].sort()) say(`${what}: ${times}`);
    say(`${mib(tally.bytes)} MiB moved`);
    bad.push(...await judgeEnd(world, before, options));
    const rss = judgeFlat("RSS", samples.map((s) => s.rss), rssTolerance, (n) => `${mib(n)} MiB`);
    const open = judgeFlat(
      "descriptors",
      samples.map((s) => s.descriptors),
      descriptorTolerance,
      String,
    );
    bad.push(...[rss, open].filter((b) => b !== undefined));
  } finally {
    try {
      await world[Symbol.asyncDispose]();
    } catch (error) {
      bad.push(`at the end: ${error instanceof Error ? error.message : error}`);
    }
  }
  bad.push(...tally.failures);
  for (const line of bad.slice(0, 50)) say(`FAILED: ${line}`);
  say(bad.length === 0 ? "PASS" : `FAIL (${bad.length})`);
  return bad.length === 0 ? 0 : 1;
};

if (Deno.args.includes("--help") || Deno.args.includes("-h")) {
  say(usage);
  Deno.exit(0);
}
let options: Options;
try {
  options = readOptions(Deno.args);
} catch (error) {
  say(`${error instanceof Error ? error.message : error}\n\n${usage}`);
  Deno.exit(2);
}
Deno.exit(await main(options));
