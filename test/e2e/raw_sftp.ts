import { Buffer } from "node:buffer";
import type { Target } from "./clients.ts";
import { call, type Channel, type Connection, login } from "./ssh2_client.ts";

/** Request types (draft-ietf-secsh-filexfer-02 section 3). */
export const op = {
  init: 1,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  setstat: 9,
  fsetstat: 10,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  realpath: 16,
  stat: 17,
  rename: 18,
  readlink: 19,
  symlink: 20,
  extended: 200,
} as const;

/** Status codes (section 7). */
export const status = {
  ok: 0,
  eof: 1,
  noSuchFile: 2,
  denied: 3,
  failure: 4,
  badMessage: 5,
  unsupported: 8,
} as const;

/** Open flags (section 6.3). */
export const flag = { read: 1, write: 2, append: 4, creat: 8, trunc: 16, excl: 32 } as const;

export const u8 = (n: number): Buffer => Buffer.from([n]);
export const u32 = (n: number): Buffer => {
  const b = Buffer.alloc(4);
  b.writeUInt32BE(n >>> 0);
  return b;
};
export const u64 = (n: bigint | number): Buffer => {
  const b = Buffer.alloc(8);
  b.writeBigUInt64BE(BigInt(n));
  return b;
};
/** A string of the protocol: its length, then its bytes. */
export const str = (s: string | Uint8Array): Buffer => {
  const bytes = typeof s === "string" ? Buffer.from(s) : Buffer.from(s);
  return Buffer.concat([u32(bytes.length), bytes]);
};
export const noAttributes = u32(0);
/** Attributes with a mode only. */
export const modeAttributes = (mode: number): Buffer => Buffer.concat([u32(4), u32(mode)]);

export interface Name {
  readonly name: Buffer;
  readonly long: string;
}

/** One answer of the server, read as far as its type says. */
export interface Reply {
  readonly type: number;
  readonly id: number;
  readonly body: Buffer;
  /** Of a STATUS; -1 otherwise. */
  readonly code: number;
  readonly message: string;
}

/** Whether an answer is what was asked for and no refusal. */
export const isBytes = (answer: Buffer | Reply): answer is Buffer => answer instanceof Uint8Array;

const readReply = (packet: Buffer): Reply => {
  const type = packet[0] ?? -1;
  const id = packet.readUInt32BE(1);
  const body = packet.subarray(5);
  if (type !== 101) return { type, id, body, code: -1, message: "" };
  const length = body.length >= 8 ? body.readUInt32BE(4) : 0;
  return {
    type,
    id,
    body,
    code: body.readUInt32BE(0),
    message: body.toString("utf8", 8, 8 + length),
  };
};

/** Names of a NAME reply; attributes are skipped by their flags. */
export const names = (reply: Reply): ReadonlyArray<Name> => {
  const { body } = reply;
  let at = 4;
  const text = () => {
    const length = body.readUInt32BE(at);
    at += 4 + length;
    return body.subarray(at - length, at);
  };
  return Array.from({ length: body.readUInt32BE(0) }, () => {
    const name = text();
    const long = text().toString();
    const flags = body.readUInt32BE(at);
    at += 4 + (flags & 1 ? 8 : 0) + (flags & 2 ? 8 : 0) + (flags & 4 ? 4 : 0) + (flags & 8 ? 8 : 0);
    return { name, long };
  });
};

/**
 * An SFTP client that sends exactly the packets it is told to.
 *
 * Requests may overlap; `request` resolves with the reply of the same id.
 */
export class RawSftp implements AsyncDisposable {
  #next = 1;
  #buffer: Buffer = Buffer.alloc(0);
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  readonly #losers = new Set<(error: Error) => void>();
  #lost: Error | undefined;
  /** The packet that answered INIT: version and extensions. */
  version: Buffer = Buffer.alloc(0);
  /** Settles when the server closed the channel or the connection. */
  readonly ended: Promise<void>;

