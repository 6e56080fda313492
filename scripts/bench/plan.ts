import type { Served } from "./servers.ts";

/** Sizes of one run. */
export interface Plan {
  readonly rounds: number;
  readonly quick: boolean;
  /** MiB of the file that one stream moves. */
  readonly big: number;
  readonly streams: number;
  /** MiB of the file that each of several streams moves. */
  readonly part: number;
  readonly files: number;
  readonly fileBytes: number;
  readonly connections: number;
  readonly atOnce: number;
  readonly entries: number;
  readonly sessions: number;
  /** The same where each session is processes of its own. */
  readonly forkedSessions: number;
  /** Accounts of a server that starts. */
  readonly users: number;
}

export const full: Plan = {
  rounds: 5,
  quick: false,
  big: 1024,
  streams: 8,
  part: 256,
  files: 2000,
  fileBytes: 4096,
  connections: 200,
  atOnce: 16,
  entries: 100_000,
  sessions: 1000,
  forkedSessions: 100,
  users: 10_000,
};

export const quick: Plan = {
  ...full,
  rounds: 1,
  quick: true,
  big: 256,
  part: 64,
  files: 500,
  connections: 64,
  entries: 20_000,
  sessions: 200,
  forkedSessions: 40,
};

/** What stands ready for every task. */
export interface Bed {
  readonly plan: Plan;
  /** A folder for the client's files, in memory where there is room. */
  readonly dir: string;
  /** A folder on the disk of the servers' homes, with the same files to be linked into a home. */
  readonly disk: string;
  /** File that one stream sends. */
  readonly big: string;
  /** File that each of several streams sends. */
  readonly part: string;
  /** Folder of the small files. */
  readonly small: string;
}

/** What one execution of a task by one server showed. */
export interface Measured {
  readonly seconds: number;
  /** CPU seconds of the server's process tree. */
  readonly cpu: number;
  /** Bytes before the first execution, and the most during this one. */
  readonly rssIdle: number;
  readonly rssPeak: number;
  /** What the task itself found out. */
  readonly own: Readonly<Record<string, number>>;
}

/** A bound on our figure: against a peer's in the same run, or against a number. */
export type Bound = { readonly peer: string; readonly times: number } | { readonly value: number };

/** One line of the result. */
export interface Row {
  readonly id: string;
  /** What `--only` selects it by. */
  readonly group: string;
  readonly title: string;
  readonly unit: string;
  readonly better: "more" | "less";
  readonly must: ReadonlyArray<Bound>;
  readonly aim: ReadonlyArray<Bound>;
  readonly value: (m: Measured) => number | undefined;
}

/** Work that every server is given in turn; more than one row may come of it. */
export interface Task {
  readonly title: string;
  readonly rows: ReadonlyArray<Row>;
  /** Which kind of server it is for: SSH unless it says so. */
  readonly serves?: "web";
  /** Rounds to count; by default those of the plan. */
  readonly rounds?: number;
  /** False when a server cannot do it. */
  readonly able?: (bed: Bed, server: Served) => Promise<boolean>;
  /** Once for each server, before the first round. */
  readonly prepare?: (bed: Bed, server: Served) => Promise<void>;
  /** MiB of memory that a turn takes; touched before it: see {@linkcode touchMemory}. */
  readonly memory?: number;
  /** The measured part; its own timing, when it answers `seconds`, wins. */
  readonly run: (
    bed: Bed,
    server: Served,
    warmUp: boolean,
  ) => Promise<Readonly<Record<string, number>> | void>;
  /** After the warm-up round: fails unless the work was done right. */
  readonly check?: (bed: Bed, server: Served) => Promise<void>;
  /** After each round. */
  readonly after?: (bed: Bed, server: Served) => Promise<void>;
}
