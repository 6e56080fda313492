import { once } from "node:events";
import type { SecureContext } from "node:tls";
import { detach } from "../../actors/detach.ts";
import { secure } from "../../actors/secure.ts";
import { Socket } from "../../actors/socket.ts";
import type { Opening } from "./opening.ts";
import { refuse } from "./reply.ts";

/** A data connection, pulled and pushed by whoever moves the bytes. */
export interface Channel {
  /** The next bytes, good until the next call; undefined at the end that the client meant. A cut rejects. */
  read(): Promise<Uint8Array | undefined>;
  /** The same into memory of the caller, where nothing must be done to the bytes: how many came, undefined at the end. */
  readonly readInto?: (into: Uint8Array) => Promise<number | undefined>;
  /** Resolves when the system took the bytes, which must stay until then. */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends our side; resolves when all is on its way. */
  finish(): Promise<void>;
  /** Cuts the connection. Idempotent. */
  destroy(): void;
  /** Bytes that went over the wire so far. */
  moved(): number;
}

/** Bytes that one read may bring. */
const CHUNK = 256 * 1024;
const HANDSHAKE_MS = 20_000;

/** A data connection in clear. */
export const plainChannel = (conn: Deno.TcpConn): Channel => {
  let buffer: Uint8Array | undefined;
  let open = true;
  let moved = 0;
  const destroy = () => {
    if (!open) return;
    open = false;
    conn.close();
  };
  const readInto = async (into: Uint8Array) => {
    const count = await conn.read(into) ?? undefined;
    moved += count ?? 0;
    return count;
  };
  return {
    read: async () => {
      buffer ??= new Uint8Array(CHUNK);
      const count = await readInto(buffer);
      return count === undefined ? undefined : buffer.subarray(0, count);
    },
    readInto,
    write: async (bytes) => {
      for (let at = 0; at < bytes.length;) {
        const count = await conn.write(bytes.subarray(at));
        at += count;
        moved += count;
      }
    },
    finish: async () => {
      await conn.closeWrite();
      destroy();
    },
    destroy,
    moved: () => moved,
  };
};

/**
 * The same over TLS (RFC 4217): its end is close_notify, and nothing else. Refuses a
 * session that is new where `resumed` is asked for. `upload` is there for uploads alone.
 */
export const tlsChannel = async (
  conn: Deno.TcpConn,
  context: SecureContext,
  resumed: boolean,
  upload: Opening | undefined,
): Promise<Channel> => {
  const socket = new Socket(conn);
  const { tls, feed, ended: cut, gone, release, hold, moved } = secure(socket, context, {
    protocols: ["ftp"],
    quiet: upload !== undefined,
  });
  const arrived: Uint8Array<ArrayBuffer>[] = [];
  let lent: Uint8Array<ArrayBuffer> | undefined;
  let waiting = 0;
  let failure: Error | undefined;
  let ended = false;
  let closed = false;
  let wake = () => {};
  tls.on("data", (chunk: Uint8Array<ArrayBuffer>) => {
    arrived.push(chunk);
    waiting += chunk.length;
    if (waiting >= CHUNK) hold(true);
    wake();
  });
  tls.on("end", () => {
    ended = true;
    wake();
  });
  tls.on("error", (error) => {
    failure = error;
    wake();
  });
  tls.on("close", () => {
    closed = true;
    wake();
  });
  const shaken = new Promise<boolean>((resolve) => {
    tls.once("secure", () => {
      if (upload && !upload.told) release();
      resolve(true);
    });
    tls.once("close", () => resolve(false));
  });
  const timer = setTimeout(() => tls.destroy(), HANDSHAKE_MS);
  upload?.wait();
  let begun = false;
  const data = (chunk: Uint8Array) => {
    if (!begun) upload?.begun();
    begun = true;
    feed(chunk);
  };
  socket.open({ data, end: cut, closed: gone });
  const secured = await shaken.finally(() => clearTimeout(timer));
  // The tickets are on their way before the client is told.
  if (upload && !upload.told) {
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise<void>((resolve) => socket.write(new Uint8Array(0), resolve));
  }
  if (!secured) throw refuse(425, "the TLS handshake of the data connection failed");
  if (resumed && !tls.isSessionReused()) {
    upload?.unresumed();
    tls.destroy();
    throw refuse(522, "the data connection must resume the TLS session of the control connection");
  }
  return {
    read: async () => {
      if (lent) detach(lent);
      lent = undefined;
      for (;;) {
        const chunk = arrived.shift();
        if (chunk) {
          lent = chunk;
          waiting -= chunk.length;
          return chunk;
        }
        if (failure) throw failure;
        if (ended) return undefined;
        if (closed) throw new Error("the data connection was cut");
        await new Promise<void>((resolve) => {
          wake = resolve;
          hold(false);
        });
      }
    },
    write: (bytes) =>
      new Promise((resolve, reject) => {
        if (closed) return reject(failure ?? new Error("the data connection was cut"));
        const gone = () => reject(failure ?? new Error("the data connection was cut"));
        tls.once("close", gone);
        tls.write(bytes, (error) => {
          tls.off("close", gone);
          if (error) reject(error);
          else resolve();
        });
      }),
    finish: async () => {
      release();
      tls.resume();
      tls.end();
      if (!tls.writableFinished && !closed) {
        await Promise.race([once(tls, "finish"), once(tls, "close")]);
      }
      // The client's own close_notify is its matter; the connection does not wait for it for ever.
      setTimeout(() => tls.destroy(), 2000);
    },
    destroy: () => void tls.destroy(),
    moved,
  };
};
