/** What the command line asked for. */
export interface Options {
  readonly help: boolean;
  readonly quick: boolean;
  readonly only: ReadonlyArray<string>;
  readonly peers: ReadonlyArray<string> | undefined;
  readonly rounds: number | undefined;
  readonly workers: number | undefined;
  readonly against: ReadonlyArray<string>;
  readonly out: string | undefined;
}

export const usage = `usage: deno task bench [options]

Measures this server beside those that are installed: OpenSSH, rclone, vsftpd, nginx,
and SFTPGo when SFTPGO_BIN names its program. Servers take turns in every round; a round to
warm up is not counted; figures are medians.

  --quick        one round, small sizes; prints only. Without it the marked parts of
                 docs/performance.md, docs/performance.svg and bench/history.csv are written
  --only A,B     groups (sftp, cpu, streams, scp, small, conn, list, idle, start, ftp, ftps,
                 webdav, http, propfind) or single rows (get-gcm, ...); then only bench/history.csv is written
  --peers A,B    these peers only (openssh, rclone, sftpgo, vsftpd, nginx); none: "--peers none"
  --against DIR  also another checkout of this repository, as a peer (repeatable)
  --rounds N     rounds to count; default 5, quick 1
  --workers N    start this server with --workers N
  --out DIR      write all files below DIR, and do so with --quick or --only as well
`;

const number = (text: string | undefined, flag: string): number => {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1) throw new Error(`${flag} takes a number above 0`);
  return n;
};

/** Reads the command line; throws with what is wrong with it. */
export const readOptions = (args: ReadonlyArray<string>): Options => {
  const found = {
    help: false,
    quick: false,
    only: [] as string[],
    peers: undefined as string[] | undefined,
    rounds: undefined as number | undefined,
    workers: undefined as number | undefined,
    against: [] as string[],
    out: undefined as string | undefined,
  };
  for (let i = 0; i < args.length; i++) {
    const flag = args[i] ?? "";
    const value = () => {
      const next = args[++i];
      if (next === undefined) throw new Error(`${flag} takes a value`);
      return next;
    };
    const list = () => value().split(",").map((s) => s.trim()).filter(Boolean);
    if (flag === "--help" || flag === "-h") found.help = true;
    else if (flag === "--quick") found.quick = true;
    else if (flag === "--only") found.only.push(...list());
    else if (flag === "--peers") found.peers = [...found.peers ?? [], ...list()];
    else if (flag === "--rounds") found.rounds = number(value(), flag);
    else if (flag === "--workers") found.workers = number(value(), flag);
    else if (flag === "--against") found.against.push(value());
    else if (flag === "--out") found.out = value();
    else throw new Error(`unknown: ${flag}`);
  }
  return found;
};
