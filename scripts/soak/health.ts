import { request } from "node:http";
import { leftovers } from "../../test/e2e/files.ts";
import type { World } from "../../test/e2e/world.ts";

/** What was seen of the server at one moment. */
export interface Sample {
  readonly seconds: number;
  /** Bytes. */
  readonly rss: number;
  readonly descriptors: number;
  readonly sessions: number;
  /** Files of uploads under way, in the users' homes. */
  readonly staged: number;
}

/** Asks the running server who is connected, on its control socket. */
export const sessionsOf = (dataDir: string): Promise<ReadonlyArray<unknown>> =>
  new Promise((resolve, reject) => {
    const asked = request({ socketPath: `${dataDir}/control.sock`, path: "/v1/sessions" }, (r) => {
      let text = "";
      r.setEncoding("utf8");
      r.on("data", (part: string) => text += part);
      r.on("end", () => {
        try {
          resolve(JSON.parse(text));
        } catch (error) {
          reject(error);
        }
      });
    });
    asked.on("error", reject);
    asked.setTimeout(10_000, () => asked.destroy(new Error("the control socket does not answer")));
    asked.end();
  });

export const look = async (world: World, began: number): Promise<Sample> => ({
  seconds: (performance.now() - began) / 1000,
  rss: world.server.rss,
  descriptors: world.server.descriptors,
  sessions: (await sessionsOf(world.server.dataDir)).length,
  staged: (await leftovers(`${world.server.dataDir}/users`)).length,
});

const median = (values: ReadonlyArray<number>): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;

/** How far the last third may lie above the second: a share of it, and an amount in its unit. */
export interface Tolerance {
  readonly share: number;
  readonly amount: number;
}

/** Garbage is collected when it pays, so memory breathes; a leak of 1 MiB a minute shows within half an hour. */
export const rssTolerance: Tolerance = { share: 0.05, amount: 16 * 1024 ** 2 };
export const descriptorTolerance: Tolerance = { share: 0.1, amount: 8 };

export interface Flatness {
  readonly second: number;
  readonly last: number;
  readonly flat: boolean;
}

/** Compares the median of the last third of a run with that of the second third. */
export const flatness = (values: ReadonlyArray<number>, tolerance: Tolerance): Flatness => {
  const third = Math.floor(values.length / 3);
  const second = median(values.slice(third, 2 * third));
  const last = median(values.slice(2 * third));
  const most = second * (1 + tolerance.share) + tolerance.amount;
  // Too few samples prove nothing.
  return { second, last, flat: third >= 2 && last <= most };
};
