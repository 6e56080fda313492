import { Cause, Deferred, Effect, Layer, Scope } from "effect";
import { Registry } from "../actors/registry.ts";
import { lockReaper, reaper } from "../actors/reaper.ts";
import { uploadReaper } from "../actors/upload_reaper.ts";
import { intentLog } from "../adapters/intents/layer.ts";
import { layer as masterKey } from "../adapters/keys/master_key.ts";
import { libsqlLayer } from "../adapters/libsql/layer.ts";
import { placeOf } from "../adapters/libsql/open.ts";
import { layer as totp } from "../adapters/otp/totp.ts";
import { layer as passwords } from "../adapters/passwords/passwords.ts";
import { chooseAlgorithms } from "../adapters/ssh/algorithms.ts";
import { localKeptObjects, localStorages } from "../adapters/storage/local/layer.ts";
import { controlApp } from "../web/control_app.ts";
import { telemetryApp } from "../web/telemetry_app.ts";
import { type ListenFailed, serveApp } from "../web/serve.ts";
import type { Users } from "./catalog/catalog.ts";
import { davLayer } from "./catalog/dav.ts";
import { uploadRecords } from "./catalog/uploads.ts";
import { Writer } from "./catalog/database.ts";
import { Config, type Settings } from "./config/config.ts";
import { ConfigError } from "./errors.ts";
import { Journal } from "./events/journal.ts";
import { ensureFirstAdmin } from "./first_admin.ts";
import { watchman } from "./guard/watchman.ts";
import { probes } from "./health.ts";
import { startCrew } from "./crew.ts";
import { prepareHostKeys } from "./host_keys.ts";
import { endSpareThreads } from "./threads.ts";
import { version } from "./version.ts";
import { Quota } from "./vfs/quota.ts";
import { quotaAccounts } from "./vfs/quota_accounts.ts";
import { recount, recountFolder } from "./vfs/recount.ts";
import { recover } from "./vfs/recovery.ts";
import { vfsFactory } from "./vfs/factory.ts";

/** Accounts, journal and secrets: what commands work on, without anything that listens. */
export const catalogLayer = (settings: Settings) =>
  Layer.merge(uploadRecords, localKeptObjects).pipe(
    Layer.provideMerge(libsqlLayer),
    Layer.provideMerge(Layer.mergeAll(passwords, totp, intentLog("hub"))),
    Layer.provideMerge(Layer.succeed(Config, settings)),
  );

/** What opens and closes the users' files, on top of the catalog. */
export const filesLayer = (settings: Settings) =>
  vfsFactory.pipe(
    Layer.provideMerge(Layer.mergeAll(quotaAccounts, localStorages)),
    Layer.provideMerge(catalogLayer(settings)),
  );

/** The key that seals one-time-code secrets. */
export const secretsLayer = (settings: Settings) =>
  Layer.provide(masterKey, Layer.succeed(Config, settings));

/** Bound addresses by protocol, once every listener accepts. */
export interface Ready {
  readonly listeners: Readonly<Record<string, ReadonlyArray<string>>>;
}

export interface ServeOptions {
  /** Completed with the seconds that running transfers get: starts the orderly end. */
  readonly stop: Deferred.Deferred<number>;
  readonly onReady: (ready: Ready) => void;
  /** Runs when the catalog is open and before anybody can connect. */
  readonly prepare?: Effect.Effect<unknown, unknown, Users>;
  /** False where another server may be at work in the same folders: its uploads are not ours to clear. */
  readonly sweep?: boolean;
}

/** How clients are served: the bound addresses by protocol, and whether anybody serves now. */
interface Serving {
  readonly listeners: Readonly<Record<string, ReadonlyArray<string>>>;
  readonly alive: () => boolean;
  readonly workers: () => number;
}

/**
 * Serves until `stop`, then lets transfers finish and closes everything.
 *
 * Before the first listener accepts, operations that a previous process left
 * half done are settled and its temporary files removed. Fails, with nothing
 * left behind, when the catalog, a key or an address cannot be used.
 */
export const serve = (settings: Settings, options: ServeOptions) =>
  Effect.scoped(Effect.gen(function* () {
    if (settings.common.umask !== "") Deno.umask(parseInt(settings.common.umask, 8));
    const count = settings.common.workers || navigator.hardwareConcurrency;
    if (count === 1) {
      endSpareThreads();
      // Only here: with workers the main thread needs nothing of it.
      const { identityLayer, serveProtocols } = yield* Effect.promise(() => import("./serving.ts"));
      const services = yield* Layer.build(
        Layer.mergeAll(identityLayer, Registry.layer, davLayer).pipe(
          Layer.provideMerge(watchman),
          Layer.provideMerge(filesLayer(settings)),
        ),
      );
      const here = Effect.map(
        serveProtocols,
        (listeners) => ({ listeners, alive: () => true, workers: () => 0 }),
      );
      return yield* Effect.provide(Effect.scoped(run(settings, options, here)), services);
    }
    // Threads load while the catalog is opened, and end before it is closed.
    const threads = yield* Effect.acquireRelease(
      Scope.make(),
      (scope, exit) => Scope.close(scope, exit),
    );
    const crew = yield* Scope.extend(startCrew(count), threads);
    const services = yield* Layer.build(Layer.provideMerge(crew.layer, catalogLayer(settings)));
    // The settings may ask for fewer than the command line looked like.
    endSpareThreads();
    const there = Effect.andThen(
      Effect.addFinalizer((exit) => Scope.close(threads, exit)),
      crew.serve,
    );
    return yield* Effect.provide(Effect.scoped(run(settings, options, there)), services);
  }));

