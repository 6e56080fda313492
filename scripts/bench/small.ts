import { sftp } from "./clients.ts";
import { discard, sameContent } from "./content.ts";
import type { Measured, Plan, Row, Task } from "./plan.ts";

/** Many small files in one batch, and many short sessions. Both with the cipher that the client prefers. */
export const small = (plan: Plan): ReadonlyArray<Task> => {
  const files = `${plan.files} x ${plan.fileBytes / 1024} KiB`;
  const row = (way: string): Row => ({
    id: `small-${way}`,
    group: "small",
    title: `SFTP ${way} ${files}, one batch`,
    unit: "files/s",
    better: "more",
    must: [{ peer: "OpenSSH", times: 0.7 }],
    aim: [{ peer: "OpenSSH", times: 1 }],
    value: (m) => plan.files / m.seconds,
  });
  const cpu = (way: string): Row => ({
    id: `small-${way}-cpu`,
    group: "small",
    title: `CPU of SFTP ${way} ${files}`,
    unit: "ms/file",
    better: "less",
    must: [],
    aim: [],
    value: (m: Measured) => m.cpu * 1000 / plan.files,
  });
  const last = `f${plan.files - 1}`;
  return [{
    title: `put ${files}`,
    rows: [row("put"), cpu("put")],
    run: (bed, server) =>
      sftp(server, `mkdir ${server.prefix}small\nput ${bed.small}/* ${server.prefix}small/`),
    check: (bed, server) => sameContent(`${bed.small}/${last}`, `${server.home}/small/${last}`),
    after: (_bed, server) => discard(`${server.home}/small`),
  }, {
    title: `get ${files}`,
    rows: [row("get"), cpu("get")],
    prepare: async (bed, server) => {
      await discard(`${server.home}/small`);
      await Deno.mkdir(`${server.home}/small`);
      for (let i = 0; i < plan.files; i++) {
        await Deno.copyFile(`${bed.small}/f${i}`, `${server.home}/small/f${i}`);
      }
      await Deno.mkdir(`${bed.dir}/got`, { recursive: true });
    },
    run: (bed, server) => sftp(server, `get ${server.prefix}small/* ${bed.dir}/got/`),
    check: (bed) => sameContent(`${bed.small}/${last}`, `${bed.dir}/got/${last}`),
    after: async (bed) => {
      await discard(`${bed.dir}/got`);
      await Deno.mkdir(`${bed.dir}/got`);
    },
  }];
};

/** Clients that connect, log in by key, list an empty folder and leave. */
export const connections = (plan: Plan): ReadonlyArray<Task> => [{
  title: `${plan.connections} connections, ${plan.atOnce} at once`,
  rows: [{
    id: "conn",
    group: "conn",
    title: `connections (login by key, ls, quit), ${plan.atOnce} at a time`,
    unit: "/s",
    better: "more",
    must: [{ peer: "OpenSSH", times: 1 }],
    aim: [{ peer: "OpenSSH", times: 2 }],
    value: (m) => plan.connections / m.seconds,
  }, {
    // The client's own key exchange fills this machine too; this is what the server's part costs.
    id: "conn-cpu",
    group: "conn",
    title: "CPU of a connection",
    unit: "ms",
    better: "less",
    must: [],
    aim: [],
    value: (m) => m.cpu * 1000 / plan.connections,
  }],
  prepare: (_bed, server) => Deno.mkdir(`${server.home}/empty`, { recursive: true }),
  run: async (_bed, server) => {
    let left = plan.connections;
    const work = async () => {
      while (left-- > 0) await sftp(server, `ls ${server.prefix}empty\nquit`);
    };
    await Promise.all(Array.from({ length: plan.atOnce }, work));
  },
}];
