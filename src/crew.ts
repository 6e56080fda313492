import { Deferred, Effect, type Scope } from "effect";
import { Branches } from "../actors/branches.ts";
import { choosePorts } from "../actors/ports.ts";
import { serviceHandlers } from "../actors/remote_services.ts";
import type { Handlers, Peer } from "../actors/rpc.ts";
import { runWorkers } from "../actors/workers.ts";
import type { Settings } from "./config/config.ts";
import { ConfigError } from "./errors.ts";
import { countEscape } from "./escapes.ts";
import { failpoints } from "./failpoint.ts";
import { prepareHostKeys } from "./serving.ts";
import type { Greeting } from "./worker_greeting.ts";

type Listeners = Readonly<Record<string, ReadonlyArray<string>>>;

/** What the workers wait for while they load. */
interface Base {
  readonly settings: Settings;
  readonly handlers: Effect.Effect<Handlers, never, Scope.Scope>;
  readonly join: (peer: Peer) => Effect.Effect<void, never, Scope.Scope>;
}

/**
 * Starts `count` worker threads, which load while the caller opens the catalog.
 * `serve` lets them serve, and answers when all accept; they end with the scope.
 */
export const startCrew = (count: number) =>
  Effect.gen(function* () {
    const base = yield* Deferred.make<Base>();
    let listeners: Listeners = {};
    const workers = yield* runWorkers<ConfigError>({
      count,
      spawn: (index) =>
        new Worker(new URL("./worker.ts", import.meta.url).href, {
          type: "module",
          name: `worker ${index}`,
        }),
      handlers: () => Effect.flatMap(Deferred.await(base), ({ handlers }) => handlers),
      greeting: (index) =>
        Effect.map(Deferred.await(base), ({ settings }): Greeting => ({
          index,
          settings,
          failpoints: failpoints(),
        })),
      begin: (_index, peer) =>
        Effect.gen(function* () {
          const { join } = yield* Deferred.await(base);
          listeners = yield* peer.ask<Listeners, ConfigError>("worker.begin");
          yield* join(peer);
        }),
    });
    const serve = (settings: Settings) =>
      Effect.gen(function* () {
        // Once, here: workers that each made the missing ones would not agree.
        yield* prepareHostKeys(settings);
        const bindings = yield* choosePorts(settings.sftpd.bindings, "sftpd.bindings");
        const branches = yield* Branches;
        const services = yield* serviceHandlers;
        yield* Deferred.succeed(base, {
          settings: { ...settings, sftpd: { ...settings.sftpd, bindings } },
          handlers: Effect.map(branches.handlers, (seats) => ({
            ...services,
            ...seats,
            "worker.escaped": () => Effect.sync(countEscape),
          })),
          join: branches.join,
        });
        yield* workers.begun;
        return { listeners, alive: () => workers.serving() > 0 };
      });
    return { serve };
  });
