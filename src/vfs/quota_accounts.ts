import { Effect, Layer } from "effect";
import { Users } from "../catalog/catalog.ts";
import { FsError } from "../errors.ts";
import type { User } from "../model/user.ts";
import { type Lease, Quota, type Usage } from "./quota.ts";

/** One user's books. All of it changes synchronously, so that no two uploads can take the same byte. */
interface Account {
  /** Tells a user that was deleted and made anew from the old one. */
  readonly id: number;
  bytes: number;
  files: number;
  /** Taken by uploads in progress, on top of `bytes` and `files`. */
  heldBytes: number;
  heldFiles: number;
  /** Grows with every change of usage: a scan that saw it change counts again. */
  version: number;
  /** Changes of files that are done but not settled yet, or the reverse. */
  changing: number;
}

const maxScans = 8;

/** The accounts, in memory; the user's row fills one when it is first used. */
export const quotaAccounts: Layer.Layer<Quota, never, Users> = Layer.effect(
  Quota,
  Effect.map(Users, (users) => {
    const accounts = new Map<string, Account>();
    const accountOf = (user: User): Account => {
      const known = accounts.get(user.username);
      if (known && known.id === user.id) return known;
      const fresh: Account = {
        id: user.id,
        bytes: user.used_quota_size,
        files: user.used_quota_files,
        heldBytes: 0,
        heldFiles: 0,
        version: 0,
        changing: 0,
      };
      accounts.set(user.username, fresh);
      return fresh;
    };
    /** Memory first: what settles after this moment comes on top, here and in the catalog's queue. */
    const set = (username: string, usage: Usage) =>
      Effect.suspend(() => {
        const account = accounts.get(username);
        if (account) Object.assign(account, { bytes: usage.bytes, files: usage.files });
        return users.setUsage(username, usage);
      });

    return Quota.of({
      reserve: (user, path, replaces) =>
        Effect.suspend(() => {
          const account = accountOf(user);
          const refuse = full(account, user, replaces === undefined);
          return refuse
            ? Effect.fail(
              new FsError({ reason: "QuotaExceeded", op: "open", path, detail: refuse }),
            )
            : Effect.succeed(lease(account, user.quota_size, replaces));
        }),
      adjust: (user, delta) => Effect.sync(() => change(accountOf(user), delta)),
      usage: (user) =>
        Effect.sync(() => {
          const { bytes, files } = accountOf(user);
          return { bytes, files };
        }),
      held: (user) =>
        Effect.sync(() => {
          const { heldBytes, heldFiles } = accountOf(user);
          return { bytes: heldBytes, files: heldFiles };
        }),
      during: (user, change) =>
        Effect.acquireUseRelease(
          Effect.sync(() => {
            const account = accountOf(user);
            account.changing++;
            return account;
          }),
          () => change,
          (account) =>
            Effect.sync(() => {
              account.changing--;
              account.version++;
            }),
        ),
      set,
      recount: (user, count) =>
        Effect.gen(function* () {
          const account = accountOf(user);
          for (let scan = 0; scan < maxScans; scan++) {
            const before = account.version;
            const quiet = account.changing === 0;
            const usage = yield* count;
            if (!quiet || account.version !== before) {
              yield* Effect.sleep("100 millis");
              continue;
            }
            yield* set(user.username, usage);
            return usage;
          }
          return yield* new FsError({
            reason: "Busy",
            op: "quota-scan",
            path: "/",
            detail: "files kept changing while they were counted; try again",
          });
        }),
    });
  }),
);

/** BEHAVIOUR QUOTA-04: what stands against a new upload, if anything. */
const full = (account: Account, user: User, isNew: boolean): string | undefined => {
  if (user.quota_size > 0 && account.bytes + account.heldBytes >= user.quota_size) {
    return "disk quota exceeded";
  }
  if (isNew && user.quota_files > 0 && account.files + account.heldFiles >= user.quota_files) {
    return "file count quota exceeded";
  }
  return undefined;
};

const lease = (account: Account, limit: number, replaces: number | undefined): Lease => {
  const counted = replaces ?? 0;
  const slot = replaces === undefined ? 1 : 0;
  let held = 0;
  let open = true;
  account.heldFiles += slot;
  const end = () => {
    if (!open) return false;
    open = false;
    account.heldBytes -= held;
    account.heldFiles -= slot;
    return true;
  };
  return {
    grow: (size) => {
      const more = size - counted - held;
      if (more <= 0) return true;
      if (!open || (limit > 0 && account.bytes + account.heldBytes + more > limit)) return false;
      account.heldBytes += more;
      held += more;
      return true;
    },
    settle: (delta) => {
      if (end()) change(account, delta);
    },
    release: () => {
      end();
    },
  };
};

/** External changes (QUOTA-14) can make a count too high; it never goes below nothing. */
const change = (account: Account, delta: Usage): void => {
  account.bytes = Math.max(0, account.bytes + delta.bytes);
  account.files = Math.max(0, account.files + delta.files);
  account.version++;
};
