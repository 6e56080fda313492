import { discard, sameContent } from "./content.ts";
import { get, type Pair, propfind, put, type WebProtocol } from "./curl.ts";
import type { Bed, Bound, Measured, Plan, Row, Task } from "./plan.ts";
import { exec, type Served } from "./servers.ts";

const MiB = 1024 ** 2;

const to = (peer: string, times: number): Bound => ({ peer, times });

/** Bounds of issue 4, point 8, one direction of one protocol. */
interface Bounds {
  readonly must: ReadonlyArray<Bound>;
  readonly aim: ReadonlyArray<Bound>;
}
const likeVsftpd: Bounds = { must: [to("vsftpd", 0.7)], aim: [to("vsftpd", 1)] };
const download: Bounds = { must: [to("rclone", 0.7)], aim: [to("rclone", 1)] };
const upload: Bounds = { must: [to("rclone", 1.5)], aim: [to("rclone", 3)] };

const protocols: ReadonlyArray<{
  readonly id: WebProtocol;
  readonly title: string;
  readonly get: Bounds;
  readonly put: Bounds;
}> = [
  { id: "ftp", title: "FTP", get: likeVsftpd, put: likeVsftpd },
  { id: "ftps", title: "FTPS", get: likeVsftpd, put: likeVsftpd },
  { id: "webdav", title: "WebDAV", get: download, put: upload },
  { id: "http", title: "HTTP", get: download, put: upload },
];

const size = (mib: number) => mib % 1024 === 0 ? `${mib / 1024} GiB` : `${mib} MiB`;

const cpu = (id: string, group: string, what: string, unit: string, per: number): Row => ({
  id: `${id}-cpu`,
  group,
  title: `CPU of ${what}`,
  unit,
  better: "less",
  must: [],
  aim: [],
  value: (m: Measured) => m.cpu / per,
});

const names = (plan: Plan) => Array.from({ length: plan.files }, (_, i) => `f${i}`);
const pairs = (plan: Plan, dir: string): ReadonlyArray<Pair> =>
  names(plan).map((name) => ({ name: `small/${name}`, file: `${dir}/${name}` }));

const emptyFolder = async (dir: string) => {
  await discard(dir);
  await Deno.mkdir(dir);
};

const one = (plan: Plan): Task[] =>
  protocols.flatMap(({ id, title, get: down, put: up }): Task[] => {
    const row = (way: string, bounds: Bounds): Row => ({
      id: `${id}-${way}`,
      group: id,
      title: `${title} ${way} ${size(plan.big)}`,
      unit: "MiB/s",
      better: "more",
      ...bounds,
      value: (m) => plan.big / m.seconds,
    });
    const rows = (way: string, bounds: Bounds) => [
      row(way, bounds),
      cpu(`${id}-${way}`, id, `${title} ${way}`, "s/GiB", plan.big / 1024),
    ];
    const shared = { serves: "web" as const, able: able(id), memory: 2 * plan.big };
    return [{
      ...shared,
      title: `${title} get ${size(plan.big)}`,
      rows: rows("get", down),
      prepare: async (bed, server) => {
        await discard(`${server.home}/big`);
        await Deno.copyFile(`${bed.disk}/big`, `${server.home}/big`);
        // Nobody pays for these pages later, least of all who flushes what he is sent.
        await exec("sync", "-f", server.home);
      },
      run: (bed, server) => get(server, id, [{ name: "big", file: `${bed.dir}/back` }]),
      check: (bed) => sameContent(bed.big, `${bed.dir}/back`),
      after: (bed) => discard(`${bed.dir}/back`),
    }, {
      ...shared,
      title: `${title} put ${size(plan.big)}`,
      rows: rows("put", up),
      run: (bed, server) => put(server, id, [{ name: "up", file: bed.big }]),
      check: (bed, server) => sameContent(bed.big, `${server.home}/up`),
      after: (_bed, server) => discard(`${server.home}/up`),
    }];
  });

