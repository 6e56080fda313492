import { Effect } from "effect";
import type { Budget } from "./budget.ts";
import type { ByteChannel } from "./byte_channel.ts";
import { ChannelInput } from "./channel_input.ts";
import { handled, refused } from "./handled.ts";
import { Malformed, Message, packet } from "./wire.ts";

/** Largest payload of a data packet, either way: what every client takes (RFC 4253 section 6.1). */
export const MAX_DATA = 32 * 1024;
/** Output that one channel may queue while its client keeps the window shut. */
const MAX_QUEUED = 1024 * 1024;
/**
 * Milliseconds for which a client that has ended its input may leave the window
 * shut. OpenSSH's ssh, when its sftp is killed, ends its input and lives on; for
 * what it threw away it never opens the window, and only the server can end that.
 */
const PATIENCE = 30_000;
const MAX_UINT32 = 0xffffffff;

/** What a channel uses of its connection. */
export interface ChannelLink {
  readonly budget: Budget;
  readonly send: (payload: Uint8Array) => void;
  readonly sendData: (channel: number, parts: ReadonlyArray<Uint8Array>, length: number) => void;
  /** Both sides have closed: forget the channel. */
  readonly gone: (local: number) => void;
}

/**
 * One session channel (RFC 4254 section 5) as a {@linkcode ByteChannel}.
 *
 * Its life and its output; {@linkcode ChannelInput} is the other half. Data
 * beyond the window throws {@linkcode Malformed}, which ends the connection
 * (SECURITY.md 3.1 item 18). Every pending promise settles when the connection
 * goes (19).
 */
export class SshChannel implements ByteChannel {
  readonly local: number;
  readonly remote: number;
  /** An engine has been started on this channel. */
  started = false;
  readonly #link: ChannelLink;
  readonly #input: ChannelInput;
  readonly #maxPacket: number;
  readonly #patience: number;

  #outbound: Array<{ bytes: Uint8Array; extended: boolean; taken: (() => void) | undefined }> = [];
  #queued = 0;
  #outWindow: number;
  #scheduled = false;
  /** Runs while the client has ended its input and keeps the window shut. */
  #waiting: ReturnType<typeof setTimeout> | undefined;
  #blocked: Array<{ resolve: () => void; reject: (e: Error) => void }> = [];

  /** Nothing can be written any more: the channel is closed, or the connection gone. */
  #lost: Error | undefined;
  #sentClose = false;
  #gotClose = false;
  #ending: { status: number | undefined; done: Array<() => void> } | undefined;

