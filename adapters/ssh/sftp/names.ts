import type { Entry } from "../../../src/model/entry.ts";
import { encodeAttributes } from "./attrs.ts";
import { Encoder } from "./encoder.ts";
import { longname } from "./longname.ts";
import { limits, packet } from "./protocol.ts";

/** NAME with one path and no attributes: the answer of REALPATH, READLINK and their kin. */
export const pathPacket = (id: number, path: string): Uint8Array =>
  new Encoder(packet.name, id, 21 + path.length * 6 + 4)
    .u32(1).text(path).text(path).u32(0).finish();

/** Bytes in front of the entries: length, type, id and count. */
const header = 13;
/** An entry with a name of some 20 bytes. */
const usualBytes = 128;
/** Name and longname with their lengths, and the largest ATTRS. */
const entryBytes = (name: string): number => 4 + name.length * 3 + 4 + 96 + name.length * 12 + 32;

/**
 * One reply of READDIR: as many entries as fit in 32,000 bytes and 250 names,
 * since some clients take no more (SECURITY 3.1 item 20).
 */
export class NamesPage {
  #encoder: Encoder;
  #count = 0;

  /** `expected`: entries that are at hand, for the size of the packet. */
  constructor(id: number, private readonly now: number, expected: number) {
    const capacity = Math.min(4096 + expected * usualBytes, limits.namesReply + 1024);
    this.#encoder = new Encoder(packet.name, id, capacity).u32(0);
  }

  get count(): number {
    return this.#count;
  }

  /** Adds an entry; false, and nothing added, when it might not fit. */
  add(entry: Entry): boolean {
    if (this.#count === limits.namesPerReply) return false;
    if (this.#encoder.length + entryBytes(entry.name) > limits.namesReply && this.#count > 0) {
      return false;
    }
    this.#encoder.text(entry.name).text(longname(entry, this.now));
    encodeAttributes(this.#encoder, entry);
    this.#count++;
    return true;
  }

  finish(): Uint8Array {
    return this.#encoder.patch(header - 4, this.#count).finish();
  }
}
