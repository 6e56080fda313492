/** Packet types of draft-ietf-secsh-filexfer-02 section 3. */
export const packet = {
  init: 1,
  version: 2,
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
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attrs: 105,
  extended: 200,
  extendedReply: 201,
} as const;

/** Status codes, section 7. */
export const code = {
  ok: 0,
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  unsupported: 8,
} as const;
export type StatusCode = typeof code[keyof typeof code];

/** Open flags, section 6.3. Any mix of bits may arrive. */
export const openFlag = {
  read: 0x01,
  write: 0x02,
  append: 0x04,
  create: 0x08,
  truncate: 0x10,
  exclusive: 0x20,
} as const;

/** Attribute flags, section 5. */
export const attrFlag = {
  size: 0x01,
  owner: 0x02,
  permissions: 0x04,
  times: 0x08,
  extended: 0x8000_0000,
} as const;

const KiB = 1024;
const MiB = 1024 * KiB;

/** Every bound of the engine in one place. Bytes, unless the name says otherwise. */
export const limits = {
  /** A longer packet ends the connection: the largest payload and room for what surrounds it. */
  packet: 256 * KiB + 1024,
  /** A READ that asks for more gets this much. */
  read: 256 * KiB,
  /** What `limits@openssh.com` announces: OpenSSH's client takes packets of 256 KiB in all. */
  announced: 256 * KiB - 1024,
  /** Some clients take no reply over 34,000 bytes (SECURITY 3.1 item 20). */
  namesReply: 32_000,
  namesPerReply: 250,
  /** Held bytes (requests without an answer, answers not yet sent) at which reading stops. */
  heldHigh: 4 * MiB,
  /** Of these, what may be outgoing: a client that never reads costs no more than this. */
  outgoingHigh: 2 * MiB,
  /** Reading goes on below this. */
  heldLow: 1 * MiB,
  /** Requests without an answer at which reading stops; it goes on below half of it. */
  requests: 1024,
  /** Piece by which copy-data and check-file work. */
  piece: 256 * KiB,
  /** Replies up to this size share one buffer and one channel write. */
  smallReply: 4 * KiB,
  slab: 16 * KiB,
  firstSlab: KiB,
} as const;