const run = <E, R>(
  settings: Settings,
  { stop, onReady, prepare, sweep }: ServeOptions,
  serveClients: Effect.Effect<Serving, E, R>,
) =>
  Effect.gen(function* () {
    const registry = yield* Registry;
    const journal = yield* Journal;
    if (prepare) yield* prepare;
    yield* ensureFirstAdmin;
    const recovered = yield* recover;
    if (recovered.settled + recovered.cancelled + recovered.open > 0) {
      yield* Effect.logInfo({ event: "recovered", ...recovered });
    }

    let ready = false;
    const serving = yield* serveClients;
    const listeners: Record<string, ReadonlyArray<string>> = { ...serving.listeners };
    yield* serveControl(settings, { stop, listeners: () => listeners });
    const telemetry = yield* telemetryApp({
      version,
      ready: () => ready && serving.alive(),
      workers: serving.workers,
      probes: yield* probes(serving.listeners.sftp ?? []),
    });
    listeners.telemetry = yield* Effect.forEach(settings.telemetry.bindings, (b) =>
      Effect.map(
        serveApp(telemetry, { hostname: b.address === "" ? "0.0.0.0" : b.address, port: b.port }),
        (served) => served.address,
      )).pipe(Effect.catchTag("ListenFailed", (failed) => cannotListen(failed)));
    ready = true;
    yield* Effect.logInfo({ event: "ready", version, listeners });
    onReady({ listeners });
    // Only now: it reads every user.
    if (sweep !== false) yield* Effect.forkScoped(reaper("1 hour"));
    yield* Effect.forkScoped(lockReaper("5 minutes"));
    if (sweep !== false) yield* Effect.forkScoped(uploadReaper);

    // Without a writer nothing can be recorded: ending, for the supervisor outside to start anew, is the safe side.
    const { lost } = yield* Writer;
    const grace = yield* Effect.raceFirst(Deferred.await(stop), lost);
    ready = false;
    yield* Effect.logInfo({ event: "stopping", grace_seconds: grace });
    yield* registry.drain(grace);
    yield* journal.flush;
    yield* Effect.logInfo({ event: "stopped" });
  });

const cannotListen = ({ place, cause }: ListenFailed) => {
  const what = cause instanceof Deno.errors.AddrInUse
    ? "the port is taken; stop what uses it or choose another"
    : cause instanceof Error
    ? cause.message
    : String(cause);
  return new ConfigError({
    problems: [{ where: "telemetry.bindings", what: `cannot listen on ${place}: ${what}` }],
  });
};

/** The socket of the command line. Without it the server serves, and says so. */
const serveControl = (
  settings: Settings,
  { stop, listeners }: {
    readonly stop: Deferred.Deferred<number>;
    readonly listeners: () => Ready["listeners"];
  },
) =>
  Effect.gen(function* () {
    const path = `${settings.data_dir}/control.sock`;
    // The lock on the data folder is ours, so whoever made this socket is gone.
    yield* Effect.promise(() => Deno.remove(path).catch(() => {}));
    const services = yield* Effect.context<Effect.Effect.Context<ReturnType<typeof recount>>>();
    const quota = yield* Quota;
    const app = yield* controlApp({
      version,
      started: Date.now(),
      listeners,
      scan: (user) => Effect.provide(recount(user), services),
      resetTransfer: (name) => quota.setTransfer(name, { upload: 0, download: 0 }),
      scanFolder: (folder) => Effect.provide(recountFolder(folder), services),
      stop: (seconds) => Effect.asVoid(Deferred.succeed(stop, seconds)),
    });
    yield* serveApp(app, { path });
  }).pipe(
    Effect.catchTag("ListenFailed", ({ place, cause }) =>
      Effect.logWarning(
        { event: "control_socket", message: `${place}: commands cannot reach this server` },
        Cause.fail(cause),
      )),
  );

/** The embedded database's file; undefined when the catalog is elsewhere. */
export const databaseFile = (settings: Settings): string | undefined => {
  const place = placeOf(settings);
  return place.kind === "file" ? place.file : undefined;
};

export { restore as restoreDatabase } from "../adapters/libsql/backup.ts";

/** Fails when an algorithm list names what is not known or leaves nothing. */
export const checkAlgorithms = ({ sftpd }: Settings): Effect.Effect<void, ConfigError> => {
  const chosen = chooseAlgorithms(sftpd);
  return chosen instanceof ConfigError ? Effect.fail(chosen) : Effect.void;
};

/** Makes or checks every key that the server needs before its first start. */
export const prepareKeys = (settings: Settings) =>
  Effect.andThen(
    Effect.scoped(Layer.build(Layer.provide(masterKey, Layer.succeed(Config, settings)))),
    prepareHostKeys(settings),
  );

export { prepareHostKeys } from "./host_keys.ts";
