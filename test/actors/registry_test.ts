import assert from "node:assert/strict";
import {
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Option,
  Schema,
  Scope,
  TestClock,
} from "effect";
import { Registry } from "../../actors/registry.ts";
import { trackTransfers } from "../../actors/transfer.ts";
import { Config, ConfigSchema } from "../../src/config/config.ts";
import { Guard } from "../../src/guard/guard.ts";
import type { SessionInfo } from "../../src/model/session.ts";
import type { VPath } from "../../src/vpath.ts";
import { it } from "../harness.ts";

const registry = (settings: object) =>
  Effect.map(
    Layer.build(
      Registry.layer.pipe(
        Layer.provide(Layer.succeed(Config, Schema.decodeUnknownSync(ConfigSchema)(settings))),
        Layer.provide(Guard.open),
      ),
    ),
    (context) => Context.get(context, Registry),
  );
const PEER = { ip: "192.0.2.1", protocol: "SSH" };

const row = (id: string, transfers: SessionInfo["active_transfers"] = []): SessionInfo => ({
  connection_id: id,
  username: "u",
  client_version: "",
  remote_address: "",
  connection_time: 0,
  last_activity: 0,
  protocol: "SSH",
  command: "",
  active_transfers: transfers,
});

for (
  const [refusal, settings] of [
    ["total", { common: { max_total_connections: 3 } }],
    ["per_host", { common: { max_per_host_connections: 3 } }],
    ["startups", { sftpd: { max_startups: 3 } }],
  ] as const
) {
  it(`CONN-03, CONN-04: admit() is exact in a burst against the cap "${refusal}"`, () =>
    Effect.gen(function* () {
      const { admit } = yield* registry(settings);
      const scopes = yield* Effect.forEach(Array(50), () => Scope.make());
      const exits = yield* Effect.forEach(
        scopes,
        (scope) => Effect.exit(Scope.extend(admit(PEER), scope)),
        { concurrency: "unbounded" },
      );
      assert.equal(exits.filter(Exit.isSuccess).length, 3);
      const refused = yield* Effect.flip(admit(PEER));
      assert.equal(refused.refusal, refusal);
      for (const scope of scopes) yield* Scope.close(scope, Exit.void);
      yield* admit(PEER);
    }));
}

it("admit() counts hosts apart", () =>
  Effect.gen(function* () {
    const { admit } = yield* registry({ common: { max_per_host_connections: 1 } });
    yield* admit(PEER);
    yield* Effect.flip(admit(PEER));
    yield* admit({ ...PEER, ip: "192.0.2.2" });
  }));

it("login() leaves the startups, takes a place of the user, and gives it back with the seat", () =>
  Effect.gen(function* () {
    const { admit } = yield* registry({ sftpd: { max_startups: 1 } });
    const scope = yield* Scope.make();
    const first = yield* Scope.extend(admit(PEER), scope);
    assert.ok(Option.isNone(yield* first.login("alice", 1)));
    const second = yield* admit(PEER);
    assert.deepEqual(yield* second.login("alice", 1), Option.some("per_user"));
    yield* Scope.close(scope, Exit.void);
    assert.ok(Option.isNone(yield* second.login("alice", 1)));
  }));

it("SSH-02: another() takes a further place until its scope closes", () =>
  Effect.gen(function* () {
    const { admit } = yield* registry({});
    const seat = yield* admit(PEER);
    yield* seat.login("alice", 2);
    const scope = yield* Scope.make();
    assert.ok(Option.isNone(yield* Scope.extend(seat.another, scope)));
    assert.deepEqual(yield* Effect.scoped(seat.another), Option.some("per_user"));
    yield* Scope.close(scope, Exit.void);
    assert.ok(Option.isNone(yield* Effect.scoped(seat.another)));
  }));

it("CONN-09: drain() refuses newcomers at once and closes when the last transfer ends", () =>
  Effect.gen(function* () {
    const { admit, enter, drain, list } = yield* registry({});
    const transfers = trackTransfers(() => {});
    const transfer = transfers.observer.begin("/f" as unknown as VPath, "upload");
    transfer.moved(5);
    const closed = yield* Deferred.make<string>();
    yield* enter({
      id: "S",
      rows: () => [row("S", transfers.list())],
      close: (why) => Effect.asVoid(Deferred.succeed(closed, why)),
    });
    assert.equal((yield* list)[0]?.active_transfers[0]?.size, 5);
    const drained = yield* Effect.fork(drain(30));
    yield* TestClock.adjust("10 seconds");
    assert.equal((yield* Effect.flip(admit(PEER))).refusal, "draining");
    assert.equal(yield* Deferred.isDone(closed), false);
    transfer.end();
    yield* TestClock.adjust("1 second");
    yield* Fiber.join(drained);
    assert.equal(yield* Deferred.isDone(closed), true);
  }));

it("CONN-09: drain() closes what still runs when its time is up", () =>
  Effect.gen(function* () {
    const { enter, drain } = yield* registry({});
    const transfers = trackTransfers(() => {});
    transfers.observer.begin("/f" as unknown as VPath, "download");
    const closed = yield* Deferred.make<string>();
    yield* enter({
      id: "S",
      rows: () => [row("S", transfers.list())],
      close: (why) => Effect.asVoid(Deferred.succeed(closed, why)),
    });
    const drained = yield* Effect.fork(drain(30));
    yield* TestClock.adjust("31 seconds");
    yield* Fiber.join(drained);
    assert.equal(yield* Deferred.isDone(closed), true);
  }));
