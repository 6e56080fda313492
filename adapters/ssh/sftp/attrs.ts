import type { Attributes, Entry, EntryKind } from "../../../src/model/entry.ts";
import type { Body } from "./body.ts";
import type { Encoder } from "./encoder.ts";
import { attrFlag } from "./protocol.ts";

const typeBits = {
  file: 0o100000,
  dir: 0o040000,
  symlink: 0o120000,
  other: 0,
} as const satisfies Record<EntryKind, number>;

const usualMode = {
  file: 0o644,
  dir: 0o755,
  symlink: 0o777,
  other: 0o600,
} as const satisfies Record<EntryKind, number>;

/** Type and permission bits as `st_mode` has them; stores without modes get the usual ones. */
export const fullMode = (entry: Entry): number =>
  typeBits[entry.kind] | ((entry.mode ?? usualMode[entry.kind]) & 0o7777);

/** Unix milliseconds to the 32-bit seconds of SFTP v3, clamped. */
export const seconds = (milliseconds: number): number =>
  Math.min(0xffff_ffff, Math.max(0, Math.floor(milliseconds / 1000) || 0));

/** Reads ATTRS (section 5). Extended pairs are skipped; unknown flag bits carry no data. */
export const decodeAttributes = (body: Body): Attributes => {
  const flags = body.u32();
  const found: { -readonly [K in keyof Attributes]: Attributes[K] } = {};
  if (flags & attrFlag.size) found.size = body.u64();
  if (flags & attrFlag.owner) {
    found.uid = body.u32();
    found.gid = body.u32();
  }
  if (flags & attrFlag.permissions) found.mode = body.u32() & 0o7777;
  if (flags & attrFlag.times) {
    found.atime = body.u32() * 1000;
    found.mtime = body.u32() * 1000;
  }
  if (flags & attrFlag.extended) {
    // The count is the client's word: stop as soon as the packet is used up.
    for (let left = body.u32(); left > 0 && !body.malformed; left--) {
      body.bytes();
      body.bytes();
    }
  }
  return found;
};

/**
 * The same for OPEN and MKDIR: a new file's mode passes the umask that sshd
 * has. OpenSSH's client asks for 0777 with every mkdir and relies on it.
 */
export const decodeInitial = (body: Body): Attributes => {
  const { mode, ...others } = decodeAttributes(body);
  return mode === undefined ? others : { ...others, mode: mode & ~umask };
};

const umask = 0o022;

/** Writes ATTRS of an entry. */
export const encodeAttributes = (into: Encoder, entry: Entry): Encoder => {
  const owned = entry.uid !== undefined && entry.gid !== undefined;
  into.u32(attrFlag.size | (owned ? attrFlag.owner : 0) | attrFlag.permissions | attrFlag.times);
  into.u64(entry.size);
  if (owned) into.u32(entry.uid).u32(entry.gid);
  return into.u32(fullMode(entry)).u32(seconds(entry.atime ?? entry.mtime))
    .u32(seconds(entry.mtime));
};
