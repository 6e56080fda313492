import { ciphers, scp, sftp, speaks } from "./clients.ts";
import { discard, sameContent } from "./content.ts";
import type { Bed, Bound, Measured, Plan, Row, Task } from "./plan.ts";
import type { Served } from "./servers.ts";

const to = (peer: string, times: number): Bound => ({ peer, times });

const rate = (mib: number) => (m: Measured) => mib / m.seconds;
const perGib = (mib: number) => (m: Measured) => m.cpu / (mib / 1024);

const size = (mib: number) => mib % 1024 === 0 ? `${mib / 1024} GiB` : `${mib} MiB`;

const cpuRow = (way: string, cipher: string, mib: number): Row => ({
  id: `cpu-${way}-${cipher}`,
  group: "cpu",
  title: `CPU of SFTP ${way}, ${cipher}`,
  unit: "s/GiB",
  better: "less",
  must: [to("OpenSSH", 2)],
  aim: [to("OpenSSH", 1.3)],
  value: perGib(mib),
});

const link = async (from: string, server: Served, name: string) => {
  await discard(`${server.home}/${name}`);
  await Deno.link(from, `${server.home}/${name}`);
};

/** One stream, each way, with each cipher. */
const single = (plan: Plan): Task[] =>
  Object.entries(ciphers).flatMap(([short, cipher]): Task[] => [
    {
      title: `SFTP get ${size(plan.big)}, ${short}`,
      memory: 2 * plan.big,
      rows: [{
        id: `get-${short}`,
        group: "sftp",
        title: `SFTP get ${size(plan.big)}, 1 stream, ${short}`,
        unit: "MiB/s",
        better: "more",
        must: [to("rclone", 1.1)],
        aim: [to("OpenSSH", 1)],
        value: rate(plan.big),
      }, cpuRow("get", short, plan.big)],
      able: (_bed, server) => speaks(server, cipher),
      prepare: (bed, server) => link(`${bed.disk}/big`, server, "big"),
      run: (bed, server) => sftp(server, `get ${server.prefix}big ${bed.dir}/back`, cipher),
      check: (bed) => sameContent(bed.big, `${bed.dir}/back`),
      after: (bed) => discard(`${bed.dir}/back`),
    },
    {
      title: `SFTP put ${size(plan.big)}, ${short}`,
      memory: 2 * plan.big,
      rows: [{
        id: `put-${short}`,
        group: "sftp",
        title: `SFTP put ${size(plan.big)}, 1 stream, ${short}`,
        unit: "MiB/s",
        better: "more",
        must: [to("rclone", 1.1), to("OpenSSH", 0.9)],
        aim: [to("OpenSSH", 1.1)],
        value: rate(plan.big),
      }, cpuRow("put", short, plan.big)],
      able: (_bed, server) => speaks(server, cipher),
      run: (bed, server) => sftp(server, `put ${bed.big} ${server.prefix}up`, cipher),
      check: (bed, server) => sameContent(bed.big, `${server.home}/up`),
      // Unwritten pages of one server must not be written in the time of the next.
      after: (_bed, server) => discard(`${server.home}/up`),
    },
  ]);

const each = (bed: Bed, work: (n: number) => Promise<void>): Promise<unknown> =>
  Promise.all(Array.from({ length: bed.plan.streams }, (_, n) => work(n)));

const all = (bed: Bed, path: (n: number) => string) =>
  Array.from({ length: bed.plan.streams }, (_, n) => path(n));

/** Several clients at once, each with a file of its own. */
const several = (plan: Plan): Task[] => {
  const mib = plan.streams * plan.part;
  const row = (way: string): Row => ({
    id: `${way}-streams`,
    group: "streams",
    title: `SFTP ${way}, ${plan.streams} streams of ${size(plan.part)}, gcm`,
    unit: "MiB/s",
    better: "more",
    must: [to("rclone", 1)],
    aim: [to("OpenSSH", 0.9)],
    value: rate(mib),
  });
  return [{
    title: `SFTP get, ${plan.streams} streams`,
    rows: [row("get")],
    able: (_bed, server) => speaks(server, ciphers.gcm),
    prepare: async (bed, server) => {
      await each(bed, (n) => link(`${bed.disk}/part`, server, `part${n}`));
    },
    run: async (bed, server) => {
      await each(
        bed,
        (n) => sftp(server, `get ${server.prefix}part${n} ${bed.dir}/back${n}`, ciphers.gcm),
      );
    },
    check: async (bed) => {
      for (const path of all(bed, (n) => `${bed.dir}/back${n}`)) await sameContent(bed.part, path);
    },
    after: (bed) => discard(...all(bed, (n) => `${bed.dir}/back${n}`)),
  }, {
    title: `SFTP put, ${plan.streams} streams`,
    rows: [row("put")],
    able: (_bed, server) => speaks(server, ciphers.gcm),
    run: async (bed, server) => {
      await each(bed, (n) => sftp(server, `put ${bed.part} ${server.prefix}up${n}`, ciphers.gcm));
    },
    check: async (bed, server) => {
      for (const path of all(bed, (n) => `${server.home}/up${n}`)) {
        await sameContent(bed.part, path);
      }
    },
    after: (bed, server) => discard(...all(bed, (n) => `${server.home}/up${n}`)),
  }];
};

/** SCP as it was before SFTP: `scp -O`. */
const legacy = (plan: Plan): Task[] => {
  const row = (way: string): Row => ({
    id: `scp-${way}`,
    group: "scp",
    title: `SCP ${way} ${size(plan.big)} (scp -O), gcm`,
    unit: "MiB/s",
    better: "more",
    must: [to("OpenSSH", 0.6)],
    aim: [to("OpenSSH", 0.9)],
    value: rate(plan.big),
  });
  return [{
    title: `SCP get ${size(plan.big)}`,
    rows: [row("get")],
    able: (_bed, server) => Promise.resolve(server.scp),
    prepare: (bed, server) => link(`${bed.disk}/big`, server, "big"),
    memory: 2 * plan.big,
    run: (bed, server) => scp(server, ["REMOTE:big", `${bed.dir}/back`], ciphers.gcm),
    check: (bed) => sameContent(bed.big, `${bed.dir}/back`),
    after: (bed) => discard(`${bed.dir}/back`),
  }, {
    title: `SCP put ${size(plan.big)}`,
    rows: [row("put")],
    able: (_bed, server) => Promise.resolve(server.scp),
    memory: 2 * plan.big,
    run: (bed, server) => scp(server, [bed.big, "REMOTE:up"], ciphers.gcm),
    check: (bed, server) => sameContent(bed.big, `${server.home}/up`),
    after: (_bed, server) => discard(`${server.home}/up`),
  }];
};

export const transfers = (plan: Plan): ReadonlyArray<Task> => [
  ...single(plan),
  ...several(plan),
  ...legacy(plan),
];
