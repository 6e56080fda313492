import { Buffer } from "node:buffer";
import { call, type Channel, type Connection } from "./ssh2_client.ts";

/** What a command on a channel left behind. */
export interface ExecEnd {
  /** The server would not run it at all. */
  readonly refused: boolean;
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly code: number | undefined;
}

/** Runs a command and feeds it `input` part by part, as the other half of scp would; `pace` is waited after each. */
export const exec = async (
  connection: Connection,
  command: string,
  input: ReadonlyArray<Uint8Array | string> = [],
  pace = 0,
): Promise<ExecEnd> => {
  const out: Buffer[] = [];
  let err = "";
  let code: number | undefined;
  let closed: Promise<boolean> = Promise.resolve(true);
  let channel: Channel;
  try {
    channel = await call<Channel>((done) =>
      connection.client.exec(command, (error, opened) => {
        // At once: the exit status may be in the very chunk that brought the answer.
        opened?.on("data", (chunk: Buffer) => out.push(chunk));
        opened?.stderr.on("data", (chunk: Buffer) => err += chunk.toString());
        opened?.on("exit", (c: number | null) => code = c ?? undefined);
        if (opened) closed = new Promise((resolve) => opened.on("close", () => resolve(true)));
        done(error, opened);
      })
    );
  } catch {
    return { refused: true, stdout: Buffer.alloc(0), stderr: "", code: undefined };
  }
  for (const part of input) {
    channel.write(part);
    if (pace > 0) await new Promise((resolve) => setTimeout(resolve, pace));
  }
  channel.end();
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), 10_000);
  const ended = await Promise.race([closed, late]);
  clearTimeout(timer);
  if (!ended) throw new Error(`${command.slice(0, 60)} did not end within 10 s`);
  return { refused: false, stdout: Buffer.concat(out), stderr: err, code };
};
