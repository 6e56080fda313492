import { Context, Deferred, Effect, Exit, Layer, Schedule, Scope } from "effect";
import { Branches, hubRegistry } from "../actors/branches.ts";
import { holdPorts } from "../actors/ports.ts";
import { guardHandlers } from "../actors/remote_guard.ts";
import { davHandlers } from "../actors/remote_dav.ts";
import { accountHandlers } from "../actors/remote_accounts.ts";
import { journalHandlers } from "../actors/remote_journal.ts";
import { sweepAfter } from "../actors/reaper.ts";
import { elsewhereHandlers } from "../actors/remote_uploads.ts";
import { uploadRecordHandlers } from "../actors/remote_upload_records.ts";
import type { Handlers, Peer } from "../actors/rpc.ts";
import { type Prepared, runWorkers } from "../actors/workers.ts";
import { layer as masterKey } from "../adapters/keys/master_key.ts";
import { localStorages } from "../adapters/storage/local/layer.ts";
import { type Binding, Config } from "./config/config.ts";
import { davLayer } from "./catalog/dav.ts";
import { type ConfigError, FsError } from "./errors.ts";
import { countEscape } from "./escapes.ts";
import { Journal } from "./events/journal.ts";
import { failpoints } from "./failpoint.ts";
import { watchman } from "./guard/watchman.ts";
import { SecondFactor } from "./identity/second_factor.ts";
import { prepareCertificates, prepareHostKeys } from "./host_keys.ts";
import { stageAs } from "./storage/staged.ts";
import { takeTurnsAs } from "./storage/turns.ts";
import { takeThread } from "./threads.ts";
import { AccountBook, Accounts, bookedAccounts, type Owner } from "./vfs/account_book.ts";
import { dismissFrom } from "./vfs/dismissal.ts";
import { admit, Participant, type SharedMemory, shareMemory, workerLives } from "./participant.ts";
import { sharedQuota } from "./vfs/quota_accounts.ts";
import { reread, Settled } from "./vfs/recount.ts";
import { recoverPart } from "./vfs/recovery.ts";
import { UploadRecords } from "./vfs/upload_records.ts";
import { type Greeting, partOf } from "./worker_greeting.ts";

type Listeners = Readonly<Record<string, ReadonlyArray<string>>>;

/** What the workers wait for while they load. */
interface Base {
  readonly prepare: (index: number) => Effect.Effect<Prepared, never, Scope.Scope>;
  readonly join: (peer: Peer) => Effect.Effect<void, never, Scope.Scope>;
}

/**
 * Starts `count` worker threads, which load while the caller opens the catalog
 * and builds `layer` on it. `serve` lets them serve, and answers when the
 * first accepts. They end with the scope.
 */
export const startCrew = (count: number) =>
  Effect.gen(function* () {
    const base = yield* Deferred.make<Base>();
    const memory = shareMemory(count + 1);
    let listeners: Listeners = {};
    const workers = yield* runWorkers<ConfigError>({
      count,
      spawn: takeThread,
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
      yield* prepareCertificates(settings);
      const ports = yield* Effect.acquireRelease(
        Scope.make(),
        (scope, exit) => Scope.close(scope, exit),
      );
      const hold = <B extends Binding>(section: string, bindings: ReadonlyArray<B>) =>
        Scope.extend(holdPorts(bindings, `${section}.bindings`), ports);
      const { sftpd, ftpd, httpd, webdavd } = settings;
      const { join } = yield* Branches;
      const prepare = yield* preparing(memory, {
        ...settings,
        sftpd: { ...sftpd, bindings: yield* hold("sftpd", sftpd.bindings) },
        ftpd: { ...ftpd, bindings: yield* hold("ftpd", ftpd.bindings) },
        httpd: { ...httpd, bindings: yield* hold("httpd", httpd.bindings) },
        webdavd: { ...webdavd, bindings: yield* hold("webdavd", webdavd.bindings) },
      });
      yield* Deferred.succeed(base, { prepare, join });
      yield* workers.begun;
      yield* Scope.close(ports, Exit.void);
      return { listeners, alive: () => workers.serving() > 0, workers: workers.serving };
    });
    return { layer: hubLayer(memory), serve };
  });

/** What the main thread keeps for all, besides the catalog. */
const hubLayer = (memory: SharedMemory) => Layer.provideMerge(davLayer, hubServices(memory));

