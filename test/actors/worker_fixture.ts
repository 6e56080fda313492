import { Effect } from "effect";
import { openPeer, type Peer, type Port } from "../../actors/rpc.ts";

/** A worker that does as its greeting says. */
const port = globalThis as unknown as Port;

const crash = (text: string) =>
  setTimeout(() => {
    throw new Error(text);
  });

const life = Effect.scoped(Effect.gen(function* () {
  const greeting = yield* Effect.scoped(
    Effect.flatMap(openPeer(port, {}), (hub) => hub.call<string>("worker.hello")),
  );
  if (greeting === "crash at start") {
    crash(greeting);
    return yield* Effect.never;
  }
  const hub: Peer = yield* openPeer(port, {
    "worker.begin": () =>
      greeting === "refuse"
        ? Effect.fail({ _tag: "Refusal", why: "no" })
        : Effect.succeed(greeting),
    "worker.ping": () => Effect.void,
    "worker.stop": () => Effect.sync(() => hub.send("test.stopped")),
    "test.crash": () => Effect.sync(() => void crash("as the test wished")),
    "test.hang": () =>
      Effect.sync(() => {
        for (;;);
      }),
  });
  hub.send("worker.here");
  return yield* Effect.never;
}));

Effect.runFork(life);
