import { Effect } from "effect";
import type { Settings } from "../config/config.ts";
import { FsError, type FsReason } from "../errors.ts";
import type { EventAction, NewEvent } from "../events/event.ts";
import type { Intent, Journal, Unflushed } from "../events/journal.ts";
import type { Users } from "../catalog/catalog.ts";
import type { Principal } from "../model/session.ts";
import type { User } from "../model/user.ts";
import { isStagedName, stagedMark } from "../storage/staged.ts";
import { components, type VPath } from "../vpath.ts";
import type { Limits } from "./limits.ts";
import type { LatePaths } from "./late_paths.ts";
import type { PathLocks } from "./locks.ts";
import type { Mounts, Spot } from "./mounts.ts";
import { type Patterns, patternsOf } from "./patterns.ts";
import {
  type Operation,
  operations,
  type Permissions,
  permissionsOf,
  type Rule,
} from "./policy.ts";
import type { Payer, Quota, Usage } from "./quota.ts";
import type { Elsewhere, Uploads } from "./uploads.ts";
import type { TransferObserver } from "./vfs.ts";
import { stopwatch } from "../monotonic.ts";

/** What all sessions of the process share. */
export interface Services {
  readonly common: Settings["common"];
  readonly quota: typeof Quota.Service;
  readonly journal: typeof Journal.Service;
  readonly users: typeof Users.Service;
  readonly uploads: Uploads;
  readonly elsewhere: typeof Elsewhere.Service;
  readonly locks: PathLocks;
  readonly late: LatePaths;
}

/** What one change did: facts for the event, and what it moved in the usage. */
export interface Outcome {
  readonly facts?: Partial<NewEvent>;
  readonly usage?: Usage;
  /** What it left to be flushed. */
  readonly unflushed?: Unflushed | undefined;
}

/** What the locks of a place go by. */
export const nameOf = ({ storage, key }: Spot): string => `${storage.identity}\0${key}`;

const nothing: Usage = { bytes: 0, files: 0 };

/** One session's rights, and the steps that every operation takes: check, locate, do, journal. */
export class Access {
  readonly permissions: Permissions;
  readonly patterns: Patterns;

  constructor(
    readonly services: Services,
    readonly user: User,
    readonly principal: Principal,
    readonly mounts: Mounts,
    readonly observer: TransferObserver | undefined,
    /** Undefined where nothing limits the user's transfers. */
    readonly limits: Limits | undefined = undefined,
  ) {
    this.permissions = permissionsOf(user);
    this.patterns = patternsOf(user);
  }

  /** Notes the account's first transfer (BEHAVIOUR XFER-02); asks the catalog at most once a session. */
  touchFirst(what: "first_upload" | "first_download"): Effect.Effect<void> {
    if (!this.isFirst(what)) return Effect.void;
    this.#touched.add(what);
    return this.services.users.touchFirst(this.user.username, what);
  }
  readonly #touched = new Set<string>();

  /** Whether {@linkcode touchFirst} would have to note it. */
  isFirst(what: "first_upload" | "first_download"): boolean {
    return this.user[what] === 0 && !this.#touched.has(what);
  }

  /** Fails with Denied, or NotFound where the name is hidden, unless `operation` may be done on `path`. */
  check(
    operation: Operation,
    path: VPath,
    side: "source" | "target" = "source",
  ): Effect.Effect<void, FsError> {
    const refused = this.verdict(operation, path, side);
    return refused ? Effect.fail(refused) : Effect.void;
  }

  /** What {@linkcode check} fails with; undefined if it does not. */
  verdict(
    operation: Operation,
    path: VPath,
    side: "source" | "target" = "source",
  ): FsError | undefined {
    const { patterns, writes }: Rule = operations[operation];
    const verdict = this.patterns.verdict(path);
    if (verdict === "hide") return this.error("NotFound", operation, path);
    if (path.includes(stagedMark) && components(path).some(isStagedName)) {
      return this.error(writes ? "Denied" : "NotFound", operation, path, "the name is reserved");
    }
    if (!this.permissions.allows(operation, path, side)) {
      return this.error("Denied", operation, path);
    }
    if (patterns && verdict === "deny") {
      return this.error("Denied", operation, path, "the name is not allowed here");
    }
    return undefined;
  }

  /** {@linkcode check} as a question. */
  may(operation: Operation, path: VPath, side: "source" | "target" = "source"): boolean {
    return this.permissions.allows(operation, path, side) &&
      (!operations[operation].patterns || this.patterns.verdict(path) === "allow");
  }

