import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { str, u32, u8 } from "./raw_sftp.ts";
import { openSocket } from "./ssh2_client.ts";

/** One unencrypted SSH packet (RFC 4253 section 6), padded to 8 bytes. */
export const packet = (payload: Uint8Array): Buffer => {
  const short = 8 - ((5 + payload.length) % 8);
  const padding = short < 4 ? short + 8 : short;
  return Buffer.concat([
    u32(1 + payload.length + padding),
    u8(padding),
    payload,
    Buffer.alloc(padding),
  ]);
};

/** A key exchange offer (RFC 4253 section 7.1) that asks for strict key exchange. */
export const kexInit = (kex = "curve25519-sha256,kex-strict-c-v00@openssh.com"): Buffer => {
  const cipher = str("aes128-gcm@openssh.com");
  const mac = str("hmac-sha2-256");
  const none = str("none");
  return Buffer.concat([
    u8(20),
    Buffer.alloc(16, 7),
    str(kex),
    str("ssh-ed25519"),
    ...[cipher, cipher, mac, mac, none, none, str(""), str("")],
    u8(0),
    u32(0),
  ]);
};

/** A TCP connection that remembers what came and tells when it is closed. */
export interface RawConnection {
  readonly socket: Socket;
  readonly received: () => Buffer;
  /** True when the server closed within `seconds`. */
  readonly closedWithin: (seconds: number) => Promise<boolean>;
}

export const rawConnect = async (port: number): Promise<RawConnection> => {
  const socket = await openSocket(port);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => {
    socket.on("end", () => resolve());
    socket.on("close", () => resolve());
  });
  return {
    socket,
    received: () => Buffer.concat(chunks),
    closedWithin: async (seconds) => {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const timer = setTimeout(() => resolve(false), seconds * 1000);
      closed.then(() => resolve(true));
      const answer = await promise;
      clearTimeout(timer);
      socket.destroy();
      return answer;
    },
  };
};
