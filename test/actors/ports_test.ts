import assert from "node:assert/strict";
import { Effect } from "effect";
import { bindAddress } from "../../actors/listener.ts";
import { holdPorts } from "../../actors/ports.ts";
import { live } from "../harness.ts";

const address = "127.0.0.1";
const where = "test.bindings";
const bind = (port: number, shared: boolean) =>
  Effect.acquireRelease(
    bindAddress({ address, where }, port, shared),
    (listener) => Effect.sync(() => listener.close()),
  );

live(
  "holdPorts() chooses a port that threads can share and nobody else can take",
  () =>
    Effect.gen(function* () {
      const [held] = yield* holdPorts([{ address, port: 0 }], where);
      assert.ok(held && held.port > 0);
      yield* bind(held.port, true);
      yield* bind(held.port, true);
      const error = yield* Effect.flip(bind(held.port, false));
      assert.match(error.message, /the port is taken/);
    }),
);

live(
  "holdPorts() refuses a port that another server has, even one that shares it",
  () =>
    Effect.gen(function* () {
      const other = yield* bind(0, true);
      const { port } = other.addr;
      const error = yield* Effect.flip(holdPorts([{ address, port }], where));
      assert.match(error.message, new RegExp(`^test.bindings: cannot listen on 127.0.0.1:${port}`));
    }),
);
