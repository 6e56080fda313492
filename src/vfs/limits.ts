import { Effect, Either } from "effect";
import type { Users } from "../catalog/catalog.ts";
import { FsError } from "../errors.ts";
import { parseAddress } from "../guard/address.ts";
import { contains, parseCidr } from "../guard/cidr.ts";
import type { User } from "../model/user.ts";
import type { Direction, Line } from "./line.ts";

/** Bytes of the units in which limits are given (BEHAVIOUR BW-01, DT-01). */
const KB = 1024;
const MB = 1024 * 1024;

/** Bytes a second each way; 0 is no limit. */
interface Rates {
  readonly upload: number;
  readonly download: number;
}

/** The rates for `ip`: those of the first listed network that holds it (BEHAVIOUR BW-02), else the user's own. */
export const ratesOf = (user: User, ip: string): Rates => {
  const address = parseAddress(ip);
  const special = address &&
    user.filters.bandwidth_limits.find(({ sources }) =>
      sources.some((source) =>
        Either.match(parseCidr(source), {
          onLeft: () => false,
          onRight: (range) => contains(range, address),
        })
      )
    );
  const { upload_bandwidth, download_bandwidth } = special ?? user;
  return { upload: upload_bandwidth * KB, download: download_bandwidth * KB };
};

/** Whether anything limits the user's transfers from `ip`. */
export const isLimited = (user: User, ip: string): boolean => {
  const { upload, download } = ratesOf(user, ip);
  return upload > 0 || download > 0 || countsTransfer(user);
};

const countsTransfer = (user: User): boolean =>
  user.total_data_transfer > 0 || user.upload_data_transfer > 0 || user.download_data_transfer > 0;

/**
 * What limits one session's transfers: bandwidth, which all sessions of the user
 * share, and the bytes that may be moved until the counters are reset.
 */
export class Limits {
  readonly #rates: Rates;
  readonly #counts: boolean;

  constructor(
    readonly line: Line,
    readonly user: User,
    ip: string,
    readonly users: typeof Users.Service,
  ) {
    this.#rates = ratesOf(user, ip);
    this.#counts = countsTransfer(user);
  }

  /** Why a transfer may not begin, or undefined (BEHAVIOUR DT-02). */
  refusal(way: Direction, path: string): FsError | undefined {
    return this.#counts && this.#left(way) <= 0 ? exceeded(way, path) : undefined;
  }

  /** Follows one transfer. */
  flow(way: Direction, path: string): Flow {
    const rate = this.#rates[way];
    const charge = this.#counts
      ? (bytes: number) => {
        this.line.count(way, bytes);
        if (this.#left(way) >= 0) return undefined;
        this.line.count(way, -bytes);
        return exceeded(way, path);
      }
      : undefined;
    const store = (bytes: number) =>
      this.#counts && bytes > 0
        ? Effect.ignoreLogged(this.users.addTransfer(this.user.username, way, bytes))
        : Effect.void;
    return new Flow(this.line, way, rate, charge, store);
  }

  /** Bytes that may still be moved. A total replaces the separate limits. */
  #left(way: Direction): number {
    const { line, user } = this;
    if (user.total_data_transfer > 0) {
      return user.total_data_transfer * MB - line.moved("upload") - line.moved("download");
    }
    const limit = way === "upload" ? user.upload_data_transfer : user.download_data_transfer;
    return limit > 0 ? limit * MB - line.moved(way) : Infinity;
  }
}

const exceeded = (way: Direction, path: string): FsError =>
  way === "upload"
    ? new FsError({
      reason: "QuotaExceeded",
      op: "write",
      path,
      detail: "data transfer limit exceeded",
    })
    : new FsError({ reason: "Denied", op: "read", path, detail: "data transfer limit exceeded" });

/** One transfer under limits. Its chunks go on in the order in which they came. */
export class Flow {
  #moved = 0;
  #era: bigint;
  #last: Promise<void> | undefined;
  #cancel: () => void = () => {};
  readonly #cancelled: Promise<void>;
  /** The transfer was left: nothing that waited may go on. */
  cancelled = false;

  constructor(
    readonly line: Line,
    readonly way: Direction,
    readonly rate: number,
    readonly charge: ((bytes: number) => FsError | undefined) | undefined,
    readonly store: (bytes: number) => Effect.Effect<void>,
  ) {
    this.#era = line.era;
    this.#cancelled = new Promise((resolve) => {
      this.#cancel = resolve;
    });
  }

  /**
   * Counts `bytes`, and resolves when they may go on. Rejects with what stands
   * against them (BEHAVIOUR DT-03); ends early, and says so, when the transfer is left.
   */
  async pass(bytes: number): Promise<void> {
    this.#forgetWhatWasReset();
    const refused = this.charge?.(bytes);
    if (refused) throw refused;
    this.#moved += bytes;
    if (this.rate === 0 || bytes === 0) return;
    const wait = this.line.reserve(this.way, bytes, this.rate);
    if (wait < 1 && !this.#last) return;
    const before = this.#last;
    const mine = this.#sleep(wait).then(() => before);
    this.#last = mine;
    await mine;
    if (this.#last === mine) this.#last = undefined;
  }

  /** Lets go of what waits. */
  cancel(): void {
    this.cancelled = true;
    this.#cancel();
  }

  /** Whether the end has something to store, which has to be waited for. */
  get stores(): boolean {
    return this.charge !== undefined;
  }

  /** Stores what was moved, failed transfers included (BEHAVIOUR DT-04). */
  get end(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.cancel();
      this.#forgetWhatWasReset();
      const moved = this.#moved;
      this.#moved = 0;
      return this.store(moved);
    });
  }

  /** What this transfer moved before a reset is not to be stored after it (BEHAVIOUR DT-05). */
  #forgetWhatWasReset(): void {
    const { era } = this.line;
    if (era === this.#era) return;
    this.#era = era;
    this.#moved = 0;
  }

  #sleep(ms: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const slept = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.min(ms, 2 ** 31 - 1));
    });
    return Promise.race([slept, this.#cancelled]).finally(() => clearTimeout(timer));
  }
}
