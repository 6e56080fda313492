import process from "node:process";

/** What an armed failpoint does: a defect, a failure of the operation, or the end of the process as by `kill -9`. */
export type Fault = "die" | "fail" | "kill";

interface Armed {
  readonly fault: Fault;
  readonly subject: string | undefined;
  left: number;
}

const armed = new Map<string, Armed>();

/**
 * Arms failpoints from `name[@subject]=fault[*times]`, separated by commas.
 *
 * Only `main.ts` calls this, from `SLUICE_FAILPOINTS`, which the fault tests
 * set. Answers the names that were armed, so that the start can warn of them.
 */
export const arm = (spec: string): ReadonlyArray<string> => {
  for (const part of spec.split(",").map((p) => p.trim()).filter(Boolean)) {
    const match = /^([a-z_.]+)(?:@([^=]+))?=(die|fail|kill)(?:\*(\d+))?$/.exec(part);
    if (!match?.[1]) throw new Error(`SLUICE_FAILPOINTS: cannot read ${JSON.stringify(part)}`);
    armed.set(match[1], {
      fault: match[3] as Fault,
      subject: match[2],
      left: Number(match[4] ?? 1),
    });
  }
  return [...armed.keys()];
};

/** The fault to act out here, or undefined, which is always so outside fault tests. */
export const fault = (name: string, subject?: string): Fault | undefined => {
  if (armed.size === 0) return undefined;
  const point = armed.get(name);
  if (!point || point.left === 0) return undefined;
  if (point.subject !== undefined && point.subject !== subject) return undefined;
  point.left -= 1;
  return point.fault;
};

/** Ends the process at once: no finalizer, no exit handler. `abort` needs no permission, unlike a signal to oneself. */
export const endProcess = (): never => process.abort();
