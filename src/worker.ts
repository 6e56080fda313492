import { Cause, Context, Effect, Exit, Layer, Scope } from "effect";
import { OwnSessions, sessionHandlers, workerRegistry } from "../actors/branches.ts";
import { PortSharing } from "../actors/listener.ts";
import { journalLayer } from "../actors/journal.ts";
import { remoteGuard } from "../actors/remote_guard.ts";
import { remoteAccounts } from "../actors/remote_accounts.ts";
import { remoteDavState } from "../actors/remote_dav.ts";
import { remoteSink } from "../actors/remote_journal.ts";
import { remoteElsewhere, uploadHandlers } from "../actors/remote_uploads.ts";
import { remoteUploadRecords } from "../actors/remote_upload_records.ts";
import { type Handlers, Hub, openPeer, type Port } from "../actors/rpc.ts";
import { intentLog } from "../adapters/intents/layer.ts";
import { localStorages } from "../adapters/storage/local/layer.ts";
import { Config } from "./config/config.ts";
import { Journal } from "./events/journal.ts";
import { endThread, watchEscapes } from "./escapes.ts";
import { armAlike } from "./failpoint.ts";
import { logLayer, nameThread } from "./log.ts";
import { serveProtocols, workerIdentity } from "./serving.ts";
import { stageAs } from "./storage/staged.ts";
import { takeTurnsAs } from "./storage/turns.ts";
import { sharedVfsFactory } from "./vfs/factory.ts";
import { Participant } from "./participant.ts";
import { sharedQuota } from "./vfs/quota_accounts.ts";
import { LiveUploads } from "./vfs/uploads.ts";
import { type Greeting, partOf } from "./worker_greeting.ts";
import { tellErrorsSafely } from "./stack_traces.ts";

/** All that serves clients, over what the main thread keeps. */
const services = ({ settings, participant }: Greeting) =>
  Layer.mergeAll(workerIdentity, sharedVfsFactory, workerRegistry).pipe(
    Layer.provideMerge(
      Layer.mergeAll(sharedQuota, localStorages, journalLayer, LiveUploads.layer, remoteElsewhere),
    ),
    Layer.provideMerge(
      Layer.mergeAll(
        remoteAccounts,
        remoteDavState,
        remoteGuard,
        remoteUploadRecords,
        remoteSink,
        intentLog(partOf(participant)),
      ),
    ),
    Layer.provideMerge(Layer.succeed(Participant, participant)),
    Layer.provideMerge(Layer.succeed(Config, settings)),
  );

/** One worker thread, from the main thread's greeting until it is ended. */
const work = (greeting: Greeting) =>
  Effect.gen(function* () {
    const handlers: Record<string, Handlers[string]> = {
      "worker.ping": () => Effect.void,
      "worker.begin": () => begin,
      "worker.stop": () => Scope.close(serving, Exit.void),
    };
    const hub = yield* openPeer(port, handlers);
    watchEscapes(() => hub.send("worker.escaped"));
    // Closes before the port does: what ends may have something to tell.
    const serving = yield* Effect.acquireRelease(
      Scope.make(),
      (scope, exit) => Scope.close(scope, exit),
    );
    const begin = Effect.gen(function* () {
      const context = yield* Layer.build(
        Layer.provide(services(greeting), Layer.succeed(Hub, hub)),
      );
      const journal = Context.get(context, Journal);
      Object.assign(handlers, sessionHandlers(Context.get(context, OwnSessions)), {
        "journal.flush": () => Effect.as(journal.flush, greeting.participant.life),
        ...uploadHandlers(Context.get(context, LiveUploads)),
      });
      return yield* serveProtocols.pipe(
        Effect.provideService(PortSharing, true),
        Effect.provide(context),
      );
    }).pipe(Scope.extend(serving));
    hub.send("worker.here");
    return yield* Effect.never;
  }).pipe(
    Effect.annotateLogs({ worker: greeting.index }),
    Effect.provide(logLayer(greeting.settings.log)),
  );

tellErrorsSafely();
const port = globalThis as unknown as Port;

const life = openPeer(port, {}).pipe(
  Effect.flatMap((hub) => hub.call<Greeting>("worker.hello")),
  Effect.scoped,
  Effect.tap(({ index, failpoints, participant }) =>
    Effect.sync(() => {
      nameThread(index);
      stageAs(participant);
      takeTurnsAs(participant);
      armAlike(failpoints);
    })
  ),
  Effect.flatMap(work),
  Effect.scoped,
);

Effect.runFork(life).addObserver((exit) => {
  if (Exit.isFailure(exit)) endThread(new Error(Cause.pretty(exit.cause)));
});