  private constructor(readonly connection: Connection, readonly channel: Channel) {
    this.ended = new Promise((resolve) => {
      const gone = () => {
        this.#lost = new Error("the SFTP channel is closed");
        for (const reject of this.#losers) reject(this.#lost);
        resolve();
      };
      channel.on("close", gone);
      connection.closed.then(gone);
    });
    channel.on("error", () => {});
    channel.on("data", (chunk: Buffer) => this.#take(chunk));
  }

  static async open(
    target: Target,
    config: Readonly<Record<string, unknown>> = {},
  ): Promise<RawSftp> {
    return await RawSftp.on(await login(target, config));
  }

  /** Opens one more SFTP channel on a connection. */
  static async on(connection: Connection): Promise<RawSftp> {
    const channel = await call<Channel>((done) => connection.client.subsys("sftp", done));
    const raw = new RawSftp(connection, channel);
    const version = new Promise<Buffer>((resolve) => raw.#onVersion = resolve);
    raw.packet(Buffer.concat([u8(op.init), u32(3)]));
    raw.version = await raw.#orLost(version);
    return raw;
  }

  #onVersion: ((packet: Buffer) => void) | undefined;

  #take(chunk: Buffer): void {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    while (this.#buffer.length >= 4) {
      const length = this.#buffer.readUInt32BE(0);
      if (this.#buffer.length < 4 + length) return;
      const packet = this.#buffer.subarray(4, 4 + length);
      this.#buffer = this.#buffer.subarray(4 + length);
      if (packet[0] === 2) this.#onVersion?.(packet);
      else {
        const reply = readReply(packet);
        const resolve = this.#waiting.get(reply.id);
        this.#waiting.delete(reply.id);
        resolve?.(reply);
      }
    }
  }

  async #orLost<A>(promise: Promise<A>): Promise<A> {
    if (this.#lost) throw this.#lost;
    const { promise: lost, reject } = Promise.withResolvers<A>();
    lost.catch(() => {});
    this.#losers.add(reject);
    try {
      return await Promise.race([promise, lost]);
    } finally {
      this.#losers.delete(reject);
    }
  }

  /** Sends bytes on the channel with no framing at all. */
  bytes(bytes: Uint8Array): void {
    this.channel.write(bytes);
  }

  /** Sends one packet: its length, then `payload`. */
  packet(payload: Uint8Array): void {
    this.bytes(Buffer.concat([u32(payload.length), payload]));
  }

  /** Sends a request and does not wait. */
  post(type: number, ...fields: Uint8Array[]): number {
    const id = this.#next++;
    this.packet(Buffer.concat([u8(type), u32(id), ...fields]));
    return id;
  }

  /** Sends a request and waits for its reply; rejects when the channel closes first. */
  request(type: number, ...fields: Uint8Array[]): Promise<Reply> {
    const id = this.#next++;
    const reply = new Promise<Reply>((resolve) => this.#waiting.set(id, resolve));
    this.packet(Buffer.concat([u8(type), u32(id), ...fields]));
    return this.#orLost(reply);
  }

  /** Opens a file; answers its handle, or the STATUS that refused. */
  async open(path: string | Uint8Array, flags: number): Promise<Buffer | Reply> {
    const reply = await this.request(op.open, str(path), u32(flags), noAttributes);
    return reply.type === 102 ? reply.body.subarray(4) : reply;
  }

  /** Opens a file that must open. */
  async handle(path: string | Uint8Array, flags: number): Promise<Buffer> {
    const opened = await this.open(path, flags);
    if (isBytes(opened)) return opened;
    throw new Error(`open ${path}: ${opened.code} ${opened.message}`);
  }

  async close(handle: Uint8Array): Promise<Reply> {
    return await this.request(op.close, str(handle));
  }

  /** Writes a whole file; answers the first status that is not OK, or that of CLOSE. */
  async put(
    path: string | Uint8Array,
    content: Uint8Array | string,
    flags: number = flag.write | flag.creat | flag.trunc,
  ): Promise<Reply> {
    const opened = await this.open(path, flags);
    if (!isBytes(opened)) return opened;
    const bytes = Buffer.from(content as Uint8Array);
    const step = 32 * 1024;
    let bad: Reply | undefined;
    for (let at = 0; at < bytes.length && !bad; at += step) {
      const part = bytes.subarray(at, at + step);
      const wrote = await this.request(op.write, str(opened), u64(at), str(part));
      if (wrote.code !== status.ok) bad = wrote;
    }
    const closed = await this.close(opened);
    return bad ?? closed;
  }

  /** Reads a whole file, or answers the STATUS that refused. */
  async get(path: string | Uint8Array): Promise<Buffer | Reply> {
    const opened = await this.open(path, flag.read);
    if (!isBytes(opened)) return opened;
    const parts: Buffer[] = [];
    let at = 0;
    for (;;) {
      const reply = await this.request(op.read, str(opened), u64(at), u32(32 * 1024));
      if (reply.type !== 103) {
        await this.close(opened);
        return reply.code === status.eof ? Buffer.concat(parts) : reply;
      }
      const part = reply.body.subarray(4);
      parts.push(part);
      at += part.length;
    }
  }

  /** Lists a directory by every READDIR it takes, or answers the STATUS that refused. */
  async list(path: string | Uint8Array): Promise<ReadonlyArray<Name> | Reply> {
    const opened = await this.request(op.opendir, str(path));
    if (opened.type !== 102) return opened;
    const handle = opened.body.subarray(4);
    const found: Name[] = [];
    for (;;) {
      const reply = await this.request(op.readdir, str(handle));
      if (reply.type !== 104) {
        await this.close(handle);
        return reply.code === status.eof ? found : reply;
      }
      found.push(...names(reply));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection[Symbol.asyncDispose]();
  }
}
