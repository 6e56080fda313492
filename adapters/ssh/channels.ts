import type { Budget } from "./budget.ts";
import { MAX_DATA, SshChannel } from "./channel.ts";
import { type Fields, Malformed, Message, packet } from "./wire.ts";

/** Window of the first channel; further ones share as much again, so that input stays bounded. */
const WINDOW = 2 * 1024 * 1024;

/** What the connection protocol uses of its connection. */
export interface ChannelsLink {
  readonly budget: Budget;
  readonly send: (payload: Uint8Array) => void;
  readonly sendData: (channel: number, parts: ReadonlyArray<Uint8Array>, length: number) => void;
  /** Answers that the packet being handled is not known here. */
  readonly unimplemented: () => void;
  readonly activity: () => void;
  /** Whether a channel may be opened now. */
  readonly mayOpen: () => boolean;
  /** A request to run something; answers by `reply`, once, later. */
  readonly request: (
    channel: SshChannel,
    kind: "subsystem" | "exec",
    what: string,
    reply: (accepted: boolean) => void,
  ) => void;
}

/**
 * The channels of one connection: the server side of the connection protocol
 * (RFC 4254). Only session channels are served, and on each one command.
 */
export class Channels {
  readonly #link: ChannelsLink;
  readonly #most: number;
  readonly #open = new Map<number, SshChannel>();
  #next = 0;
  #noMoreSessions = false;

  constructor(link: ChannelsLink, most: number) {
    this.#link = link;
    this.#most = most;
  }

  get size(): number {
    return this.#open.size;
  }

  /** The connection is gone. */
  lose(error: Error): void {
    for (const channel of this.#open.values()) channel.lose(error);
    this.#open.clear();
  }

  /** One packet of the connection protocol. Throws {@linkcode Malformed}. */
  packet(type: number, fields: Fields): void {
    switch (type) {
      case Message.GlobalRequest:
        return this.#global(fields);
      case Message.RequestSuccess:
      case Message.RequestFailure:
        return;
      case Message.ChannelOpen:
        return this.#opened(fields);
    }
    if (type < Message.ChannelWindowAdjust || type > Message.ChannelFailure) {
      return this.#link.unimplemented();
    }
    const channel = this.#open.get(fields.uint32());
    if (!channel) throw new Malformed(`message ${type} for an unknown channel`);
    switch (type) {
      case Message.ChannelData:
        this.#link.activity();
        return channel.receive(fields.string());
      case Message.ChannelWindowAdjust:
        return channel.adjust(fields.uint32());
      case Message.ChannelExtendedData:
        fields.uint32();
        return channel.receiveExtended(fields.string().length);
      case Message.ChannelEof:
        return channel.receiveEof();
      case Message.ChannelClose:
        return channel.receiveClose();
      case Message.ChannelRequest:
        this.#link.activity();
        return this.#request(channel, fields);
    }
  }

  #global(fields: Fields): void {
    const name = fields.string().toString("latin1");
    const wantReply = fields.flag();
    const stop = name === "no-more-sessions@openssh.com";
    if (stop) this.#noMoreSessions = true;
    if (wantReply) this.#link.send(packet(stop ? Message.RequestSuccess : Message.RequestFailure));
  }

  #opened(fields: Fields): void {
    const type = fields.string().toString("latin1");
    const remote = fields.uint32();
    const outWindow = fields.uint32();
    const maxPacket = fields.uint32();
    const refuse = (code: number, why: string) =>
      this.#link.send(packet(Message.ChannelOpenFailure, remote, code, why, ""));
    if (type !== "session") {
      // RFC 4254 section 5.1: 1 is prohibited (we know it and refuse), 3 an unknown type.
      return refuse(FORWARDING.has(type) ? 1 : 3, "only session channels are served");
    }
    if (this.#noMoreSessions || !this.#link.mayOpen()) return refuse(1, "no more sessions");
    if (this.#open.size >= this.#most) return refuse(4, "too many channels");
    if (maxPacket < 1) return refuse(4, "no room for data");
    const share = Math.floor(WINDOW / Math.max(1, this.#most));
    const window = this.#open.size === 0 ? WINDOW : Math.max(MAX_DATA, share);
    const local = this.#next++;
    const channel = new SshChannel(
      {
        budget: this.#link.budget,
        send: this.#link.send,
        sendData: this.#link.sendData,
        gone: (id) => this.#open.delete(id),
      },
      { local, remote },
      { window, outWindow, maxPacket },
    );
    this.#open.set(local, channel);
    this.#link.send(packet(Message.ChannelOpenConfirmation, remote, local, window, MAX_DATA));
  }

  #request(channel: SshChannel, fields: Fields): void {
    const type = fields.string().toString("latin1");
    const wantReply = fields.flag();
    let answered = false;
    const reply = (accepted: boolean) => {
      if (answered) return;
      answered = true;
      if (!accepted) channel.started = false;
      if (!wantReply) return;
      this.#link.send(
        packet(accepted ? Message.ChannelSuccess : Message.ChannelFailure, channel.remote),
      );
    };
    if ((type !== "subsystem" && type !== "exec") || channel.started) return reply(false);
    let what: string;
    try {
      what = fields.text();
    } catch {
      // SSH-03: a malformed payload is declined; the connection goes on.
      return reply(false);
    }
    channel.started = true;
    this.#link.request(channel, type, what, reply);
  }
}

const FORWARDING = new Set([
  "direct-tcpip",
  "forwarded-tcpip",
  "x11",
  "direct-streamlocal@openssh.com",
  "forwarded-streamlocal@openssh.com",
  "auth-agent@openssh.com",
  "tun@openssh.com",
]);
