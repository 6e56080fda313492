/**
 * Compares this server with others on this machine: `deno task bench [--quick] [--only NAME]`.
 *
 * A whole run rewrites its section of docs/performance.md; a quick one only prints.
 */
import { measure, table } from "./sftp.ts";

const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));

const machine = async (): Promise<string> => {
  const cpu = /^model name\s*:\s*(.*)$/m.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1];
  const memory = Math.round(Deno.systemMemoryInfo().total / 1024 ** 3);
  return `${navigator.hardwareConcurrency} x ${cpu ?? Deno.build.arch}, ${memory} GiB, ` +
    `Linux ${Deno.osRelease()}, Deno ${Deno.version.deno}`;
};

const benches: Readonly<Record<string, (quick: boolean) => Promise<string>>> = {
  sftp: async (quick) => {
    const figures = await measure(
      quick
        ? { rounds: 1, bytes: 128 * 1024 ** 2, files: 300, fileBytes: 4096 }
        : { rounds: 3, bytes: 1024 ** 3, files: 2000, fileBytes: 4096 },
      say,
    );
    return table(figures);
  },
};

/** Puts `text` between the marks of its section, or at the end. */
const replaceSection = (page: string, name: string, text: string): string => {
  const [from, to] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
  const section = `${from}\n${text}\n${to}`;
  const [start, end] = [page.indexOf(from), page.indexOf(to)];
  return start < 0 || end < 0
    ? `${page.trimEnd()}\n\n${section}\n`
    : page.slice(0, start) + section + page.slice(end + to.length);
};

const path = new URL("../../docs/performance.md", import.meta.url).pathname;
const intro = `# Performance

Each table is written by \`deno task bench\` on the machine that it names. All
servers run on that machine, one after the other in every round, driven by the
OpenSSH client over loopback; a figure is the median of three rounds. A ratio
above 1 means that Sluice is faster.
`;

const quick = Deno.args.includes("--quick");
const only = Deno.args.includes("--only") ? Deno.args[Deno.args.indexOf("--only") + 1] : undefined;
const names = Object.keys(benches).filter((name) => only === undefined || name === only);
if (names.length === 0) {
  say(`no such bench; there are: ${Object.keys(benches).join(", ")}`);
  Deno.exit(2);
}
for (const name of names) {
  const result = await benches[name]?.(quick) ?? "";
  say(`\n${await machine()}\n\n${result}\n`);
  if (quick) continue;
  const page = await Deno.readTextFile(path).catch(() => intro);
  const date = new Date().toISOString().slice(0, 10);
  const text = `## SFTP beside OpenSSH and rclone\n\n${date}, ${await machine()}\n\n${result}`;
  await Deno.writeTextFile(path, replaceSection(page, name, text));
}
