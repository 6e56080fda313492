import assert from "node:assert/strict";
import { connect } from "node:net";
import { Effect, Layer, Schema } from "effect";
import { type Client, listen, plainAddress } from "../../actors/listener.ts";
import { Registry } from "../../actors/registry.ts";
import { Config, ConfigSchema } from "../../src/config/config.ts";
import { arm } from "../../src/failpoint.ts";
import { Guard } from "../../src/guard/guard.ts";
import { live } from "../harness.ts";

const layer = Registry.layer.pipe(
  Layer.provide(Layer.succeed(Config, Schema.decodeUnknownSync(ConfigSchema)({}))),
  Layer.provideMerge(Guard.open),
);

/** What the server says to a new connection; empty when it says nothing or refuses. */
const heard = (port: number) =>
  Effect.promise(() =>
    new Promise<string>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      let text = "";
      socket.on("data", (chunk: Uint8Array) => {
        text += new TextDecoder().decode(chunk);
        socket.destroy();
      });
      socket.on("error", () => {}).on("close", () => resolve(text));
    })
  );

const greet = (client: Client) =>
  Effect.promise(() => {
    client.socket.open();
    client.socket.write(new TextEncoder().encode(client.ip));
    return client.socket.closed;
  });

const start = (serve: (client: Client) => Effect.Effect<void>, port = 0) =>
  listen({ protocol: "TEST", address: "127.0.0.1", port, where: "test.bindings", serve }).pipe(
    Effect.map((address) => Number(address.split(":")[1])),
  );

live(
  "listen() serves on the address it answers, and stops with its scope",
  () =>
    Effect.gen(function* () {
      const port = yield* Effect.scoped(Effect.gen(function* () {
        const port = yield* start(greet);
        assert.equal(yield* heard(port), "127.0.0.1");
        return port;
      }));
      assert.equal(yield* heard(port), "");
    }).pipe(Effect.provide(layer)),
);

live(
  "listen() says where, what and what to do when the port is taken",
  () =>
    Effect.gen(function* () {
      const port = yield* start(greet);
      const error = yield* Effect.flip(start(greet, port));
      assert.match(
        error.message,
        /^test\.bindings: cannot listen on 127\.0\.0\.1:\d+: the port is taken/,
      );
    }).pipe(Effect.provide(layer)),
);

live("a defect in one client's service ends that client only", () =>
  Effect.gen(function* () {
    let calls = 0;
    const port = yield* start((client) =>
      ++calls === 1 ? Effect.die(new Error("boom")) : greet(client)
    );
    assert.equal(yield* heard(port), "");
    assert.equal(yield* heard(port), "127.0.0.1");
  }).pipe(Effect.provide(layer)));

live(
  "a listener that dies is bound to the same port again (failpoint listener.connection)",
  () =>
    Effect.gen(function* () {
      const port = yield* start(greet);
      for (let death = 0; death < 2; death++) {
        arm("listener.connection=die");
        assert.equal(yield* heard(port), "");
        while ((yield* heard(port)) === "") yield* Effect.sleep("20 millis");
      }
    }).pipe(Effect.provide(layer)),
);

live("the watchdog's own connections are never served", () =>
  Effect.gen(function* () {
    let served = 0;
    yield* start((client) => {
      served += 1;
      return greet(client);
    });
    yield* Effect.sleep("2500 millis");
    assert.equal(served, 0);
  }).pipe(Effect.provide(layer)));

live("plainAddress() shows IPv4-mapped addresses as IPv4", () =>
  Effect.sync(() => {
    assert.equal(plainAddress("::ffff:192.0.2.7"), "192.0.2.7");
    assert.equal(plainAddress("::1"), "::1");
    assert.equal(plainAddress("fe80::1%eth0"), "fe80::1");
  }));

live(
  "a client that keeps its side open is cut, and does not hold up the end",
  () =>
    Effect.gen(function* () {
      const socket = yield* Effect.scoped(Effect.gen(function* () {
        const port = yield* start(() => Effect.void);
        const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
        const said = Effect.promise(() =>
          new Promise<void>((resolve) => socket.on("end", resolve).resume())
        );
        socket.on("error", () => {});
        yield* said;
        return socket;
      }));
      yield* Effect.sync(() => socket.destroy());
    }).pipe(Effect.provide(layer)),
);
