import { Context, Effect, Layer } from "effect";
import { Users } from "../catalog/catalog.ts";
import type { CatalogError } from "../errors.ts";
import { Account, accountBytes } from "./account.ts";
import { Participant } from "../participant.ts";
import type { Moved, Payer, Usage } from "./quota.ts";

/** What an account is opened with: the counters fill it if it is new. */
export type Owner = Omit<Payer, "quota_size" | "quota_files">;

/** Where an account lies. Plain data, for other threads too. */
export interface Place {
  readonly memory: SharedArrayBuffer;
  readonly offset: number;
}

/** Accounts of one piece of memory. */
const perSegment = 512;

/** Finds accounts: the hub (or the only thread) hands them out, workers ask for them. */
export class Accounts extends Context.Tag("sluice/Accounts")<Accounts, {
  /** One account a user, for as long as the server runs. */
  readonly open: (owner: Owner) => Effect.Effect<Place>;
  /** Replaces the counters of whoever has the name now, in memory and in the catalog. */
  readonly set: (username: string, usage: Usage) => Effect.Effect<void, CatalogError>;
  /** The same for what was counted since `version`; false, and nothing is set, when files changed since. */
  readonly setCounted: (
    owner: Owner,
    usage: Usage,
    version: number,
  ) => Effect.Effect<boolean, CatalogError>;
  /** Replaces what counts as moved, in memory and in the catalog. */
  readonly setTransfer: (username: string, moved: Moved) => Effect.Effect<void, CatalogError>;
}>() {}

/** The book of all accounts. There is one, in the hub. */
export class AccountBook extends Context.Tag("sluice/AccountBook")<AccountBook, {
  readonly open: (owner: Owner) => Place;
  /** The account of whoever has the name now, if it was ever opened. */
  readonly named: (username: string) => Place | undefined;
  /**
   * Gives back what the uploads of a participant held that is gone. Answers the
   * users whose files it was changing: their usage has to be read again.
   */
  readonly dismiss: (index: number, life: number) => ReadonlyArray<string>;
}>() {
  static readonly layer: Layer.Layer<AccountBook, never, Participant> = Layer.effect(
    AccountBook,
    Effect.map(Participant, (hub) => {
      const size = accountBytes(hub.memory.participants);
      const places = new Map<string, Place & { readonly username: string }>();
      const names = new Map<string, Place>();
      let segment = new SharedArrayBuffer(0);
      let used = perSegment;
      return AccountBook.of({
        open: (owner) => {
          const { id, username, used_quota_size, used_quota_files } = owner;
          // A user that was deleted and made anew is another one.
          const key = `${id} ${username}`;
          const known = places.get(key);
          if (known) return known;
          if (used === perSegment) {
            segment = new SharedArrayBuffer(perSegment * size);
            used = 0;
          }
          const place = { memory: segment, offset: size * used++, username };
          const account = new Account(place.memory, place.offset, hub);
          account.set({ bytes: used_quota_size, files: used_quota_files });
          account.line.begin(
            owner.used_upload_data_transfer ?? 0,
            owner.used_download_data_transfer ?? 0,
          );
          places.set(key, place);
          names.set(username, place);
          return place;
        },
        named: (username) => names.get(username),
        dismiss: (index, life) =>
          [...places.values()].flatMap(({ memory, offset, username }) =>
            new Account(memory, offset, hub).dismiss(index, life) ? [username] : []
          ),
      });
    }),
  );
}

/** {@linkcode Accounts} where the book is. */
export const bookedAccounts: Layer.Layer<Accounts, never, AccountBook | Participant | Users> = Layer
  .effect(
    Accounts,
    Effect.gen(function* () {
      const book = yield* AccountBook;
      const viewer = yield* Participant;
      const users = yield* Users;
      const view = ({ memory, offset }: Place) => new Account(memory, offset, viewer);
      return Accounts.of({
        open: (owner) => Effect.sync(() => book.open(owner)),
        // Memory first: what settles after this moment comes on top, here and in the catalog's queue.
        set: (username, usage) =>
          Effect.suspend(() => {
            const place = book.named(username);
            if (place) view(place).set(usage);
            return users.setUsage(username, usage);
          }),
        setTransfer: (username, moved) =>
          Effect.suspend(() => {
            const place = book.named(username);
            if (place) view(place).line.begin(moved.upload, moved.download);
            return users.setTransfer(username, moved);
          }),
        setCounted: (owner, usage, version) =>
          Effect.suspend(() =>
            view(book.open(owner)).set(usage, version)
              ? Effect.as(users.setUsage(owner.username, usage), true)
              : Effect.succeed(false)
          ),
      });
    }),
  );
