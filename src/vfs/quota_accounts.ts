import { Effect, Layer } from "effect";
import type { Users } from "../catalog/catalog.ts";
import { FsError } from "../errors.ts";
import { Account } from "./account.ts";
import { attempt } from "./attempt.ts";
import { AccountBook, Accounts, bookedAccounts, type Owner } from "./account_book.ts";
import { Participant } from "../participant.ts";
import { type Lease, type Payer, Quota } from "./quota.ts";

const maxScans = 8;

/** Quota over accounts that other threads work on as well. */
export const sharedQuota: Layer.Layer<Quota, never, Accounts | Participant> = Layer.effect(
  Quota,
  Effect.gen(function* () {
    const accounts = yield* Accounts;
    const viewer = yield* Participant;
    const known = new Map<string, { readonly id: number; readonly account: Account }>();
    /** Asks for an account once; after that it costs a look into a map. */
    const on = <A, E, R>(
      user: Payer,
      use: (account: Account) => Effect.Effect<A, E, R>,
    ): Effect.Effect<A, E, R> =>
      Effect.suspend(() => {
        const found = known.get(user.username);
        if (found && found.id === user.id) return use(found.account);
        return Effect.flatMap(accounts.open(ownerOf(user)), ({ memory, offset }) => {
          const account = new Account(memory, offset, viewer);
          known.set(user.username, { id: user.id, account });
          return use(account);
        });
      });

    return Quota.of({
      reserve: (user, path, replaces) =>
        on(user, (account) => attempt(() => reserve(account, user, path, replaces))),
      atHand: (user) => {
        const found = known.get(user.username);
        if (found?.id !== user.id) return undefined;
        const { account } = found;
        return {
          reserve: (path, replaces) => reserve(account, user, path, replaces),
          touch: (by) => account.touch(by),
        };
      },
      adjust: (user, { bytes, files }) =>
        on(user, (account) => Effect.succeed(account.settle(0, 0, bytes, files))),
      usage: (user) => on(user, (account) => Effect.succeed(account.usage())),
      held: (user) => on(user, (account) => Effect.succeed(account.held())),
      during: (user, change) =>
        on(user, (account) =>
          Effect.uninterruptibleMask((restore) => {
            account.touch(1);
            return Effect.matchCauseEffect(restore(change), {
              onSuccess: (value) => {
                account.touch(-1);
                return Effect.succeed(value);
              },
              onFailure: (cause) => {
                account.touch(-1);
                return Effect.failCause(cause);
              },
            });
          })),
      lineOf: (user) => on(user, (account) => Effect.succeed(account.line)),
      set: accounts.set,
      setTransfer: accounts.setTransfer,
      recount: (user, count) =>
        on(user, (account) =>
          Effect.gen(function* () {
            for (let scan = 0; scan < maxScans; scan++) {
              const { version, changing } = account.standing();
              if (changing === 0) {
                const usage = yield* count;
                if (yield* accounts.setCounted(ownerOf(user), usage, version)) return usage;
              }
              yield* Effect.sleep("100 millis");
            }
            return yield* new FsError({
              reason: "Busy",
              op: "quota-scan",
              path: "/",
              detail: "files kept changing while they were counted; try again",
            });
          })),
    });
  }),
);

/** Quota of a server of one thread. */
export const quotaAccounts: Layer.Layer<Quota, never, Users> = sharedQuota.pipe(
  Layer.provide(bookedAccounts),
  Layer.provide(AccountBook.layer),
  Layer.provide(Participant.alone),
);

/** Only what an account begins with: it goes to another thread, and a user holds more. */
const ownerOf = (payer: Payer): Owner => ({
  id: payer.id,
  username: payer.username,
  used_quota_size: payer.used_quota_size,
  used_quota_files: payer.used_quota_files,
  used_upload_data_transfer: payer.used_upload_data_transfer ?? 0,
  used_download_data_transfer: payer.used_download_data_transfer ?? 0,
});

const reserve = (
  account: Account,
  { quota_size, quota_files }: Payer,
  path: string,
  replaces: number | undefined,
): Lease => {
  const limit = { bytes: quota_size, files: quota_files };
  const refused = account.start(limit, replaces === undefined ? 1 : 0);
  if (refused === undefined) return lease(account, quota_size, replaces);
  throw new FsError({
    reason: "QuotaExceeded",
    op: "open",
    path,
    detail: refused === "bytes" ? "disk quota exceeded" : "file count quota exceeded",
  });
};

const lease = (account: Account, limit: number, replaces: number | undefined): Lease => {
  const counted = replaces ?? 0;
  const slot = replaces === undefined ? 1 : 0;
  let held = 0;
  let open = true;
  return {
    grow: (size) => {
      const more = size - counted - held;
      if (more <= 0) return true;
      if (!open || !account.hold(more, limit)) return false;
      held += more;
      return true;
    },
    settle: ({ bytes, files }) => {
      if (!open) return { bytes: 0, files: 0 };
      open = false;
      return account.settle(held, slot, bytes, files);
    },
    release: () => {
      if (!open) return;
      open = false;
      account.release(held, slot);
    },
  };
};
