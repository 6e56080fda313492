import { touchMemory } from "./content.ts";
import { transfers } from "./transfers.ts";
import { connections, small } from "./small.ts";
import { idle, listing } from "./sessions.ts";
import { start } from "./start.ts";
import { web } from "./web.ts";
import type { Bed, Measured, Plan, Row, Task } from "./plan.ts";
import { cpuOf, rssOf, settled, treeOf, watchRss } from "./process_tree.ts";
import type { Maker, Served } from "./servers.ts";

/** What the rounds of one row gave for one server. */
export interface Figure {
  readonly row: Row;
  readonly server: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** Medians: CPU seconds of one execution, bytes before the first and at the peak. */
  readonly cpu: number;
  readonly rssIdle: number;
  readonly rssPeak: number;
}

/** Every task there is, in the order in which it is run. */
export const tasks = (plan: Plan): ReadonlyArray<Task> => [
  ...transfers(plan),
  ...small(plan),
  ...connections(plan),
  ...listing(plan),
  ...idle(plan),
  ...start(plan),
  ...web(plan),
];

const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] ?? NaN)) / 2;
};

const once = async (
  task: Task,
  bed: Bed,
  server: Served,
  rssIdle: number,
  warmUp: boolean,
): Promise<Measured> => {
  const processes = treeOf(server.pid).length;
  const cpu = cpuOf(server.pid);
  const watch = watchRss(server.pid);
  const began = performance.now();
  try {
    const own = await task.run(bed, server, warmUp) ?? {};
    const seconds = (performance.now() - began) / 1000;
    const rssPeak = watch.stop();
    await settled(server.pid, processes);
    return { seconds, cpu: cpuOf(server.pid) - cpu, rssIdle, rssPeak, own };
  } catch (error) {
    watch.stop();
    throw error;
  }
};

const figures = (task: Task, server: string, rounds: ReadonlyArray<Measured>): Figure[] =>
  task.rows.flatMap((row) => {
    const values = rounds.map(row.value).filter((v) => v !== undefined);
    if (values.length === 0) return [];
    const of = (pick: (m: Measured) => number) => median(rounds.map(pick));
    return [{
      row,
      server,
      median: median(values),
      min: Math.min(...values),
      max: Math.max(...values),
      cpu: of((m) => m.cpu),
      rssIdle: of((m) => m.rssIdle),
      rssPeak: of((m) => m.rssPeak),
    }];
  });

/**
 * Runs one task on fresh servers: a round that does not count, then the others,
 * each server in turn in each, so that what else the machine does hits all alike.
 */
export const measure = async (
  task: Task,
  makers: ReadonlyArray<Maker>,
  bed: Bed,
  work: { readonly dir: string; readonly key: string },
  say: (line: string) => void,
): Promise<ReadonlyArray<Figure>> => {
  await using stack = new AsyncDisposableStack();
  const able: { server: Served; rssIdle: number; rounds: Measured[] }[] = [];
  const kind = task.serves ?? "ssh";
  for (const maker of makers.filter((m) => (m.serves ?? kind) === kind)) {
    const server = stack.use(await maker.start(work.dir, work.key));
    if (task.able && !(await task.able(bed, server))) {
      say(`${task.title}: ${server.name} cannot`);
      continue;
    }
    await task.prepare?.(bed, server);
    able.push({ server, rssIdle: rssOf(server.pid), rounds: [] });
  }
  const rounds = task.rounds ?? bed.plan.rounds;
  for (let round = 0; round <= rounds; round++) {
    for (const { server, rssIdle, rounds } of able) {
      const warmUp = round === 0;
      if (task.memory !== undefined) await touchMemory(work.dir, task.memory);
      const measured = await once(task, bed, server, rssIdle, warmUp);
      if (warmUp) await task.check?.(bed, server);
      else rounds.push(measured);
      await task.after?.(bed, server);
      const label = warmUp ? "warm-up" : `round ${round}`;
      say(
        `${task.title}: ${label}: ${server.name}: ${measured.seconds.toFixed(2)} s, ` +
          `${measured.cpu.toFixed(2)} s of CPU`,
      );
    }
  }
  return able.flatMap(({ server, rounds }) => figures(task, server.name, rounds));
};
