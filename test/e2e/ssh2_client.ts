import type { Buffer } from "node:buffer";
import { connect as tcp, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import ssh2 from "ssh2";
import type { Target } from "./clients.ts";

/** What the tests use of ssh2's protocol object: the door to packets that no client sends. */
export interface Wire {
  readonly _packetRW: {
    readonly write: {
      readonly allocStart: number;
      alloc(length: number): Buffer;
      finalize(packet: Buffer): Buffer;
    };
  };
  readonly _cipher: { encrypt(packet: Buffer): void };
  channelWindowAdjust(channel: number, amount: number): void;
  rekey(): void;
}

export interface Channel extends Duplex {
  readonly stderr: Duplex;
  readonly incoming: { readonly id: number };
  readonly outgoing: { readonly id: number; readonly state: string };
  /** Called in order with whether a channel request failed. */
  readonly _callbacks: Array<(failed: boolean) => void>;
  close(): void;
  eof(): void;
}

/** What the tests use of ssh2's client, which brings no types of its own. */
export interface Client {
  readonly _protocol: Wire;
  connect(config: Readonly<Record<string, unknown>>): this;
  on(event: string, listener: (...args: never[]) => void): this;
  subsys(name: string, done: (error: Error | undefined, channel: Channel) => void): this;
  exec(command: string, done: (error: Error | undefined, channel: Channel) => void): this;
  exec(
    command: string,
    options: Readonly<Record<string, unknown>>,
    done: (error: Error | undefined, channel: Channel) => void,
  ): this;
  shell(done: (error: Error | undefined, channel: Channel) => void): this;
  forwardIn(host: string, port: number, done: (error?: Error) => void): this;
  forwardOut(
    from: string,
    fromPort: number,
    to: string,
    toPort: number,
    done: (error: Error | undefined, channel: Channel) => void,
  ): this;
  sftp(done: (error: Error | undefined, sftp: Sftp) => void): this;
  end(): this;
  destroy(): this;
}

type Done = (error?: Error) => void;
type Answer<A> = (error: Error | undefined, answer: A) => void;

/** The part of ssh2's own SFTP client that the tests drive. */
export interface Sftp {
  fastPut(from: string, to: string, done: Done): void;
  fastGet(from: string, to: string, done: Done): void;
  readdir(path: string, done: Answer<ReadonlyArray<{ filename: string }>>): void;
  stat(path: string, done: Answer<{ size: number; mode: number }>): void;
  mkdir(path: string, done: Done): void;
  rmdir(path: string, done: Done): void;
  rename(from: string, to: string, done: Done): void;
  unlink(path: string, done: Done): void;
  writeFile(path: string, data: string, done: Done): void;
  readFile(path: string, done: Answer<Buffer>): void;
  ext_openssh_rename(from: string, to: string, done: Done): void;
  ext_openssh_statvfs(path: string, done: Answer<{ f_bsize: number; f_blocks: number }>): void;
  end(): void;
}

export interface Connection extends AsyncDisposable {
  readonly client: Client;
  readonly socket: Socket;
  /** Settles when the connection is gone, with the error if there was one. */
  readonly closed: Promise<Error | undefined>;
}

/** A socket with Nagle's algorithm off: with it every round trip costs 40 ms. */
export const openSocket = (port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = tcp({ host: "127.0.0.1", port });
    socket.setNoDelay(true);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
    socket.once("error", reject);
  });

/** Connects, without waiting for a login. Errors are only told by `closed`. */
export const dial = async (
  target: Target,
  config: Readonly<Record<string, unknown>> = {},
): Promise<Connection> => {
  const socket = await openSocket(target.port);
  const client: Client = new ssh2.Client();
  let failure: Error | undefined;
  const closed = new Promise<Error | undefined>((resolve) => {
    client.on("error", (error: Error) => failure ??= error);
    client.on("close", () => resolve(failure));
  });
  client.connect({
    sock: socket,
    username: target.user,
    ...(target.key === undefined ? {} : { privateKey: await Deno.readTextFile(target.key) }),
    ...(target.password === undefined ? {} : { password: target.password }),
    readyTimeout: 30_000,
    ...config,
  });
  return {
    client,
    socket,
    closed,
    [Symbol.asyncDispose]: async () => {
      client.end();
      socket.destroy();
      await closed;
    },
  };
};

/** Connects and logs in; rejects when the login is refused. */
export const login = async (
  target: Target,
  config: Readonly<Record<string, unknown>> = {},
): Promise<Connection> => {
  const connection = await dial(target, config);
  const ready = new Promise<void>((resolve) => connection.client.on("ready", () => resolve()));
  const lost = connection.closed.then((error) => {
    throw error ?? new Error("the connection closed before the login");
  });
  lost.catch(() => {});
  await Promise.race([ready, lost]);
  return connection;
};

/** Turns one callback-style call into a promise. */
export const call = <A>(
  body: (done: (error?: Error | null, answer?: A) => void) => void,
): Promise<A> =>
  new Promise((resolve, reject) =>
    body((error, answer) => error ? reject(error) : resolve(answer as A))
  );

/** Sends one SSH packet as given, through the encryption of the connection. */
export const sendPacket = (client: Client, payload: Uint8Array): void => {
  const { write } = client._protocol._packetRW;
  const packet = write.alloc(payload.length);
  packet.set(payload, write.allocStart);
  client._protocol._cipher.encrypt(write.finalize(packet));
};
