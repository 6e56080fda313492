import { Deferred, Effect, Layer, type Scope } from "effect";
import { Branches, hubRegistry } from "../actors/branches.ts";
import { choosePorts } from "../actors/ports.ts";
import { accountHandlers } from "../actors/remote_accounts.ts";
import { journalHandlers } from "../actors/remote_journal.ts";
import type { Handlers, Peer } from "../actors/rpc.ts";
import { type Prepared, runWorkers } from "../actors/workers.ts";
import { localStorages } from "../adapters/storage/local/layer.ts";
import { Users } from "./catalog/catalog.ts";
import { Config } from "./config/config.ts";
import type { ConfigError } from "./errors.ts";
import { countEscape } from "./escapes.ts";
import { Journal } from "./events/journal.ts";
import { failpoints } from "./failpoint.ts";
import { prepareHostKeys } from "./serving.ts";
import { AccountBook, Accounts, bookedAccounts } from "./vfs/account_book.ts";
import { PathLocks } from "./vfs/locks.ts";
import { admit, dismiss, Participant, type SharedMemory, shareMemory } from "./participant.ts";
import { sharedQuota } from "./vfs/quota_accounts.ts";
import { recoverPart } from "./vfs/recovery.ts";
import { type Greeting, partOf } from "./worker_greeting.ts";

type Listeners = Readonly<Record<string, ReadonlyArray<string>>>;

/** What the workers wait for while they load. */
interface Base {
  readonly prepare: (index: number) => Effect.Effect<Prepared, never, Scope.Scope>;
  readonly join: (peer: Peer) => Effect.Effect<void, never, Scope.Scope>;
}

/**
 * Starts `count` worker threads, which load while the caller opens the catalog
 * and builds `layer` on it. `serve` lets them serve, and answers when all
 * accept; they end with the scope.
 */
export const startCrew = (count: number) =>
  Effect.gen(function* () {
    const base = yield* Deferred.make<Base>();
    const memory = shareMemory(count + 1);
    let listeners: Listeners = {};
    const workers = yield* runWorkers<ConfigError>({
      count,
      spawn: (index) =>
        new Worker(new URL("./worker.ts", import.meta.url).href, {
          type: "module",
          name: `worker ${index}`,
        }),
      prepare: (index) => Effect.flatMap(Deferred.await(base), ({ prepare }) => prepare(index)),
      begin: (_index, peer) =>
        Effect.gen(function* () {
          const { join } = yield* Deferred.await(base);
          listeners = yield* peer.ask<Listeners, ConfigError>("worker.begin");
          yield* join(peer);
        }),
    });
    const serve = Effect.gen(function* () {
      const settings = yield* Config;
      // Once, here: workers that each made the missing ones would not agree.
      yield* prepareHostKeys(settings);
      const bindings = yield* choosePorts(settings.sftpd.bindings, "sftpd.bindings");
      const { join } = yield* Branches;
      const prepare = yield* preparing(memory, {
        ...settings,
        sftpd: { ...settings.sftpd, bindings },
      });
      yield* Deferred.succeed(base, { prepare, join });
      yield* workers.begun;
      return { listeners, alive: () => workers.serving() > 0 };
    });
    return { layer: hubLayer(memory), serve };
  });

/** What the main thread keeps for all, besides the catalog. */
const hubLayer = (memory: SharedMemory) =>
  Layer.effect(
    Journal,
    Effect.gen(function* () {
      const own = yield* Journal;
      const { askAll } = yield* Branches;
      return Journal.of({ ...own, flush: Effect.andThen(askAll("journal.flush"), own.flush) });
    }),
  ).pipe(
    Layer.provideMerge(Layer.mergeAll(sharedQuota, localStorages, hubRegistry)),
    Layer.provideMerge(bookedAccounts),
    Layer.provideMerge(AccountBook.layer),
    Layer.provideMerge(Layer.sync(Participant, () => admit(memory, 0))),
  );

/** What each life of a worker starts with; its end gives back all that it held. */
const preparing = (memory: SharedMemory, settings: Config["Type"]) =>
  Effect.gen(function* () {
    const branches = yield* Branches;
    const fixed: Handlers = {
      ...(yield* accountHandlers),
      ...(yield* journalHandlers),
      "worker.escaped": () => Effect.sync(countEscape),
    };
    const giveBack = yield* giveBackWith(memory);
    return (index: number): Effect.Effect<Prepared, never, Scope.Scope> =>
      Effect.gen(function* () {
        const participant = yield* Effect.acquireRelease(
          Effect.sync(() => admit(memory, index + 1)),
          giveBack,
        );
        const seats = yield* branches.handlers;
        const greeting: Greeting = { index, settings, failpoints: failpoints(), participant };
        return { handlers: { ...fixed, ...seats }, greeting };
      });
  });

/** Settles what a worker had begun, and frees what it held. Its thread is gone by then. */
const giveBackWith = (memory: SharedMemory) =>
  Effect.gen(function* () {
    const services = yield* Effect.context<Effect.Effect.Context<ReturnType<typeof recoverPart>>>();
    const book = yield* AccountBook;
    const accounts = yield* Accounts;
    const users = yield* Users;
    const hub = yield* Participant;
    const locks = new PathLocks(hub);
    return (gone: typeof Participant.Service) =>
      Effect.gen(function* () {
        const recovered = yield* Effect.provide(recoverPart(partOf(gone)), services);
        if (recovered.settled + recovered.cancelled + recovered.open > 0) {
          yield* Effect.logInfo({ event: "recovered", ...recovered });
        }
        dismiss(memory, gone.index);
        // Their usage in memory may lack what was settled just now: the catalog has it.
        for (const name of book.dismiss(gone.index, gone.life)) {
          const user = yield* users.find(name);
          if (user) {
            const { used_quota_size: bytes, used_quota_files: files } = user;
            yield* accounts.set(name, { bytes, files });
          }
        }
        locks.releaseAll(gone.life);
      }).pipe(
        Effect.catchAllCause((cause) =>
          Effect.logError("what a worker held could not all be given back", cause)
        ),
      );
  });
