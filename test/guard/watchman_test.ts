import assert from "node:assert/strict";
import { Context, Effect, Layer, Logger, LogLevel, Stream } from "effect";
import { intentLog } from "../../adapters/intents/layer.ts";
import { libsqlLayer } from "../../adapters/libsql/layer.ts";
import { GuardStore } from "../../src/catalog/guard.ts";
import { Config, type Settings } from "../../src/config/config.ts";
import { Journal } from "../../src/events/journal.ts";
import { Guard } from "../../src/guard/guard.ts";
import { watchman } from "../../src/guard/watchman.ts";
import { quickPasswords, settings } from "../catalog/world.ts";
import { live as aloud, tempDir } from "../harness.ts";

/** Bans are what these tests are about: nobody has to be warned. */
const live: typeof aloud = (name, body) =>
  aloud(name, () => Logger.withMinimumLogLevel(body(), LogLevel.None));

/** The real guard over a real catalog, with `defender` on top of the defaults. */
const guardWith = (defender: Partial<Settings["common"]["defender"]>) =>
  Effect.gen(function* () {
    const base = settings(yield* tempDir);
    const { common } = base;
    const config = {
      ...base,
      common: { ...common, defender: { ...common.defender, ...defender } },
    };
    const context = yield* Layer.build(
      watchman.pipe(
        Layer.provideMerge(libsqlLayer),
        Layer.provideMerge(Layer.mergeAll(intentLog("hub"), quickPasswords)),
        Layer.provideMerge(Layer.succeed(Config, config)),
      ),
    );
    return {
      guard: Context.get(context, Guard),
      store: Context.get(context, GuardStore),
      journal: Context.get(context, Journal),
    };
  });
const from = (ip: string) => ({ ip, protocol: "FTP" as const });
const host = (i: number) => from(`10.0.${i >> 8}.${i & 255}`);

live(
  "DIS-03: report() bans when the points reach the threshold, not beyond it",
  () =>
    Effect.gen(function* () {
      const { guard } = yield* guardWith({ threshold: 3 });
      for (let i = 0; i < 2; i++) yield* guard.report(from("10.0.0.1"), "valid");
      assert.equal(yield* guard.isBanned(from("10.0.0.1")), false);
      yield* guard.report(from("10.0.0.1"), "valid");
      assert.equal(yield* guard.isBanned(from("10.0.0.1")), true);
      assert.deepEqual(yield* guard.admit(from("10.0.0.1")), { refusal: "banned" });
    }),
);

live(
  "DIS-03, DEF-12: report() bans at the first event too, and the journal has the ban once",
  () =>
    Effect.gen(function* () {
      const { guard, journal } = yield* guardWith({ threshold: 2 });
      yield* guard.report(from("::ffff:10.0.0.1"), "invalid");
      assert.equal(yield* guard.isBanned(from("10.0.0.1")), true);
      yield* guard.report(from("10.0.0.1"), "invalid");
      yield* journal.flush;
      const found = yield* Stream.runCollect(journal.query({ kinds: ["defender"] }));
      const [event, ...more] = [...found];
      assert.deepEqual(more, []);
      assert.deepEqual(
        [event?.action, event?.ip, event?.username, event?.protocol],
        ["defender.banned", "10.0.0.1", "", "FTP"],
      );
    }),
);

live(
  "DEF-08: report() keeps no more addresses than the hard limit, the latest of them",
  () =>
    Effect.gen(function* () {
      const { guard, store } = yield* guardWith({
        entries_soft_limit: 10,
        entries_hard_limit: 15,
        threshold: 100,
      });
      let most = 0;
      for (let i = 0; i < 60; i++) {
        yield* guard.report(host(i), "valid");
        most = Math.max(most, (yield* store.hosts(0)).length);
        // Their times are what tells the older from the newer.
        yield* Effect.sleep(2);
      }
      const kept = (yield* store.hosts(0)).map(({ ip }) => ip);
      assert.ok(most <= 15 && kept.length >= 10, `${most} at most, ${kept.length} in the end`);
      for (let i = 50; i < 60; i++) assert.ok(kept.includes(host(i).ip), `${host(i).ip} is kept`);
    }),
);

live(
  "DEF-08: report() bounds bans as well: those that end soonest go",
  () =>
    Effect.gen(function* () {
      const { guard, store } = yield* guardWith({
        entries_soft_limit: 10,
        entries_hard_limit: 12,
        threshold: 1,
      });
      for (let i = 0; i < 40; i++) {
        yield* guard.report(host(i), "valid");
        yield* Effect.sleep(2);
      }
      const { length } = yield* store.hosts(0);
      assert.ok(length >= 10 && length <= 12, `${length} bans`);
      assert.equal(yield* guard.isBanned(host(39)), true);
      assert.equal(yield* guard.isBanned(host(0)), false);
    }),
);
