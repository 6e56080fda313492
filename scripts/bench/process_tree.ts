/** What the kernel counts of a server: the process that was started and all that came of it. */

/** Fields of /proc/PID/stat that follow the name: see proc(5). */
const field = { utime: 11, stime: 12, cutime: 13, cstime: 14 } as const;

let ticks: number | undefined;
/** Clock ticks a second, the unit of /proc/PID/stat. */
const ticksPerSecond = (): number => {
  if (ticks !== undefined) return ticks;
  const { stdout } = new Deno.Command("getconf", { args: ["CLK_TCK"] }).outputSync();
  ticks = Number(new TextDecoder().decode(stdout)) || 100;
  return ticks;
};

/** Text of a file below /proc; undefined when its process has just ended. */
const read = (path: string): string | undefined => {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
};

const childrenOf = (pid: number): number[] => {
  try {
    return [...Deno.readDirSync(`/proc/${pid}/task`)].flatMap(({ name }) =>
      (read(`/proc/${pid}/task/${name}/children`) ?? "").split(" ").filter(Boolean).map(Number)
    );
  } catch {
    return [];
  }
};

/** The process and all its descendants that are alive. */
export const treeOf = (root: number): number[] => {
  const found = [root];
  for (let i = 0; i < found.length; i++) found.push(...childrenOf(found[i] ?? 0));
  return found;
};

/**
 * CPU seconds of the tree so far, of its ended processes too.
 *
 * A parent inherits what a child used when it waits for it (cutime, cstime), so
 * the sum over the living is exact as soon as what ended has been waited for.
 */
export const cpuOf = (root: number): number => {
  let sum = 0;
  for (const pid of treeOf(root)) {
    const stat = read(`/proc/${pid}/stat`);
    // The name, in brackets, may hold spaces.
    const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ") ?? [];
    for (const at of Object.values(field)) sum += Number(fields[at] ?? 0);
  }
  return sum / ticksPerSecond();
};

const kilobytes = (text: string | undefined, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text ?? "")?.[1] ?? 0);

/** Resident bytes of the tree now. Pages that processes share count in each. */
export const rssOf = (root: number): number =>
  1024 *
  treeOf(root).reduce((sum, pid) => sum + kilobytes(read(`/proc/${pid}/status`), "VmRSS"), 0);

/** Resident bytes of the tree now, with each shared page split among those who share it. Slow. */
export const pssOf = (root: number): number =>
  1024 *
  treeOf(root).reduce((sum, pid) => sum + kilobytes(read(`/proc/${pid}/smaps_rollup`), "Pss"), 0);

/** Notes the highest RSS of the tree until `stop`, which answers it in bytes. */
export const watchRss = (root: number, milliseconds = 100): { readonly stop: () => number } => {
  let peak = rssOf(root);
  const look = () => peak = Math.max(peak, rssOf(root));
  const timer = setInterval(look, milliseconds);
  return {
    stop: () => {
      clearInterval(timer);
      look();
      return peak;
    },
  };
};

/** Waits until the tree is as small as it was: what served a client that left has been waited for. */
export const settled = async (root: number, processes: number): Promise<void> => {
  const end = performance.now() + 5000;
  while (treeOf(root).length > processes && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  // What a single process still has to do after its last answer: flush a journal, collect garbage.
  await new Promise((resolve) => setTimeout(resolve, 100));
};
