import { hash as hashArgon2 } from "@node-rs/argon2";
import { controlSocket } from "../../src/cli/control_client.ts";
import { makeKey, publicKey } from "../e2e/clients.ts";
import { eventually, must } from "../e2e/process.ts";
import { Server, sluiceMust } from "../e2e/server.ts";
import {
  type Account,
  type Case,
  type Content,
  type Driver,
  type Ending,
  eventLine,
  expected,
  type Said,
  type Verb,
} from "./protocol.ts";
import type { Accounts } from "./protocol_accounts.ts";
import { bytesOf, lines, lookAt, lookOf, plantTree, usageOf } from "./protocol_trees.ts";

/** One case over one protocol, with an account, a home and folders of its own. */
export interface Cell {
  readonly case: Case;
  readonly driver: Driver;
  readonly ending: Ending;
  readonly user: string;
  readonly home: string;
  /** Folders by mount point: their place on the disk, and their name. */
  readonly mounts: ReadonlyMap<string, string>;
  readonly folders: ReadonlyMap<string, string>;
  /** What was not as the case says; empty when all was. */
  readonly problems: string[];
}

export const cellKey = (one: Case, { protocol }: Driver): string => `${one.name} / ${protocol}`;

const password = "matrix-password";

const cellsOf = (
  cases: ReadonlyArray<Case>,
  drivers: ReadonlyArray<Driver>,
  dir: string,
): ReadonlyArray<Cell> =>
  drivers.flatMap((driver) =>
    cases.flatMap((one, index) => {
      const ending = expected(one, driver);
      if (typeof ending === "string") return [];
      const user = `${driver.protocol.toLowerCase()}-${String(index + 1).padStart(2, "0")}`;
      const points = Object.keys(one.mounts ?? {});
      return [{
        case: one,
        driver,
        ending,
        user,
        home: `${dir}/users/${user}`,
        mounts: new Map(points.map((at, i) => [at, `${dir}/folders/${user}-${i}`])),
        folders: new Map(points.map((at, i) => [at, `${user}-${i}`])),
        problems: [],
      }];
    })
  );

/** Mounts that pay for themselves. */
const payers = (cell: Cell) =>
  [...cell.mounts.keys()].filter((at) => cell.case.mounts?.[at]?.quota !== -1);

const accountsOf = async (
  cells: ReadonlyArray<Cell>,
  more: Readonly<Record<string, unknown>>,
): Promise<Accounts> => {
  const users = [];
  const folders = [];
  for (const cell of cells) {
    await plantTree(cell.case.before ?? {}, cell.home, cell.mounts);
    const look = await lookAt(cell.home, cell.mounts);
    const paying = payers(cell);
    for (const [at, path] of cell.mounts) {
      const usage = paying.includes(at) ? usageOf(look, at, []) : { bytes: 0, files: 0 };
      folders.push({ name: cell.folders.get(at) ?? "", path, usage });
    }
    const virtual_folders = [...cell.folders].map(([virtual_path, name]) => {
      const quota = cell.case.mounts?.[virtual_path]?.quota ?? 0;
      return { name, virtual_path, quota_size: quota, quota_files: Math.min(quota, 0) };
    });
    const input = { username: cell.user, home_dir: cell.home, virtual_folders, ...more };
    users.push({ input: { ...input, ...cell.case.user }, usage: usageOf(look, "/", paying) });
  }
  return { users, folders };
};