  constructor(
    link: ChannelLink,
    ids: { local: number; remote: number },
    size: { window: number; outWindow: number; maxPacket: number; patience?: number },
  ) {
    this.#link = link;
    this.local = ids.local;
    this.remote = ids.remote;
    this.#input = new ChannelInput(
      size.window,
      (bytes) => link.send(packet(Message.ChannelWindowAdjust, ids.remote, bytes)),
    );
    this.#outWindow = size.outWindow;
    this.#maxPacket = Math.min(size.maxPacket, MAX_DATA);
    this.#patience = size.patience ?? PATIENCE;
  }

  get backlog(): number {
    return this.#link.budget.bytes;
  }

  read(): Promise<Uint8Array | undefined> {
    return this.#input.read();
  }

  pour(sink: (chunk: Uint8Array) => void): Promise<void> {
    return this.#input.pour(sink);
  }

  took(bytes: number): void {
    this.#input.took(bytes);
  }

  write(bytes: Uint8Array, taken?: () => void): Promise<void> {
    return this.#push(bytes, false, taken);
  }

  writeError(bytes: Uint8Array): Promise<void> {
    return this.#push(bytes, true);
  }

  close(exitStatus?: number): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      if (this.#lost || this.#sentClose) return resume(Effect.void);
      this.#ending ??= { status: exitStatus, done: [] };
      this.#ending.done.push(() => resume(Effect.void));
      this.#pump();
    });
  }

  /** The client sent `data`, which is good only during the call. */
  receive(data: Uint8Array): void {
    this.#input.count(data.length);
    if (this.#input.ended) throw new Malformed("data after the end of the channel's input");
    if (data.length === 0 || this.#sentClose) return;
    if (this.started) this.#input.deliver(data);
    else this.#input.took(data.length);
  }

  /** Extended data has no meaning towards a server: it is counted and dropped. */
  receiveExtended(length: number): void {
    this.#input.count(length);
    this.#input.took(length);
  }

  receiveEof(): void {
    this.#input.end();
    this.#schedule();
  }

  receiveClose(): void {
    if (this.#gotClose) throw new Malformed("channel closed twice");
    this.#gotClose = true;
    this.receiveEof();
    if (!this.#sentClose) this.#sendClose();
    this.#abandon(new Error("the client closed the channel"));
    this.#link.gone(this.local);
  }

  adjust(bytes: number): void {
    this.#outWindow += bytes;
    if (this.#outWindow > MAX_UINT32) throw new Malformed("window larger than 2^32-1");
    this.#schedule();
  }

  /** The connection is gone. */
  lose(error: Error): void {
    this.#input.lose(error);
    this.#abandon(error);
  }

  #push(bytes: Uint8Array, extended: boolean, taken?: () => void): Promise<void> {
    if (this.#lost || this.#ending || this.#sentClose || bytes.length === 0) taken?.();
    if (this.#lost) return refused(this.#lost);
    if (this.#ending || this.#sentClose) return refused(new Error("the channel is closed"));
    if (bytes.length > 0) {
      this.#outbound.push({ bytes, extended, taken });
      this.#queued += bytes.length;
      this.#link.budget.take(bytes.length);
      this.#schedule();
    }
    if (this.#queued > MAX_QUEUED) {
      return handled(new Promise((resolve, reject) => this.#blocked.push({ resolve, reject })));
    }
    return this.#link.budget.full ? handled(this.#link.budget.room()) : DONE;
  }

  /** Many small answers written in one turn share packets. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#lost) return;
    while (this.#outbound.length > 0 && this.#outWindow > 0) {
      const limit = Math.min(this.#maxPacket, this.#outWindow);
      const extended = this.#outbound[0]?.extended === true;
      const parts: Uint8Array[] = [];
      const done: Array<() => void> = [];
      let length = 0;
      while (length < limit) {
        const head = this.#outbound[0];
        if (!head || head.extended !== extended) break;
        const room = limit - length;
        if (head.bytes.length <= room) {
          parts.push(head.bytes);
          length += head.bytes.length;
          this.#outbound.shift();
          if (head.taken) done.push(head.taken);
        } else {
          parts.push(head.bytes.subarray(0, room));
          head.bytes = head.bytes.subarray(room);
          length += room;
        }
      }
      this.#outWindow -= length;
      this.#queued -= length;
      if (extended) this.#sendExtended(parts);
      else this.#link.sendData(this.remote, parts, length);
      for (const taken of done) taken();
      this.#link.budget.give(length);
    }
    if (this.#queued <= MAX_QUEUED / 2 && this.#blocked.length > 0) {
      const blocked = this.#blocked;
      this.#blocked = [];
      for (const { resolve, reject } of blocked) this.#link.budget.room().then(resolve, reject);
    }
    if (this.#ending && this.#outbound.length === 0) this.#finish();
    this.#watch();
  }

  /** Waits for the window of a client that sends nothing any more, for so long and not longer. */
  #watch(): void {
    if (!this.#input.ended) return;
    clearTimeout(this.#waiting);
    this.#waiting = undefined;
    if (this.#outbound.length === 0 || this.#lost || this.#sentClose) return;
    this.#waiting = setTimeout(() => {
      this.#sendClose();
      this.#abandon(new Error("the client takes no more output"));
    }, this.#patience);
  }

  #sendExtended(parts: ReadonlyArray<Uint8Array>): void {
    for (const part of parts) {
      this.#link.send(packet(Message.ChannelExtendedData, this.remote, 1, part));
    }
  }

  #finish(): void {
    const ending = this.#ending;
    if (!ending || this.#sentClose) return;
    if (ending.status !== undefined) {
      const name = "exit-status";
      this.#link.send(packet(Message.ChannelRequest, this.remote, name, false, ending.status));
    }
    this.#link.send(packet(Message.ChannelEof, this.remote));
    this.#sendClose();
    this.#input.drop();
    for (const done of ending.done) done();
  }

  #sendClose(): void {
    this.#sentClose = true;
    this.#link.send(packet(Message.ChannelClose, this.remote));
  }

  #abandon(error: Error): void {
    if (this.#lost) return;
    clearTimeout(this.#waiting);
    this.#lost = error;
    this.#input.stop();
    this.#link.budget.give(this.#queued);
    this.#queued = 0;
    for (const { taken } of this.#outbound) taken?.();
    this.#outbound = [];
    const blocked = this.#blocked;
    this.#blocked = [];
    for (const { reject } of blocked) reject(error);
    for (const done of this.#ending?.done ?? []) done();
  }
}

const DONE = Promise.resolve();