  /** Whether a recursive operation on `path` has to look at every entry (BEHAVIOUR PERM-21). */
  hasRulesBelow(path: VPath): boolean {
    return this.permissions.anyBelow(path) || this.patterns.anyBelow(path);
  }

  /** Whose quota the files of a place count in. */
  payer({ mount }: Spot): Payer {
    return mount.payer ?? this.user;
  }

  at(path: VPath): Spot {
    return this.mounts.locate(path);
  }

  fail(
    reason: FsReason,
    op: string,
    path: VPath,
    detail?: string,
  ): Effect.Effect<never, FsError> {
    return Effect.fail(this.error(reason, op, path, detail));
  }

  error(reason: FsReason, op: string, path: VPath, detail?: string): FsError {
    return new FsError({ reason, op, path, ...(detail ? { detail } : {}) });
  }

  /**
   * Runs `body` holding the locks of these places, once nothing that another
   * thread did there waits to be flushed.
   */
  locked<A, E, R>(
    spots: ReadonlyArray<Spot>,
    body: Effect.Effect<A, E, R>,
  ): Effect.Effect<A, E | FsError, R> {
    const { locks, late } = this.services;
    const names = spots.map(nameOf);
    return locks.with(
      names,
      late.alone ? body : Effect.suspend(() => {
        const waits = late.others(names);
        return waits ? Effect.andThen(waits, body) : body;
      }),
    );
  }

  event(action: EventAction, path: VPath, more: Partial<NewEvent> = {}): NewEvent {
    const { username, ip, protocol, sessionId } = this.principal;
    return {
      action,
      status: 1,
      username,
      ip,
      protocol,
      session_id: sessionId,
      virtual_path: path,
      ...more,
    };
  }

  /**
   * Does `change` between a durable intention and its settlement.
   *
   * A crash in between is resolved at the next start by looking at the storage
   * (recovery.ts). Cannot be interrupted. A failure of `change` forgets the
   * intention and journals the failure.
   */
  journalled<A>(
    event: NewEvent,
    intent: Omit<Intent, "username">,
    expected: Usage,
    change: Effect.Effect<A, FsError>,
    outcome: (done: A) => Outcome,
    adjust?: (usage: Usage) => Effect.Effect<Usage>,
    content?: Uint8Array,
  ): Effect.Effect<A, FsError> {
    const { journal, quota } = this.services;
    // What is changed, and so counted, is the target where there is one.
    const spot = this.at((event.virtual_target_path ?? event.virtual_path ?? "/") as VPath);
    const payer = this.payer(spot);
    const { username } = payer;
    const settle = adjust ?? ((usage: Usage) => quota.adjust(payer, usage));
    const elapsed = stopwatch();
    const unable = (cause: unknown) =>
      this.unprepared(event.action, event.virtual_path ?? "", cause);
    const run = Effect.matchEffect(
      journal.prepare(event, this.intent(intent, spot), { username, ...expected }, content),
      {
        onFailure: (cause) => Effect.fail(unable(cause)),
        onSuccess: (prepared) =>
          Effect.matchCauseEffect(change, {
            onFailure: (cause) => Effect.andThen(prepared.cancel(), Effect.failCause(cause)),
            onSuccess: (done) => {
              const { facts, usage = nothing, unflushed } = outcome(done);
              // What memory counted is what the catalog adds up, in whatever order threads bring it.
              return Effect.flatMap(settle(usage), (moved) =>
                Effect.as(
                  prepared.settle(
                    { elapsed: elapsed(), ...facts },
                    { username, ...moved },
                    unflushed,
                  ),
                  done,
                ));
            },
          }),
      },
    );
    return Effect.uninterruptible(quota.during(payer, run));
  }

  /** An intent with where its keys are. */
  intent(intent: Omit<Intent, "username">, { mount: { folder } }: Spot): Intent {
    return { ...intent, username: this.user.username, ...(folder && { folder }) };
  }

  /** What an operation fails with that the journal could not note. */
  unprepared(op: EventAction, path: string, cause: unknown): FsError {
    const detail = "the journal cannot be written";
    return new FsError({ reason: "Unavailable", op, path, detail, cause });
  }

  /** Journals that an operation failed; the failure itself goes on. */
  recordFailure(event: NewEvent) {
    return (error: FsError): Effect.Effect<void> =>
      this.services.journal.record({
        ...event,
        status: error.reason === "QuotaExceeded" || error.reason === "TooLarge" ? 3 : 2,
        message: error.detail ?? error.reason,
      });
  }
}
