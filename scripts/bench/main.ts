/** Compares this server with others on this machine: see `--help`. */
import { chart } from "./chart.ts";
import { discard, makeFile } from "./content.ts";
import { type Figure, measure, tasks } from "./measure.ts";
import { type Options, readOptions, usage } from "./options.ts";
import { type Bed, full, type Plan, quick, type Task } from "./plan.ts";
import { report, summary } from "./report.ts";
import { exec, makeClientKey, type Maker, openssh, rclone, sftpgo } from "./servers.ts";
import { sluice } from "./sluice.ts";
import { ours, warnings } from "./verdict.ts";
import { nginx, rcloneWebdav, vsftpd } from "./web_servers.ts";
import { appendHistory, writePage } from "./files.ts";

const root = new URL("../../", import.meta.url).pathname.replace(/\/$/, "");

const print = (stream: typeof Deno.stdout, line: string) => {
  let bytes = new TextEncoder().encode(line + "\n");
  while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
};
const say = (line: string) => print(Deno.stdout, line);
const progress = (line: string) => print(Deno.stderr, line);

const machine = async (): Promise<string> => {
  const cpu = /^model name\s*:\s*(.*)$/m.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1];
  const memory = Math.round(Deno.systemMemoryInfo().total / 1024 ** 3);
  return `${navigator.hardwareConcurrency} x ${cpu ?? Deno.build.arch}, ${memory} GiB, ` +
    `Linux ${Deno.osRelease()}`;
};

const makersOf = async (options: Options): Promise<ReadonlyArray<Maker>> => {
  const workers = options.workers === undefined ? {} : { workers: options.workers };
  const makers: Maker[] = [await sluice({ name: ours, root, ...workers })];
  for (const [i, dir] of options.against.entries()) {
    const name = options.against.length === 1 ? "other" : `other${i + 1}`;
    makers.push(await sluice({ name, root: await Deno.realPath(dir), ...workers }));
  }
  const peers = [
    ["openssh", openssh],
    ["rclone", rclone],
    ["rclone", rcloneWebdav],
    ["sftpgo", sftpgo],
    ["vsftpd", vsftpd],
    ["nginx", nginx],
  ] as const;
  for (const [name, make] of peers) {
    if (options.peers && !options.peers.includes(name)) continue;
    const maker = await make();
    if (maker) makers.push(maker);
    else progress(`SKIPPED ${name}: not installed${name === "sftpgo" ? " (SFTPGO_BIN)" : ""}`);
  }
  return makers;
};

/** The tasks that give the wanted rows, with those rows only. */
const chosen = (plan: Plan, only: ReadonlyArray<string>): ReadonlyArray<Task> =>
  tasks(plan).flatMap((task) => {
    const rows = task.rows.filter((r) =>
      only.length === 0 || only.includes(r.group) || only.includes(r.id)
    );
    return rows.length === 0 ? [] : [{ ...task, rows }];
  });

/** Room for what clients send and fetch, in memory when it has enough. */
const clientFolder = async (plan: Plan): Promise<string> => {
  const need = (3 * plan.big + plan.streams * plan.part) * 1024;
  const free = await exec("df", "-k", "--output=avail", "/dev/shm").catch(() => "");
  const roomy = Number(free.split("\n")[1]) > 2 * need;
  return await Deno.makeTempDir({ prefix: "sluice-bench-", ...(roomy ? { dir: "/dev/shm" } : {}) });
};

const makeBed = async (plan: Plan, dir: string, disk: string): Promise<Bed> => {
  const bed = {
    plan,
    dir,
    disk,
    big: `${dir}/big`,
    part: `${dir}/part`,
    small: `${dir}/small`,
  };
  await makeFile(bed.big, plan.big * 1024 ** 2);
  await makeFile(bed.part, plan.part * 1024 ** 2);
  await Deno.mkdir(bed.small);
  for (let i = 0; i < plan.files; i++) await makeFile(`${bed.small}/f${i}`, plan.fileBytes);
  await Deno.copyFile(bed.big, `${disk}/big`);
  await Deno.copyFile(bed.part, `${disk}/part`);
  await exec("sync", "-f", disk);
  return bed;
};

const main = async (options: Options): Promise<number> => {
  const base = options.quick ? quick : full;
  const plan = { ...base, rounds: options.rounds ?? base.rounds };
  const wanted = chosen(plan, options.only);
  if (wanted.length === 0) {
    progress(
      `no such row; there are: ${
        [...new Set(tasks(plan).flatMap((t) => t.rows.flatMap((r) => [r.group, r.id])))].join(" ")
      }`,
    );
    return 2;
  }
  const makers = await makersOf(options);
  const load = Deno.loadavg()[0] ?? 0;
  if (load > 0.5) progress(`WARNING: the machine is busy (load ${load.toFixed(1)})`);
  const disk = await Deno.makeTempDir({ prefix: "sluice-bench-" });
  const dir = await clientFolder(plan);
  const figures: Figure[] = [];
  try {
    const key = await makeClientKey(disk);
    const bed = await makeBed(plan, dir, disk);
    for (const task of wanted) {
      figures.push(...await measure(task, makers, bed, { dir: disk, key }, progress));
    }
  } finally {
    await discard(disk, dir);
  }
  const names = [...new Set(makers.map((m) => m.name))];
  say(summary(figures, names));
  for (const warning of warnings(figures)) say(`WARNING: wide spread: ${warning}`);
  if (options.quick && options.out === undefined) return 0;
  const about = `${new Date().toISOString().slice(0, 10)}, ${await machine()}, ` +
    `Deno ${Deno.version.deno}; ${
      [...new Set(makers.map((m) => `${m.name}: ${m.version}`))].join("; ")
    }; ` +
    `median of ${plan.rounds}` +
    (options.workers === undefined ? "" : `; ${options.workers} workers`) +
    (load > 0.5 ? `; the machine was busy at the start (load ${load.toFixed(1)})` : "");
  const commit = makers[0]?.version.replace("commit ", "") ?? "";
  const to = options.out ?? root;
  const picture = "![How every row compares](performance.svg)";
  await appendHistory(`${to}/bench/history.csv`, figures, commit, await machine());
  if (options.only.length > 0 && options.out === undefined) return 0;
  await writePage(
    `${to}/docs/performance.md`,
    `${about}\n\n${picture}\n\n${report(figures, names)}`,
  );
  const peers = names.filter((n) => n !== ours);
  const title = `Sluice ${commit} beside ${peers.join(" and ")}`;
  await Deno.writeTextFile(`${to}/docs/performance.svg`, chart(figures, peers, title));
  return 0;
};

let options: Options;
try {
  options = readOptions(Deno.args);
} catch (error) {
  progress(`${error instanceof Error ? error.message : error}\n\n${usage}`);
  Deno.exit(2);
}
if (options.help) {
  say(usage);
  Deno.exit(0);
}
Deno.exit(await main(options));
