import { Effect, type Scope } from "effect";
import { commandEngine } from "../../adapters/ssh/commands/commands.ts";
import type { ByteChannel } from "../../adapters/ssh/byte_channel.ts";
import type { Vfs } from "../../src/vfs/vfs.ts";
import { tempDir } from "../harness.ts";
import { allCommands } from "./run.ts";

export interface Ran {
  readonly code: number;
  readonly stderr: string;
}

/** Runs OpenSSH's scp in `dir`, in legacy mode, against engines on a local port. */
export type Scp = (...args: string[]) => Effect.Effect<Ran>;

/** A port that serves exec lines over plain TCP for plain_transport.ts, and an scp that uses it. */
export const opensshScp = (
  vfs: Vfs,
): Effect.Effect<{ readonly scp: Scp; readonly dir: string }, never, Scope.Scope> =>
  Effect.gen(function* () {
    const dir = yield* tempDir;
    const tools = yield* tempDir;
    const listener = yield* Effect.acquireRelease(
      Effect.sync(() => Deno.listen({ hostname: "127.0.0.1", port: 0 })),
      (open) => Effect.sync(() => open.close()),
    );
    yield* Effect.forkScoped(
      Effect.promise(() => listener.accept()).pipe(
        Effect.flatMap((connection) => Effect.forkScoped(serve(connection, vfs))),
        Effect.forever,
        Effect.sandbox,
        Effect.ignore,
      ),
    );
    const transport = new URL("plain_transport.ts", import.meta.url).pathname;
    const program = `${tools}/transport`;
    const port = listener.addr.transport === "tcp" ? listener.addr.port : 0;
    const script = `#!/bin/sh\nexec "${Deno.execPath()}" run -A "${transport}" ${port} "$@"\n`;
    yield* Effect.promise(() => Deno.writeTextFile(program, script, { mode: 0o700 }));
    const scp: Scp = (...args) =>
      Effect.promise(async () => {
        const command = new Deno.Command("scp", {
          args: ["-O", "-S", program, ...args],
          cwd: dir,
          stdin: "null",
          stdout: "null",
          stderr: "piped",
        });
        const { code, stderr } = await command.output();
        return { code, stderr: new TextDecoder().decode(stderr) };
      });
    return { scp, dir };
  });

const serve = (connection: Deno.TcpConn, vfs: Vfs) =>
  Effect.scoped(Effect.gen(function* () {
    yield* Effect.addFinalizer(() => Effect.sync(() => connection.close()));
    connection.setNoDelay(true);
    const size = yield* Effect.promise(() => exactly(connection, 4));
    const length = new DataView(size.buffer).getUint32(0);
    const line = new TextDecoder().decode(yield* Effect.promise(() => exactly(connection, length)));
    const channel = framed(connection);
    const engine = commandEngine(line, allCommands);
    const status = engine
      ? yield* engine(channel, {
        vfs,
        settings: allCommands,
        control: (operation) => Effect.runPromiseExit(operation),
        disconnect: () => connection.close(),
      })
      : 255;
    yield* channel.close(status);
  }));

const framed = (connection: Deno.TcpConn): ByteChannel => {
  const frame = async (type: number, bytes: Uint8Array) => {
    const whole = new Uint8Array(5 + bytes.length);
    whole[0] = type;
    new DataView(whole.buffer).setUint32(1, bytes.length);
    whole.set(bytes, 5);
    for (let at = 0; at < whole.length;) at += await connection.write(whole.subarray(at));
  };
  return {
    read: async () => {
      const chunk = new Uint8Array(32 * 1024);
      const n = await connection.read(chunk);
      return n === null ? undefined : chunk.subarray(0, n);
    },
    write: (bytes) => frame(1, bytes),
    writeError: (bytes) => frame(2, bytes),
    backlog: 0,
    close: (status = 0) => Effect.promise(() => frame(3, Uint8Array.of(status))),
  };
};

const exactly = async (connection: Deno.TcpConn, size: number): Promise<Uint8Array> => {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const n = await connection.read(bytes.subarray(at));
    if (n === null) throw new Error("connection lost");
    at += n;
  }
  return bytes;
};