const hubServices = (memory: SharedMemory) =>
  Layer.effectContext(
    Effect.gen(function* () {
      const own = yield* Journal;
      const { askAll } = yield* Branches;
      const flushed = Effect.tap(askAll<number>("journal.flush"), () => own.flush);
      // One that died has not told all it settled until its log is recovered: then it has no place any more.
      const all = Effect.filterOrFail(
        flushed,
        (lives) => workerLives(memory).every((life) => lives.includes(life)),
        () =>
          new FsError({ reason: "Busy", op: "quota-scan", path: "/", detail: "a worker is away" }),
      ).pipe(Effect.retry({ times: 50, schedule: Schedule.spaced("200 millis") }));
      return Context.make(Journal, Journal.of({ ...own, flush: Effect.asVoid(flushed) })).pipe(
        Context.add(Settled, Effect.asVoid(all)),
      );
    }),
  ).pipe(
    Layer.provideMerge(Layer.mergeAll(
      sharedQuota,
      localStorages,
      hubRegistry,
      Layer.provide(SecondFactor.layer, masterKey),
    )),
    Layer.provideMerge(watchman),
    Layer.provideMerge(bookedAccounts),
    Layer.provideMerge(AccountBook.layer),
    Layer.provideMerge(Layer.sync(Participant, () => {
      const hub = admit(memory, 0);
      stageAs(hub);
      takeTurnsAs(hub);
      return hub;
    })),
  );

/** What each life of a worker starts with; its end gives back all that it held. */
const preparing = (memory: SharedMemory, settings: Config["Type"]) =>
  Effect.gen(function* () {
    const branches = yield* Branches;
    const fixed: Handlers = {
      ...(yield* accountHandlers),
      ...(yield* guardHandlers),
      ...(yield* davHandlers),
      ...(yield* journalHandlers),
      ...(yield* elsewhereHandlers),
      "worker.escaped": () => Effect.sync(countEscape),
    };
    const giveBack = yield* giveBackAll;
    const accounts = yield* Accounts;
    const records = yield* UploadRecords;
    return (index: number): Effect.Effect<Prepared, never, Scope.Scope> =>
      Effect.gen(function* () {
        /** Whose files the worker may write. */
        const users = new Set<string>();
        const participant = yield* Effect.acquireRelease(
          Effect.sync(() => admit(memory, index + 1)),
          (gone) => giveBack(gone, users),
        );
        const open = (owner: Owner) =>
          Effect.suspend(() => {
            users.add(owner.username);
            return accounts.open(owner);
          });
        const seats = yield* branches.handlers;
        const uploads = yield* Effect.provideService(uploadRecordHandlers, UploadRecords, records);
        const greeting: Greeting = { index, settings, failpoints: failpoints(), participant };
        return { handlers: { ...fixed, ...seats, ...uploads, "accounts.open": open }, greeting };
      });
  });

/** Settles what a worker had begun, and frees what it held. Its thread is gone by then. */
const giveBackAll = Effect.gen(function* () {
  const services = yield* Effect.context<
    Effect.Effect.Context<ReturnType<typeof recoverPart | typeof reread | typeof sweepAfter>>
  >();
  const release = dismissFrom(yield* Participant, yield* AccountBook);
  const crew = yield* Effect.scope;
  return (gone: typeof Participant.Service, users: ReadonlySet<string>) =>
    Effect.gen(function* () {
      // Its paths stay locked until it is known what became of them.
      yield* recoverPart(partOf(gone)).pipe(
        Effect.tap((recovered) =>
          recovered.settled + recovered.cancelled + recovered.open > 0
            ? Effect.logInfo({ event: "recovered", ...recovered })
            : Effect.void
        ),
        Effect.catchAllCause((cause) =>
          Effect.logError("the log of a worker could not be recovered", cause)
        ),
      );
      // Not after one another: a user who never rests delays only his own reading.
      yield* Effect.all([sweepAfter(users), ...release(gone).map(reread)], {
        concurrency: "unbounded",
        discard: true,
      }).pipe(
        Effect.catchAllCause((cause) =>
          Effect.logWarning("what a worker left in homes could not be cleared", cause)
        ),
        Effect.forkIn(crew),
      );
    }).pipe(Effect.provide(services));
});
