import process from "node:process";
import { openCLibrary } from "./c_library.ts";

/** What an armed failpoint does: a defect, a failure of the operation, or the end of the process as by `kill -9`. */
export type Fault = "die" | "fail" | "kill";

interface Armed {
  readonly fault: Fault;
  readonly subject: string | undefined;
  /** Which of the counters says how often it will still act. */
  readonly counter: number;
}

/** What is armed, as another thread of this process can arm it too: the counts are common to all. */
export interface Failpoints {
  readonly spec: string;
  readonly left: Int32Array<SharedArrayBuffer>;
}

const armed = new Map<string, Armed>();
let common: Failpoints = { spec: "", left: new Int32Array(new SharedArrayBuffer(0)) };

/**
 * Arms failpoints from `name[@subject]=fault[*times]`, separated by commas.
 *
 * Only `main.ts` calls this, from `SLUICE_FAILPOINTS`, which the fault tests
 * set. Answers the names that were armed, so that the start can warn of them.
 */
export const arm = (spec: string): ReadonlyArray<string> => {
  const parts = spec.split(",").map((p) => p.trim()).filter(Boolean);
  const left = new Int32Array(new SharedArrayBuffer(4 * parts.length));
  parts.forEach((part, i) => {
    left[i] = Number(pattern.exec(part)?.[4] ?? 1);
  });
  armAlike({ spec, left });
  return [...armed.keys()];
};

const pattern = /^([a-z_.]+)(?:@([^=]+))?=(die|fail|kill)(?:\*(\d+))?$/;

/** Arms this thread as another is armed. */
export const armAlike = (failpoints: Failpoints): void => {
  common = failpoints;
  const parts = failpoints.spec.split(",").map((p) => p.trim()).filter(Boolean);
  parts.forEach((part, counter) => {
    const match = pattern.exec(part);
    if (!match?.[1]) throw new Error(`SLUICE_FAILPOINTS: cannot read ${JSON.stringify(part)}`);
    armed.set(match[1], { fault: match[3] as Fault, subject: match[2], counter });
  });
};

/** What this thread is armed with, for a worker. */
export const failpoints = (): Failpoints => common;

/** The fault to act out here, or undefined, which is always so outside fault tests. */
export const fault = (name: string, subject?: string): Fault | undefined => {
  if (armed.size === 0) return undefined;
  const point = armed.get(name);
  if (!point || (point.subject !== undefined && point.subject !== subject)) return undefined;
  if (Atomics.sub(common.left, point.counter, 1) > 0) return point.fault;
  Atomics.add(common.left, point.counter, 1);
  return undefined;
};

/**
 * Ends the process at once: no finalizer, no exit handler. `abort` needs no
 * permission, unlike a signal to oneself; but in a worker Deno refuses it, and
 * there the C library's own is called.
 */
export const endProcess = (): never => {
  if (!("WorkerGlobalScope" in globalThis)) process.abort();
  openCLibrary({ abort: { parameters: [], result: "void" } }).symbols.abort();
  throw new Error("the process could not be ended");
};
