import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { Effect, type Scope } from "effect";
import handlers from "ssh2/lib/protocol/handlers.js";
import Protocol from "ssh2/lib/protocol/Protocol.js";
import { sendPacket } from "ssh2/lib/protocol/utils.js";
import { Fields, Message, packet } from "../../adapters/ssh/wire.ts";
import { PASSWORD } from "./support.ts";

interface Proto {
  _onPayload: (payload: Buffer) => unknown;
  _kexinit: unknown;
  _kex: { sessionID: Buffer };
  _packetRW: {
    write: { allocStart: number; alloc(n: number): Buffer; finalize(p: Buffer): Buffer };
  };
  start(): void;
  parse(chunk: Buffer, from: number, length: number): void;
  rekey(): void;
}

/** A client that sends any packet at any time: ssh2's packet layer, and nothing above it. */
export interface RawClient {
  readonly socket: Socket;
  readonly proto: Proto;
  readonly send: (payload: Uint8Array) => void;
  /** The next packet that is not EXT_INFO or a window adjust. Rejects when the connection ends. */
  readonly next: () => Promise<Buffer>;
  /** Resolves when the server has ended the connection. */
  readonly closed: Promise<void>;
  readonly all: Buffer[];
}

/** Connects and exchanges keys. */
export const rawClient = (port: number): Effect.Effect<RawClient, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => open(port)),
    ({ socket }) => Effect.sync(() => socket.destroy()),
  );

const open = (port: number): Promise<RawClient> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    const inbox: Buffer[] = [];
    const all: Buffer[] = [];
    const waiting: Array<{ resolve: (p: Buffer) => void; reject: (e: Error) => void }> = [];
    let over = false;
    const closed = new Promise<void>((done) => {
      const end = () => {
        over = true;
        for (const { reject } of waiting.splice(0)) reject(new Error("connection ended"));
        done();
        reject(new Error("connection ended"));
      };
      socket.on("close", end).on("end", end).on("error", end);
    });
    const Class = Protocol as unknown as new (config: object) => Proto;
    const proto = new Class({
      server: false,
      hostVerifier: () => true,
      onWrite: (data: Buffer) => socket.writable && socket.write(data),
      onError: () => socket.destroy(),
      onHandshakeComplete: () => resolve(client),
      messageHandlers: {},
    });
    const original = proto._onPayload;
    proto._onPayload = (payload) => {
      if (payload[0] === Message.KexInit) return original.call(proto, payload);
      all.push(payload);
      if (payload[0] === Message.ExtInfo || payload[0] === Message.ChannelWindowAdjust) return;
      const waiter = waiting.shift();
      if (waiter) waiter.resolve(payload);
      else inbox.push(payload);
    };
    socket.on("connect", () => proto.start());
    socket.on("data", (chunk: Buffer) => {
      try {
        proto.parse(chunk, 0, chunk.length);
      } catch {
        socket.destroy();
      }
    });
    const client: RawClient = {
      socket,
      proto,
      closed,
      all,
      send: (payload) => {
        const writer = proto._packetRW.write;
        const whole = writer.alloc(payload.length);
        whole.set(payload, writer.allocStart);
        (sendPacket as (p: Proto, b: Buffer) => void)(proto, writer.finalize(whole));
      },
      next: () => {
        const ready = inbox.shift();
        if (ready) return Promise.resolve(ready);
        if (over) return Promise.reject(new Error("connection ended"));
        return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
      },
    };
  });

/** Number of server packet types known to ssh2, so that its table is loaded before use. */
export const knownMessages = (handlers as ReadonlyArray<unknown>).length;

export const requestAuth = async (client: RawClient): Promise<void> => {
  client.send(packet(Message.ServiceRequest, "ssh-userauth"));
  const answer = await client.next();
  if (answer[0] !== Message.ServiceAccept) throw new Error(`answered ${answer[0]}`);
};

export const authRequest = (
  user: string,
  method: string,
  ...fields: ReadonlyArray<string | boolean | number | Uint8Array>
) => packet(Message.AuthRequest, user, "ssh-connection", method, ...fields);

/** Logs in by password. */
export const logIn = async (client: RawClient, user = "u"): Promise<void> => {
  await requestAuth(client);
  client.send(authRequest(user, "password", false, PASSWORD));
  const answer = await client.next();
  if (answer[0] !== Message.AuthSuccess) throw new Error(`answered ${answer[0]}`);
};

/** Opens a session channel; answers the server's number for it and its window. */
export const openChannel = async (client: RawClient, id = 0, window = 0x7fffffff) => {
  client.send(packet(Message.ChannelOpen, "session", id, window, 32768));
  const answer = await client.next();
  if (answer[0] !== Message.ChannelOpenConfirmation) throw new Error(`answered ${answer[0]}`);
  const fields = new Fields(answer, 1);
  fields.uint32();
  return { remote: fields.uint32(), window: fields.uint32() };
};

/** Starts an engine on a new channel. */
export const exec = async (client: RawClient, command: string, id = 0, window = 0x7fffffff) => {
  const channel = await openChannel(client, id, window);
  client.send(packet(Message.ChannelRequest, channel.remote, "exec", true, command));
  const answer = await client.next();
  if (answer[0] !== Message.ChannelSuccess) throw new Error(`answered ${answer[0]}`);
  return channel;
};

/** A TCP connection that says nothing by itself; `text` collects what the server says. */
export const plainSocket = (port: number) =>
  Effect.acquireRelease(
    Effect.promise(() =>
      new Promise<{ socket: Socket; closed: Promise<void>; text: () => string }>((resolve) => {
        const socket = connect(port, "127.0.0.1");
        let text = "";
        socket.on("data", (chunk: Buffer) => {
          text += chunk.toString("latin1");
        });
        const closed = new Promise<void>((done) => {
          socket.on("end", () => done()).on("close", () => done()).on("error", () => done());
        });
        // A refused connection counts as one that has been closed at once.
        const answer = () => resolve({ socket, closed, text: () => text });
        socket.on("connect", answer).on("error", answer);
      })
    ),
    ({ socket }) => Effect.sync(() => socket.destroy()),
  );