/** Does all of it: one server, every cell once, and then what was recorded. */
export const runMatrix = async (
  cases: ReadonlyArray<Case>,
  drivers: ReadonlyArray<Driver>,
): Promise<ReadonlyArray<Cell>> => {
  const dir = await Deno.makeTempDir({ prefix: "sluice-matrix-" });
  try {
    const cells = cellsOf(cases, drivers, dir);
    await Deno.mkdir(`${dir}/clients`);
    const key = await makeKey(`${dir}/clients`, "key");
    const work = { memoryCost: 1024, timeCost: 1, parallelism: 1 };
    const accounts = await accountsOf(cells, {
      password: await hashArgon2(password, work),
      public_keys: [await publicKey(key)],
      permissions: { "/": ["*"] },
    });
    const script = new URL("protocol_accounts.ts", import.meta.url).pathname;
    await must(Deno.execPath(), ["run", "-A", script, dir], { stdin: JSON.stringify(accounts) });
    await using server = await Server.start({
      dataDir: dir,
      args: ["--http", "127.0.0.1:0"],
      config: {
        common: { symlink_mode: 1, max_per_host_connections: 0 },
        sftpd: { enabled_ssh_commands: ["*"] },
        ftpd: {
          bindings: [0, 1].map((tls_mode) => ({ address: "127.0.0.1", port: 0, tls_mode })),
          hash_support: true,
          enable_site: true,
        },
        data_provider: { argon2_memory: 1024, argon2_iterations: 1, argon2_parallelism: 1 },
      },
    });
    const ready = server.log.find(({ event }) => event === "ready");
    const { ftp } = ready?.["listeners"] as { ftp: ReadonlyArray<string> };
    const [plain = 0, tls = 0] = ftp.map((a) => Number(a.split(":").at(-1)));
    const where = {
      password,
      key,
      ports: { ssh: server.port, ftp: plain, ftps: tls },
      http: server.http,
    };
    await Promise.all(drivers.map(async (driver) => {
      for (const cell of cells) {
        if (cell.driver === driver) await ask(cell, where, `${dir}/clients`);
      }
    }));
    await compareRecords(cells, server);
    return cells;
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
};

/** Lets the client ask, and looks at the answer and at the disk. */
const ask = async (
  cell: Cell,
  where: Omit<Account, "user" | "dir" | "local">,
  clients: string,
): Promise<void> => {
  const { ending, problems } = cell;
  const dir = `${clients}/${cell.user}`;
  await Deno.mkdir(dir);
  let files = 0;
  const local = async (content: Content) => {
    const file = `${dir}/local${files++}`;
    await Deno.writeFile(file, bytesOf(content));
    return file;
  };
  const verbs = cell.driver.verbs({ ...where, user: cell.user, dir, local });
  const [verb, ...words] = cell.case.ask;
  const call = verbs[verb] as ((...words: unknown[]) => Promise<Said>) | undefined;
  if (!call) throw new Error(`${cell.driver.protocol} cannot ${verb satisfies Verb}`);
  const answer = await call(...words).catch((error): Said => ({ ok: false, text: String(error) }));
  const short = () => answer.text.replace(/\s+/g, " ").slice(-300);
  if (ending.outcome === "done") {
    if (!answer.ok) problems.push(`was to be done, and was refused: ${short()}`);
    else if (ending.shown !== undefined) differs(problems, "shown", answer.shown, ending.shown);
  } else if (answer.ok) problems.push(`was to be refused (${ending.outcome}), and was done`);
  else if (!cell.driver.words[ending.outcome].test(answer.text)) {
    problems.push(`was to be refused as ${ending.outcome}, and the client said: ${short()}`);
  }
  const due = lines(lookOf(cell.case.before ?? {}, ending.after ?? {}, [...cell.mounts.keys()]));
  const after = async () => lines(await lookAt(cell.home, cell.mounts));
  // What an upload had staged goes with its session's turn, a moment after the answer.
  const same = async () => JSON.stringify(await after()) === JSON.stringify(due);
  await eventually("the tree is as is due", same, 1).catch(() => {});
  differs(problems, "tree", await after(), due);
  if (ending.attributes) {
    const { path, mtime, mode } = ending.attributes;
    const found = await Deno.stat(cell.home + path).catch(() => undefined);
    const seconds = Math.floor((found?.mtime?.getTime() ?? 0) / 1000);
    if (mtime !== undefined) differs(problems, "mtime", seconds, mtime);
    if (mode !== undefined) differs(problems, "mode", (found?.mode ?? 0) & 0o777, mode);
  }
};

const differs = (problems: string[], what: string, found: unknown, due: unknown): void => {
  const [a, b] = [JSON.stringify(found), JSON.stringify(due)];
  if (a !== b) problems.push(`${what}: ${a} where ${b} was due`);
};

/** What cannot change a usage; counting again would take most of the time. */
const looking: ReadonlySet<Verb> = new Set([
  "get",
  "getRest",
  "getRange",
  "getTree",
  "list",
  "stat",
  "hash",
]);

type Row = Readonly<Record<string, unknown>>;

/** Compares the journal and the quota figures, which the server writes a moment later. */
const compareRecords = async (cells: ReadonlyArray<Cell>, server: Server): Promise<void> => {
  const json = async (...args: string[]) =>
    JSON.parse(await sluiceMust(server.dataDir, [...args, "--json", "--limit", "10000"])) as Row[];
  let users = new Map<unknown, Row>();
  let folders = new Map<unknown, Row>();
  let events: ReadonlyArray<Row> = [];
  const used = (row: Row | undefined) => ({
    bytes: row?.["used_quota_size"],
    files: row?.["used_quota_files"],
  });
  /** What a cell's figures are, and what lies on the disk. */
  const figures = async (cell: Cell) => {
    const look = await lookAt(cell.home, cell.mounts);
    const paying = payers(cell);
    return {
      counted: [
        used(users.get(cell.user)),
        ...paying.map((at) => used(folders.get(cell.folders.get(at)))),
      ],
      there: [usageOf(look, "/", paying), ...paying.map((at) => usageOf(look, at, []))],
    };
  };
  const read = async () => {
    users = new Map((await json("user", "list")).map((row) => [row["username"], row]));
    folders = new Map((await json("folder", "list")).map((row) => [row["name"], row]));
    events = await server.events("--kind", "fs", "--limit", "100000");
  };
  const mine = (cell: Cell) => events.filter(({ username }) => username === cell.user);
  const recorded = (cell: Cell) => {
    const order = (all: ReadonlyArray<string>) => cell.case.anyOrder ? all.toSorted() : all;
    return { found: order(mine(cell).map(eventLine)), due: order(cell.ending.events ?? []) };
  };
  const agree = async (cell: Cell) => {
    const { counted, there } = await figures(cell);
    const { found, due } = recorded(cell);
    return JSON.stringify([counted, found]) === JSON.stringify([there, due]);
  };
  // The journal and the counters follow by a second or two.
  await eventually("all records agree", async () => {
    await read();
    return (await Promise.all(cells.map(agree))).every(Boolean);
  }, 5).catch(() => {});
  // One for all: to make it takes longer than to count.
  using client = Deno.createHttpClient({
    proxy: { transport: "unix", path: controlSocket(server.dataDir) },
  });
  const compare = async (cell: Cell) => {
    const { problems, driver } = cell;
    const { found, due } = recorded(cell);
    differs(problems, "events", found, due);
    const strange = mine(cell).filter(({ protocol, action }) =>
      protocol !== (action === "ssh_cmd" ? "SSH" : driver.eventProtocol)
    );
    if (strange.length > 0) {
      problems.push(`events of another protocol: ${JSON.stringify(strange)}`);
    }
    const { counted, there } = await figures(cell);
    differs(problems, "quota figures", counted, there);
    if (looking.has(cell.case.ask[0])) return;
    const accounts = [
      `users/${cell.user}`,
      ...payers(cell).map((at) => `folders/${cell.folders.get(at)}`),
    ];
    const scans = accounts.map(async (account) => {
      const url = `http://sluice/v1/${account}/quota-scan`;
      return await (await fetch(url, { method: "POST", client })).json();
    });
    differs(problems, "a recount", await Promise.all(scans), there);
  };
  // Several at once: the server waits for its journal in each.
  const left = [...cells];
  const work = async () => {
    for (let cell = left.shift(); cell; cell = left.shift()) await compare(cell);
  };
  await Promise.all(Array.from({ length: 16 }, work));
};
