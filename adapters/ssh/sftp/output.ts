import type { ByteChannel } from "../byte_channel.ts";
import { giveBack } from "../memory.ts";
import type { Budget } from "./budget.ts";
import { putU32 } from "./encoder.ts";
import { code, limits, packet } from "./protocol.ts";

const success = new TextEncoder().encode("Success");
const okLength = 4 + 1 + 4 + 4 + 4 + success.length + 4;
const nothing = new Uint8Array(0);

interface Ready {
  readonly bytes: Uint8Array;
  readonly borrowed: Uint8Array | undefined;
}

/**
 * Sends replies, a batch at a time.
 *
 * Small replies are gathered in one buffer and leave together: at the end of
 * the turn, or when the batch before them was taken. Large ones go as they are,
 * without a copy. Every byte stays in the budget until the channel took it.
 */
export class Output {
  #queue: Ready[] = [];
  #slab: Uint8Array = nothing;
  #start = 0;
  #end = 0;
  #running = false;
  #lost = false;
  #idle: Array<() => void> = [];
  #queued = 0;
  #eased: Array<() => void> = [];

  constructor(
    private readonly channel: ByteChannel,
    private readonly budget: Budget,
    /** Told once when the connection does not take bytes any more. */
    private readonly onLost: () => void,
  ) {}

  /** Queues one whole packet, which must stay as it is; `borrowed` is given back when it was taken. */
  send(bytes: Uint8Array, borrowed?: Uint8Array): void {
    if (this.#lost) return;
    this.#count(bytes.length);
    if (bytes.length <= limits.smallReply) {
      this.#room(bytes.length);
      this.#slab.set(bytes, this.#end);
      this.#end += bytes.length;
      if (borrowed) giveBack(borrowed);
    } else {
      this.#seal();
      this.#queue.push({ bytes, borrowed });
    }
    this.#kick();
  }

  /** STATUS OK, written straight into the shared buffer: the answer to every WRITE. */
  ok(id: number): void {
    if (this.#lost) return;
    this.#count(okLength);
    this.#room(okLength);
    const slab = this.#slab;
    const at = this.#end;
    putU32(slab, at, okLength - 4);
    slab[at + 4] = packet.status;
    putU32(slab, at + 5, id);
    putU32(slab, at + 9, code.ok);
    putU32(slab, at + 13, success.length);
    slab.set(success, at + 17);
    putU32(slab, at + 17 + success.length, 0);
    this.#end = at + okLength;
    this.#kick();
  }

  /** True while replies pile up because the client does not read. */
  get backedUp(): boolean {
    return this.#queued > limits.heldLow;
  }

  /** Resolves when it is not `backedUp` any more, or the connection is lost. */
  eased(): Promise<void> {
    return this.backedUp ? new Promise((resolve) => this.#eased.push(resolve)) : Promise.resolve();
  }

  /** Resolves when everything queued so far was taken, or the connection is lost. */
  drained(): Promise<void> {
    if (!this.#running) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Drops what is queued. */
  stop(): void {
    if (this.#lost) return;
    this.#lost = true;
    this.#queue = [];
    this.#uncount(this.#queued);
    this.#slab = nothing;
    this.#start = this.#end = 0;
  }

  #room(bytes: number): void {
    if (this.#end + bytes <= this.#slab.length) return;
    this.#seal();
    // Most clients ask one thing at a time: the first answer of a run needs no more than a little.
    const first = this.#slab.length === 0 && bytes <= limits.firstSlab;
    this.#slab = new Uint8Array(first ? limits.firstSlab : limits.slab);
    this.#start = this.#end = 0;
  }

  #seal(): void {
    if (this.#end === this.#start) return;
    this.#queue.push({ bytes: this.#slab.subarray(this.#start, this.#end), borrowed: undefined });
    this.#start = this.#end;
  }

  #count(bytes: number): void {
    this.#queued += bytes;
    this.budget.reserve(bytes);
  }

  #uncount(bytes: number): void {
    this.#queued -= bytes;
    this.budget.release(bytes);
    if (!this.backedUp) { for (const resolve of this.#eased.splice(0)) resolve(); }
  }

  #kick(): void {
    if (this.#running) return;
    this.#running = true;
    queueMicrotask(() => this.#pump());
  }

  async #pump(): Promise<void> {
    try {
      for (;;) {
        this.#seal();
        if (this.#queue.length === 0) break;
        const batch = this.#queue;
        this.#queue = [];
        let bytes = 0;
        // All at once, so that the channel can fill its packets across replies.
        const written = batch.map((each) => {
          bytes += each.bytes.length;
          const { borrowed } = each;
          return this.channel.write(each.bytes, borrowed && (() => giveBack(borrowed)));
        });
        await Promise.all(written);
        if (!this.#lost) this.#uncount(bytes);
      }
    } catch {
      this.stop();
      this.onLost();
    }
    this.#running = false;
    // An idle session keeps no buffer.
    this.#slab = nothing;
    this.#start = this.#end = 0;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
