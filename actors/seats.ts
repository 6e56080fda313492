import type { GuardRefusal } from "../src/guard/guard.ts";
import type { GuardedProtocol } from "../src/model/ip_list.ts";

/** Why a connection or a session was not admitted. */
export type Refusal =
  | "total"
  | "per_host"
  | "startups"
  | "per_user"
  | "draining"
  | GuardRefusal;

/** Caps; 0 is no cap. */
export interface Caps {
  readonly total: number;
  readonly perHost: number;
  /** Of those who have not logged in yet: a crowd of one protocol keeps nobody out of another. */
  readonly startups: Readonly<Record<GuardedProtocol, number>>;
}

/** What one connection has taken. */
interface Taken {
  readonly ip: string;
  readonly protocol: GuardedProtocol;
  user?: { readonly name: string; readonly max: number };
  /** Places of the user on top of the first. */
  others: number;
}

/** Numbers by name; those that fall to 0 are forgotten. */
class Counts {
  #counts = new Map<string, number>();
  get(key: string): number {
    return this.#counts.get(key) ?? 0;
  }
  add(key: string, by: number): void {
    const next = this.get(key) + by;
    if (next > 0) this.#counts.set(key, next);
    else this.#counts.delete(key);
  }
}

const full = (cap: number, count: number) => cap > 0 && count >= cap;

/**
 * The places that connections take, over all threads. There is one of these in
 * a process. Each call is one synchronous step, so that no burst passes a cap.
 */
export class Seats {
  readonly #caps: Caps;
  readonly #hosts = new Counts();
  readonly #users = new Counts();
  readonly #taken = new Map<string, Taken>();
  readonly #startups = new Counts();
  #draining = false;

  constructor(caps: Caps) {
    this.#caps = caps;
  }

  /** Takes a seat for a new connection: its id, or why there is none. */
  take(
    ip: string,
    protocol: GuardedProtocol,
  ): { readonly id: string } | { readonly refusal: Refusal } {
    const refusal = this.#refusal(ip, protocol);
    if (refusal) return { refusal };
    const id = crypto.randomUUID().replaceAll("-", "").slice(0, 20);
    this.#taken.set(id, { ip, protocol, others: 0 });
    this.#startups.add(protocol, 1);
    this.#hosts.add(ip, 1);
    return { id };
  }

  #refusal(ip: string, protocol: GuardedProtocol): Refusal | undefined {
    if (this.#draining) return "draining";
    if (full(this.#caps.total, this.#taken.size)) return "total";
    if (full(this.#caps.perHost, this.#hosts.get(ip))) return "per_host";
    if (full(this.#caps.startups[protocol], this.#startups.get(protocol))) return "startups";
    return undefined;
  }

  /** Takes a place of the user too. A refusal leaves the counts as they were. */
  login(id: string, name: string, max: number): Refusal | undefined {
    const taken = this.#taken.get(id);
    if (!taken || taken.user) return "per_user";
    const refusal = this.#sit(name, max);
    if (refusal) return refusal;
    taken.user = { name, max };
    this.#startups.add(taken.protocol, -1);
    return undefined;
  }

  /** After `login`: takes a further place of that user. */
  another(id: string): Refusal | undefined {
    const taken = this.#taken.get(id);
    if (!taken?.user) return "per_user";
    const refusal = this.#sit(taken.user.name, taken.user.max);
    if (!refusal) taken.others += 1;
    return refusal;
  }

  #sit(name: string, max: number): Refusal | undefined {
    if (this.#draining) return "draining";
    if (full(max, this.#users.get(name))) return "per_user";
    this.#users.add(name, 1);
    return undefined;
  }

  /** Gives back what one `another` took. */
  oneLess(id: string): void {
    const taken = this.#taken.get(id);
    if (!taken?.user || taken.others === 0) return;
    taken.others -= 1;
    this.#users.add(taken.user.name, -1);
  }

  /** Gives back all that the connection took; does nothing the second time. */
  leave(id: string): void {
    const taken = this.#taken.get(id);
    if (!taken) return;
    this.#taken.delete(id);
    this.#hosts.add(taken.ip, -1);
    if (taken.user) this.#users.add(taken.user.name, -1 - taken.others);
    else this.#startups.add(taken.protocol, -1);
  }

  /** Refuses everybody from now on. */
  drain(): void {
    this.#draining = true;
  }
}