const able = (id: WebProtocol) => (_bed: Bed, server: Served) =>
  Promise.resolve(server.places?.[id] !== undefined);

/** Small files, one after another over one connection. */
const small = (plan: Plan): Task[] =>
  protocols.flatMap(({ id, title }): Task[] => {
    const files = `${plan.files} x ${plan.fileBytes / 1024} KiB`;
    const last = `f${plan.files - 1}`;
    const rows = (way: string): Row[] => [{
      id: `${id}-small-${way}`,
      group: id,
      title: `${title} ${way} ${files}`,
      unit: "files/s",
      better: "more",
      must: [],
      aim: [],
      value: (m) => plan.files / m.seconds,
    }, cpu(`${id}-small-${way}`, id, `${title} ${way} ${files}`, "ms/file", plan.files / 1000)];
    const shared = { serves: "web" as const, able: able(id) };
    return [{
      ...shared,
      title: `${title} put ${files}`,
      rows: rows("put"),
      prepare: (_bed, server) => emptyFolder(`${server.home}/small`),
      run: (bed, server) => put(server, id, pairs(plan, bed.small)),
      check: (bed, server) => sameContent(`${bed.small}/${last}`, `${server.home}/small/${last}`),
      after: (_bed, server) => emptyFolder(`${server.home}/small`),
    }, {
      ...shared,
      title: `${title} get ${files}`,
      rows: rows("get"),
      prepare: async (bed, server) => {
        await emptyFolder(`${server.home}/small`);
        for (const name of names(plan)) {
          await Deno.copyFile(`${bed.small}/${name}`, `${server.home}/small/${name}`);
        }
        await emptyFolder(`${bed.dir}/got`);
      },
      run: (bed, server) => get(server, id, pairs(plan, `${bed.dir}/got`)),
      check: (bed) => sameContent(`${bed.small}/${last}`, `${bed.dir}/got/${last}`),
      after: (bed) => emptyFolder(`${bed.dir}/got`),
    }];
  });

/** A collection of many members, by one PROPFIND of depth 1. */
const collection = (plan: Plan): Task => {
  const title = `PROPFIND of ${plan.entries} entries`;
  const shared = { group: "propfind", better: "less" as const };
  return {
    title,
    serves: "web",
    rows: [{
      ...shared,
      id: "propfind-first",
      title: `${title}, first byte`,
      unit: "ms",
      must: [{ value: 150 }],
      aim: [],
      value: (m) => m.own["first"],
    }, {
      ...shared,
      id: "propfind-total",
      title: `${title}, total`,
      unit: "ms",
      must: [],
      aim: [],
      value: (m) => m.own["total"],
    }, {
      ...shared,
      id: "propfind-rss",
      title: `${title}, RSS above idle`,
      unit: "MiB",
      must: [{ value: 64 }],
      aim: [],
      value: (m) => (m.rssPeak - m.rssIdle) / MiB,
    }],
    // nginx has no PROPFIND.
    able: (bed, server) =>
      server.places?.webdav === undefined || server.name === "nginx"
        ? Promise.resolve(false)
        : able("webdav")(bed, server),
    prepare: async (_bed, server) => {
      await emptyFolder(`${server.home}/many`);
      for (let i = 0; i < plan.entries; i++) {
        Deno.writeTextFileSync(`${server.home}/many/entry-${String(i).padStart(6, "0")}.dat`, "");
      }
    },
    run: async (_bed, server) => {
      const { first, total, entries } = await propfind(server, "many/");
      if (entries !== plan.entries + 1) throw new Error(`${server.name}: ${entries} entries`);
      return { first, total };
    },
  };
};

/** FTP, FTPS, WebDAV and HTTP by curl. */
export const web = (plan: Plan): ReadonlyArray<Task> => [
  ...one(plan),
  ...small(plan),
  collection(plan),
];
