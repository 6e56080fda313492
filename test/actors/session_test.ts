import assert from "node:assert/strict";
import { Context, Effect, Exit, Layer, Schema, Scope, Stream } from "effect";
import { Registry } from "../../actors/registry.ts";
import { openSession } from "../../actors/session.ts";
import { Config, ConfigSchema } from "../../src/config/config.ts";
import type { NewEvent } from "../../src/events/event.ts";
import { Journal } from "../../src/events/journal.ts";
import { Guard } from "../../src/guard/guard.ts";
import { Identity } from "../../src/identity/identity.ts";
import type { VPath } from "../../src/vpath.ts";
import { monotonic } from "../../src/monotonic.ts";
import { live } from "../harness.ts";

/** A session over a connection that only notes how it was hung up, and a wheel turned by hand. */
const session = (allowed: () => boolean) =>
  Effect.gen(function* () {
    const events: NewEvent[] = [];
    const ended: string[] = [];
    const ticks: Array<(now: number) => void> = [];
    const config = Layer.succeed(Config, Schema.decodeUnknownSync(ConfigSchema)({}));
    const services = yield* Layer.build(Layer.mergeAll(
      Layer.provide(Registry.layer, Layer.merge(config, Guard.open)),
      Layer.succeed(Identity, {
        begin: () => Effect.die("not used"),
        stillAllowed: () => Effect.sync(allowed),
      }),
      Layer.succeed(Journal, {
        keepsContent: false,
        record: (event) => Effect.sync(() => void events.push(event)),
        prepare: () => Effect.die("not used"),
        prepareNow: () => undefined,
        recordNow: () => false,
        query: () => Stream.empty,
        follow: () => Stream.never,
        unsettled: Effect.succeed([]),
        unsettledOf: () => Effect.succeed([]),
        flush: Effect.void,
      }),
    ));
    const registry = Context.get(services, Registry);
    const scope = yield* Scope.make();
    const opened = yield* Effect.gen(function* () {
      const seat = yield* registry.admit({ ip: "192.0.2.1", protocol: "SSH" });
      return yield* openSession({
        seat,
        username: "alice",
        protocol: "SSH",
        ip: "192.0.2.1",
        remoteAddress: "192.0.2.1:1",
        clientVersion: "",
        idleMinutes: 2,
        hangUp: (why) => Effect.sync(() => void ended.push(why)),
        wheel: { every: (tick) => Effect.sync(() => void ticks.push(tick)) },
        fork: (effect) => void Effect.runFork(effect),
      });
    }).pipe(Effect.provide(services), Scope.extend(scope));
    const turn = (seconds: number) => ticks.forEach((tick) => tick(monotonic() + seconds * 1000));
    return { opened, events, ended, turn, close: Scope.close(scope, Exit.void) };
  });

live(
  "CONN-07: a session whose user may no longer log in is ended at the next look",
  () =>
    Effect.gen(function* () {
      let allowed = true;
      const { opened, events, ended, turn, close } = yield* session(() => allowed);
      opened.active();
      turn(59);
      allowed = false;
      turn(59);
      assert.deepEqual(ended, []);
      turn(61);
      yield* Effect.yieldNow();
      assert.deepEqual(ended, ["the user may no longer log in"]);
      assert.equal(opened.state(), "draining");
      yield* close;
      assert.equal(events.at(-1)?.message, "the user may no longer log in");
      assert.equal(opened.state(), "closed");
    }),
);

live(
  "CONN-06: a running transfer counts as activity; without one the session is idle",
  () =>
    Effect.gen(function* () {
      const { opened, ended, turn } = yield* session(() => true);
      const scope = yield* Scope.make();
      const lane = yield* Scope.extend(opened.lane("SFTP", ""), scope);
      assert.match(lane.principal.sessionId, /^SFTP_/);
      const transfer = lane.observer.begin("/f" as unknown as VPath, "upload");
      turn(120);
      assert.deepEqual(ended, []);
      transfer.end();
      turn(50);
      assert.deepEqual(ended, []);
      turn(200);
      yield* Effect.yieldNow();
      assert.deepEqual(ended, ["idle for too long"]);
    }),
);
