import { Effect, Fiber, Schema, type Scope } from "effect";
import assert from "node:assert/strict";
import { commandEngine } from "../../adapters/ssh/commands/commands.ts";
import { Sftpd } from "../../src/config/config.ts";
import type { Vfs } from "../../src/vfs/vfs.ts";
import { channelPair, type End } from "./channel_pair.ts";

/** The default settings with every command on. */
export const allCommands = Schema.decodeUnknownSync(Sftpd)({ enabled_ssh_commands: ["*"] });

export interface Running {
  readonly client: End;
  /** The exit status, once the engine is done. */
  readonly status: Effect.Effect<number | undefined>;
  readonly stderr: () => string;
}

/** Starts the engine for `line`, as the session does for an exec request. */
export const start = (line: string, vfs: Vfs): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.gen(function* () {
    const engine = commandEngine(line, allCommands);
    assert.ok(engine, `no engine for ${line}`);
    const { server, client } = channelPair();
    const context = {
      vfs,
      settings: allCommands,
      control: <A, E>(operation: Effect.Effect<A, E>) => Effect.runPromiseExit(operation),
      disconnect: (why: string) => assert.fail(why),
    };
    const fiber = yield* Effect.forkScoped(
      Effect.scoped(engine(server, context)).pipe(
        Effect.ensuring(Effect.suspend(() => server.close())),
      ),
    );
    return { client, status: Fiber.join(fiber), stderr: server.errors };
  });

/** Sends everything at once, ends the input, and answers all output. */
export const talk = (
  line: string,
  vfs: Vfs,
  input: ReadonlyArray<string | Uint8Array>,
): Effect.Effect<{ output: string; status: number | undefined; stderr: string }> =>
  Effect.scoped(Effect.gen(function* () {
    const running = yield* start(line, vfs);
    for (const part of input) {
      const bytes = typeof part === "string" ? new TextEncoder().encode(part) : part;
      yield* Effect.promise(() => running.client.write(bytes));
    }
    running.client.end();
    const output = yield* Effect.promise(() => drain(running.client));
    return { output, status: yield* running.status, stderr: running.stderr() };
  }));

/** Copies everything that one end says to the other, both ways, until both are done. */
export const cross = (left: End, right: End): Effect.Effect<void> => {
  const pump = async (from: End, to: End) => {
    for (let chunk = await from.read(); chunk; chunk = await from.read()) await to.write(chunk);
    to.end();
  };
  return Effect.asVoid(Effect.promise(() => Promise.all([pump(left, right), pump(right, left)])));
};

const drain = async (end: End): Promise<string> => {
  const decoder = new TextDecoder();
  let all = "";
  for (let chunk = await end.read(); chunk; chunk = await end.read()) {
    all += decoder.decode(chunk, { stream: true });
  }
  return all;
};
