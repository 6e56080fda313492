import { makeClientKey, openssh, rclone, type Served, sluice } from "./servers.ts";

/** Seconds that one measurement took, best known by its name. */
export interface Figure {
  readonly what: string;
  readonly server: string;
  readonly cipher: string;
  /** Median of the rounds, in MiB/s or files/s. */
  readonly rate: number;
  readonly unit: string;
}

export interface Plan {
  readonly rounds: number;
  /** Bytes of the large file. */
  readonly bytes: number;
  readonly files: number;
  readonly fileBytes: number;
}

const ciphers = ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr"];

const makeFile = async (path: string, bytes: number) => {
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  const block = crypto.getRandomValues(new Uint8Array(65_536));
  for (let left = bytes; left > 0; left -= block.length) {
    let part = block.subarray(0, Math.min(block.length, left));
    while (part.length > 0) part = part.subarray(await file.write(part));
  }
};

/** Runs one batch with OpenSSH's sftp client; answers seconds. */
const timed = async (server: Served, cipher: string, batch: string): Promise<number> => {
  const child = new Deno.Command("sftp", {
    args: [
      ...["-F", "none", "-q", "-i", server.key, "-P", String(server.port), "-b", "-"],
      ...["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"],
      ...["-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR", "-o", `Ciphers=${cipher}`],
      `${server.user}@127.0.0.1`,
    ],
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const began = performance.now();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(batch + "\n"));
  await input.close();
  const { code, stderr } = await child.output();
  if (code !== 0) throw new Error(`${server.name}: ${batch}: ${new TextDecoder().decode(stderr)}`);
  return (performance.now() - began) / 1000;
};

const median = (values: ReadonlyArray<number>) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

/** Only ciphers that a server offers are measured with it. */
const speaks = (server: Served, cipher: string): Promise<boolean> =>
  timed(server, cipher, "pwd").then(() => true, () => false);

/** Measures the three servers in turn, so that what else the machine does hits all alike. */
export const measure = async (
  plan: Plan,
  say: (line: string) => void,
): Promise<ReadonlyArray<Figure>> => {
  const dir = await Deno.makeTempDir({ prefix: "sluice-bench-" });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.remove(dir, { recursive: true }));
  const key = await makeClientKey(dir);
  const servers: Served[] = [];
  for (const start of [sluice, openssh, rclone]) servers.push(stack.use(await start(dir, key)));

  await makeFile(`${dir}/big`, plan.bytes);
  await Deno.mkdir(`${dir}/small`);
  for (let i = 0; i < plan.files; i++) await makeFile(`${dir}/small/f${i}`, plan.fileBytes);

  const mib = plan.bytes / 1024 ** 2;
  const size = mib >= 1024 ? `${mib / 1024} GiB` : `${mib} MiB`;
  const small = `${plan.files} x ${plan.fileBytes / 1024} KiB`;
  interface Task {
    readonly what: string;
    readonly unit: string;
    readonly amount: number;
    readonly batch: (s: Served) => string;
    readonly after: (s: Served) => Promise<void>;
  }
  const tasks: ReadonlyArray<Task> = [
    {
      what: `put ${size}`,
      unit: "MiB/s",
      amount: mib,
      batch: (s) => `put ${dir}/big ${s.prefix}big`,
      after: async () => {},
    },
    {
      what: `get ${size}`,
      unit: "MiB/s",
      amount: mib,
      batch: (s) => `get ${s.prefix}big ${dir}/back`,
      after: () => Deno.remove(`${dir}/back`),
    },
    {
      what: `put ${small}`,
      unit: "files/s",
      amount: plan.files,
      batch: (s) => `-mkdir ${s.prefix}small\nput ${dir}/small/* ${s.prefix}small/`,
      after: async () => {},
    },
    {
      what: `get ${small}`,
      unit: "files/s",
      amount: plan.files,
      batch: (s) => `get ${s.prefix}small/* ${dir}/got/`,
      after: async (s) => {
        await Deno.remove(`${dir}/got`, { recursive: true });
        await Deno.mkdir(`${dir}/got`);
        await Deno.remove(`${s.home}/small`, { recursive: true });
      },
    },
  ];
  await Deno.mkdir(`${dir}/got`);

  const seconds = new Map<string, number[]>();
  const id = (task: Task, server: Served, cipher: string) =>
    `${task.what}|${server.name}|${cipher}`;
  for (const cipher of ciphers) {
    const able: Served[] = [];
    for (const server of servers) if (await speaks(server, cipher)) able.push(server);
    for (let round = 0; round < plan.rounds; round++) {
      for (const task of tasks) {
        for (const server of able) {
          const took = await timed(server, cipher, task.batch(server));
          await task.after(server);
          const key = id(task, server, cipher);
          seconds.set(key, [...seconds.get(key) ?? [], took]);
          say(`${cipher} round ${round + 1}: ${task.what} ${server.name}: ${took.toFixed(2)} s`);
        }
      }
    }
  }
  return ciphers.flatMap((cipher) =>
    tasks.flatMap((task) =>
      servers.flatMap((server) => {
        const took = seconds.get(id(task, server, cipher));
        if (!took) return [];
        const rate = task.amount / median(took);
        return [{ what: task.what, server: server.name, cipher, rate, unit: task.unit }];
      })
    )
  );
};

/** A Markdown table: one row a task and cipher, one column a server, and our ratio to the others. */
export const table = (figures: ReadonlyArray<Figure>): string => {
  const rows = new Map<string, Map<string, Figure>>();
  for (const figure of figures) {
    const key = `${figure.cipher.split("@")[0]} | ${figure.what}`;
    rows.set(key, (rows.get(key) ?? new Map()).set(figure.server, figure));
  }
  const names = ["Sluice", "OpenSSH", "rclone"];
  const ratio = (row: Map<string, Figure>, other: string) => {
    const [ours, theirs] = [row.get("Sluice")?.rate, row.get(other)?.rate];
    return ours !== undefined && theirs !== undefined ? (ours / theirs).toFixed(2) : "-";
  };
  const lines = [...rows].map(([key, row]) => {
    const cells = names.map((name) => {
      const figure = row.get(name);
      return figure ? `${figure.rate.toFixed(0)} ${figure.unit}` : "-";
    });
    return `| ${key} | ${cells.join(" | ")} | ${ratio(row, "OpenSSH")} | ${ratio(row, "rclone")} |`;
  });
  return [
    `| cipher | task | ${names.join(" | ")} | to OpenSSH | to rclone |`,
    "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ...lines,
  ].join("\n");
};
