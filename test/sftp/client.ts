import { Deferred, Effect, Exit, Schema, type Scope } from "effect";
import type { ByteChannel } from "../../adapters/ssh/byte_channel.ts";
import type { EngineContext } from "../../adapters/ssh/engine.ts";
import { packet } from "../../adapters/ssh/sftp/protocol.ts";
import { serveSftp } from "../../adapters/ssh/sftp/sftp.ts";
import { Sftpd } from "../../src/config/config.ts";
import type { Vfs } from "../../src/vfs/vfs.ts";
import { bytes as raw, join, Reader, text, u32 } from "./wire.ts";

/** One reply, its body after the id. */
export interface Reply {
  readonly type: number;
  readonly id: number;
  readonly body: Uint8Array;
  /** Status code, or -1. */
  readonly code: number;
  readonly message: string;
}

/** The client's end of an SFTP channel in memory. */
export interface Client {
  /** Sends bytes as one chunk. */
  readonly raw: (chunk: Uint8Array) => void;
  /** Sends one request without waiting; answers its id. */
  readonly send: (type: number, ...fields: ReadonlyArray<Uint8Array>) => number;
  /** Sends one request and waits for the answer with its id. */
  readonly ask: (type: number, ...fields: ReadonlyArray<Uint8Array>) => Promise<Reply>;
  readonly extended: (name: string, ...fields: ReadonlyArray<Uint8Array>) => Promise<Reply>;
  /** Waits for the answer of a request that was sent. */
  readonly answer: (id: number) => Promise<Reply>;
  /** Sends OPEN; answers the handle field, ready to be sent back. */
  readonly open: (path: string, flags: number) => Promise<Uint8Array>;
  /** Ends the input. */
  readonly end: () => void;
  /** Makes reads and writes of the engine reject. */
  readonly cut: () => void;
  /** What the engine ended with. */
  readonly exit: Effect.Effect<Exit.Exit<number | undefined>>;
  /** Stops or resumes taking what the engine writes. */
  readonly hold: (held: boolean) => void;
  readonly breaches: string[];
  /** Bytes the engine wrote that were not taken; writes it made. */
  readonly channel: { backlog: number; writes: number };
  /** Chunks sent that the engine has not read. */
  readonly unread: () => number;
  readonly version: () => Promise<Reply>;
}

export interface Options {
  readonly maxHandles?: number;
  readonly user?: EngineContext["user"];
  /** Leaves INIT to the test. */
  readonly bare?: boolean;
  /** Runs control operations; by default one after the other. */
  readonly control?: EngineContext["control"];
}

/** Starts the engine in a scope of its own on a channel in memory, and says INIT. */
export const connect = (
  vfs: Vfs,
  options: Options = {},
): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.gen(function* () {
    const input: Uint8Array[] = [];
    let reader: { take(chunk: Uint8Array | undefined): void; fail(e: Error): void } | undefined;
    let ended = false;
    let lost = false;
    let held = false;
    let blocked: Array<() => void> = [];
    const channelState = { backlog: 0, writes: 0 };
    const breaches: string[] = [];
    const replies = new Map<number, Reply>();
    const waiting = new Map<number, (reply: Reply) => void>();
    let pending: Uint8Array = new Uint8Array(0);
    const deliver = (chunk: Uint8Array) => {
      pending = join(pending, chunk);
      for (;;) {
        if (pending.length < 4) return;
        const length = new Reader(pending).u32();
        if (pending.length < 4 + length) return;
        const found = parse(pending.slice(4, 4 + length));
        pending = pending.slice(4 + length);
        const wake = waiting.get(found.id);
        if (wake) {
          waiting.delete(found.id);
          wake(found);
        } else replies.set(found.id, found);
      }
    };
    const channel: ByteChannel = {
      read: () => {
        if (lost) return Promise.reject(new Error("connection lost"));
        if (input.length > 0) return Promise.resolve(input.shift());
        if (ended) return Promise.resolve(undefined);
        return new Promise((take, fail) => reader = { take, fail });
      },
      write: async (chunk) => {
        channelState.writes++;
        channelState.backlog += chunk.length;
        while (held && !lost) await new Promise<void>((resolve) => blocked.push(resolve));
        if (lost) throw new Error("connection lost");
        channelState.backlog -= chunk.length;
        deliver(chunk);
      },
      writeError: () => Promise.resolve(),
      get backlog() {
        return channelState.backlog;
      },
      close: () => Effect.void,
    };
    const release = () => {
      const woken = blocked;
      blocked = [];
      for (const wake of woken) wake();
    };
    const cut = () => {
      lost = true;
      reader?.fail(new Error("connection lost"));
      reader = undefined;
      release();
    };

    let line: Promise<unknown> = Promise.resolve();
    const inOrder: EngineContext["control"] = (operation) => {
      const next = line.then(() => Effect.runPromiseExit(operation));
      line = next;
      return next;
    };
    const context: EngineContext = {
      vfs,
      settings: {
        ...Schema.decodeUnknownSync(Sftpd)({}),
        ...(options.maxHandles !== undefined && { max_handles: options.maxHandles }),
      },
      ...(options.user && { user: options.user }),
      control: options.control ?? inOrder,
      disconnect: (why) => {
        breaches.push(why);
        cut();
      },
    };
    const done = yield* Deferred.make<Exit.Exit<number | undefined>>();
    yield* Effect.scoped(serveSftp(channel, context)).pipe(
      Effect.exit,
      Effect.flatMap((exit) => Deferred.succeed(done, exit)),
      Effect.forkScoped,
    );

    let lastId = 0;
    const sendRaw = (chunk: Uint8Array) => {
      if (!reader) return void input.push(chunk);
      const { take } = reader;
      reader = undefined;
      take(chunk);
    };
    const answer = (id: number) => {
      const known = replies.get(id);
      if (known) {
        replies.delete(id);
        return Promise.resolve(known);
      }
      return new Promise<Reply>((resolve) => waiting.set(id, resolve));
    };
    const send = (type: number, ...fields: ReadonlyArray<Uint8Array>) => {
      const id = ++lastId;
      sendRaw(raw(join(Uint8Array.of(type), u32(id), ...fields)));
      return id;
    };
    const client: Client = {
      raw: sendRaw,
      send,
      ask: (type, ...fields) => answer(send(type, ...fields)),
      extended: (name, ...fields) => client.ask(packet.extended, text(name), ...fields),
      answer,
      open: async (path, flags) => {
        const reply = await client.ask(packet.open, text(path), u32(flags), u32(0));
        if (reply.type !== packet.handle) throw new Error(`open ${path}: ${reply.message}`);
        return reply.body;
      },
      end: () => {
        ended = true;
        reader?.take(undefined);
        reader = undefined;
      },
      cut,
      exit: Deferred.await(done),
      hold: (on) => {
        held = on;
        if (!on) release();
      },
      breaches,
      channel: channelState,
      unread: () => input.length,
      version: () => answer(-1),
    };
    if (!options.bare) client.raw(raw(join(Uint8Array.of(packet.init), u32(3))));
    return client;
  });

const parse = (bytes: Uint8Array): Reply => {
  const type = bytes[0]!;
  if (type === packet.version) {
    return { type, id: -1, body: bytes.slice(1), code: -1, message: "" };
  }
  const reader = new Reader(bytes.subarray(1));
  const id = reader.u32();
  const body = bytes.slice(5);
  if (type !== packet.status) return { type, id, body, code: -1, message: "" };
  return { type, id, body, code: reader.u32(), message: reader.text() };
};
