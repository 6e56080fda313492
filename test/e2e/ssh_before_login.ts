import { Buffer } from "node:buffer";
import { pause } from "./process.ts";
import { str, u8 } from "./raw_sftp.ts";
import { type Connection, dial } from "./ssh2_client.ts";

/** A connection after the key exchange that asks for nothing by itself. */
export const beforeLogin = async (port: number): Promise<Connection> => {
  const connection = await dial({ port, user: "pat" }, { authHandler: () => {} });
  await new Promise((resolve) => connection.client.on("handshake", resolve));
  await pause(100);
  return connection;
};

/** RFC 4252 section 5: a request to log in. */
export const request = (user: string, method: string, ...fields: Uint8Array[]) =>
  Buffer.concat([u8(50), str(user), str("ssh-connection"), str(method), ...fields]);
