import type { Body } from "./body.ts";
import { Encoder } from "./encoder.ts";
import { code, limits, packet } from "./protocol.ts";
import type { ExtensionRow, Handler } from "./table.ts";

/**
 * `users-groups-by-id@openssh.com` (OpenSSH PROTOCOL 4.11).
 *
 * Only the user's own ids have a name. The accounts of the machine are none of
 * the client's business, so the others answer an empty name, which means "not
 * found" and makes clients show the number.
 */
const byId: Handler = (session, id, body) => {
  const uids = ids(body);
  const gids = ids(body);
  if (!uids || !gids) body.malformed = true;
  if (session.refused(id, body) || !uids || !gids) return;
  const { user } = session.context;
  const name = user?.username ?? "";
  const known = (own: number | undefined) => (each: number) =>
    own !== undefined && own !== 0 && each === own ? name : "";
  const users = uids.map(known(user?.uid));
  const groups = gids.map(known(user?.gid));
  // 65,000 times one's own id would make a reply of megabytes.
  const size = [...users, ...groups].reduce((sum, each) => sum + 4 + each.length * 3, 0);
  if (size > limits.announced) return session.status(id, code.failure, "Too many ids");
  const reply = new Encoder(packet.extendedReply, id, size + 32)
    .bytes(packed(users)).bytes(packed(groups));
  session.reply(reply.finish(), session.cost);
};

const ids = (body: Body): ReadonlyArray<number> | undefined => {
  const bytes = body.bytes();
  if (bytes.length % 4 !== 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / 4 }, (_, at) => view.getUint32(at * 4));
};

/** Strings one after the other, without the header of a packet. */
const packed = (names: ReadonlyArray<string>): Uint8Array => {
  const encoder = new Encoder(0, undefined, names.length * 4 + 64);
  for (const name of names) encoder.text(name);
  return encoder.finish().subarray(5);
};

export const ownerRows: ReadonlyArray<ExtensionRow> = [{
  type: packet.extended,
  name: "users-groups-by-id@openssh.com",
  data: "1",
  handler: byId,
  writes: false,
}];
