import type { Bed, Plan, Task } from "./plan.ts";
import type { Served } from "./servers.ts";

const folder = (bed: Bed, server: Served) =>
  `${bed.disk}/users-of-${server.name.replaceAll("/", "_")}`;

/** From the start of the process to the line that says it is ready, with many accounts. */
export const start = ({ users }: Plan): ReadonlyArray<Task> => [{
  title: `start with ${users} users`,
  rows: [{
    id: "start",
    group: "start",
    title: `start with ${users} users, until ready`,
    unit: "s",
    better: "less",
    must: [{ value: 1 }],
    aim: [],
    value: (m) => m.own["ready"],
  }],
  able: (_bed, server) => Promise.resolve(server.startOn !== undefined),
  prepare: async (bed, server) => {
    await server.fill?.(folder(bed, server), users);
  },
  run: async (bed, server) => {
    const ready = await server.startOn?.(folder(bed, server));
    return ready === undefined ? {} : { ready };
  },
}];
