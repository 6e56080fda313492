import { Effect } from "effect";
import type { FsError } from "../../../src/errors.ts";
import type { Available } from "../../../src/vfs/vfs.ts";
import { maxNameBytes, type VPath } from "../../../src/vpath.ts";
import { Encoder } from "./encoder.ts";
import { packet } from "./protocol.ts";
import type { Session } from "./session.ts";
import type { ExtensionRow, Handler } from "./table.ts";

const blockSize = 4096;
/** SSH2_FXE_STATVFS_ST_NOSUID: nothing is ever run from here. */
const noSuid = 2;

/** `statvfs@openssh.com` (OpenSSH PROTOCOL 4.4), answered from the quota where there is one (QUOTA-13). */
const statvfs: Handler = (session, id, body) => {
  const raw = body.text();
  if (session.refused(id, body)) return;
  session.control(id, Effect.flatMap(session.path(raw), (path) => space(session, id, path)));
};

const fstatvfs: Handler = (session, id, body) => {
  const raw = body.bytes();
  if (session.refused(id, body)) return;
  const file = session.file(id, raw);
  if (file) session.control(id, space(session, id, file.handle.path), file);
};

const space = (session: Session, id: number, path: VPath): Effect.Effect<Uint8Array, FsError> =>
  Effect.map(session.vfs.available(path), (available) => spacePacket(id, available));

const spacePacket = (id: number, space: Available): Uint8Array => {
  const blocks = (bytes: number) => Math.floor(whole(bytes) / blockSize);
  return new Encoder(packet.extendedReply, id, 97)
    .u64(blockSize).u64(blockSize)
    .u64(blocks(space.totalBytes)).u64(blocks(space.freeBytes)).u64(blocks(space.freeBytes))
    .u64(whole(space.totalFiles)).u64(whole(space.freeFiles)).u64(whole(space.freeFiles))
    .u64(0).u64(noSuid).u64(maxNameBytes)
    .finish();
};

const whole = (value: number): number =>
  Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Math.floor(value)));

const row = (name: string, handler: Handler): ExtensionRow => ({
  type: packet.extended,
  name,
  data: "2",
  handler,
  writes: false,
});

export const spaceRows: ReadonlyArray<ExtensionRow> = [
  row("statvfs@openssh.com", statvfs),
  row("fstatvfs@openssh.com", fstatvfs),
];
