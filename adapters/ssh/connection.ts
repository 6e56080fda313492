import { Buffer } from "node:buffer";
import type { Socket } from "../../actors/socket.ts";
import { Budget, HIGH, LOW } from "./budget.ts";
import type { SshChannel } from "./channel.ts";
import { Channels } from "./channels.ts";
import { type HostKey, type Negotiated, type Transport, transport } from "./patches.ts";
import { RekeyPolicy } from "./rekey.ts";
import { Sender } from "./sender.ts";
import { Fields, Malformed, Message, packet, Reason } from "./wire.ts";
import { monotonic } from "../../src/monotonic.ts";

/** Before login: more than any honest client sends (keys, certificates, a few tries). */
const MAX_EARLY_BYTES = 1024 * 1024;
const MAX_EARLY_PACKETS = 2000;
/** Milliseconds that a client has to finish a key exchange after login. */
const EXCHANGE_TIMEOUT = 60_000;

export interface ConnectionOptions {
  readonly ident: string;
  readonly hostKeys: ReadonlyMap<string, { readonly key: HostKey; readonly plain: string }>;
  readonly algorithms: {
    readonly kex: ReadonlyArray<string>;
    readonly serverHostKey: ReadonlyArray<string>;
    readonly cipher: ReadonlyArray<string>;
    readonly mac: ReadonlyArray<string>;
  };
  readonly signatureAlgorithms: ReadonlyArray<string>;
  readonly rekeyBytes: number;
  readonly rekeySeconds: number;
  readonly maxChannels: number;
  /** Runs parsing of a connection that is still shaking hands, in turn with the others. */
  readonly handshakes: (job: () => void) => void;
}

/** What the layers above do with a connection. Called from the packet loop; must not block. */
export interface ConnectionEvents {
  readonly ident: (line: string) => void;
  readonly negotiated: (algorithms: Negotiated) => void;
  /** A packet of the authentication protocol (RFC 4252), before login. */
  readonly auth: (type: number, fields: Fields, payload: Buffer) => void;
  /** Whether a channel may be opened now. */
  readonly channel: () => boolean;
  /** A request to run something; answers by `reply`, once, later. */
  readonly request: (
    channel: SshChannel,
    kind: "subsystem" | "exec",
    what: string,
    reply: (accepted: boolean) => void,
  ) => void;
  readonly activity: () => void;
  /** The connection is gone, for whatever reason. Called once. */
  readonly closed: (why: string) => void;
}

/**
 * The server side of one SSH connection: ssh2's packet layer below, the login
 * in `auth.ts`, the connection protocol in `channels.ts`.
 *
 * Plain callbacks, no Effect: this is the per-packet path. Whatever a client
 * sends, the worst that happens is `closed`.
 */
export class Connection {
  readonly budget = new Budget();
  /** Milliseconds of the last packet from the client. */
  lastPacket: number;
  readonly #socket: Socket;
  readonly #events: ConnectionEvents;
  readonly #options: ConnectionOptions;
  readonly #transport: Transport;
  readonly #rekey: RekeyPolicy;
  readonly #channels: Channels;
  #state: "exchange" | "auth" | "ready" | "closed" = "exchange";
  #serviceAccepted = false;
  #early = { bytes: 0, packets: 0 };
  readonly #sender: Sender;
  #held = 0;
  #paused = false;
  #banner: string;
  #exchangeSince: number;

  constructor(
    socket: Socket,
    options: ConnectionOptions,
    events: ConnectionEvents,
    banner: string,
    now: number,
  ) {
    this.#socket = socket;
    this.#options = options;
    this.#events = events;
    this.#banner = banner;
    this.lastPacket = now;
    this.#exchangeSince = now;
    this.#rekey = new RekeyPolicy(options.rekeyBytes, options.rekeySeconds, now);
    this.#sender = new Sender(socket, this.budget, () => this.#resume());
    this.#channels = new Channels({
      budget: this.budget,
      send: (payload) => this.send(payload),
      sendData: (id, parts, length) => {
        events.activity();
        this.#hold(length);
        this.#transport.sendData(id, parts, length);
      },
      unimplemented: () => this.#unimplemented(),
      activity: events.activity,
      mayOpen: events.channel,
      request: events.request,
    }, options.maxChannels);
    this.#transport = transport({
      ident: options.ident,
      hostKeys: options.hostKeys,
      algorithms: options.algorithms,
      signatureAlgorithms: options.signatureAlgorithms,
      sender: {
        put: (data) => {
          this.#sender.put(data);
          this.#moved(data.length);
        },
        room: (length) => this.#sender.room(length),
        made: (length) => {
          this.#sender.made(length);
          this.#moved(length);
        },
      },
      onIdent: (line) => events.ident(line),
      onHandshake: (negotiated) => this.#handshaken(negotiated),
      onKexInit: () => {
        if (!this.#rekey.admit(monotonic(), this.#transport.exchanging)) {
          this.disconnect(Reason.ProtocolError, "too many key exchanges");
        }
      },
      onPacket: (type, payload) => this.#packet(type, payload),
      onError: (error) => this.#end(error.message),
    });
    this.#transport.start();
    socket.open({
      data: (chunk) => this.#data(chunk),
      end: () => this.#end("the client went away"),
      closed: (error) => this.#end(error ? `socket: ${error.message}` : "the connection was lost"),
    });
  }

  get ready(): boolean {
    return this.#state === "ready";
  }
  get handshaken(): boolean {
    return this.#state !== "exchange";
  }
  get open(): boolean {
    return this.#state !== "closed";
  }
  get sessionId(): Buffer {
    return this.#transport.sessionId;
  }
  /** How many channels are open. */
  get channels(): number {
    return this.#channels.size;
  }

  send(payload: Uint8Array): void {
    if (this.#state === "closed") return;
    this.#hold(payload.length);
    this.#transport.send(payload);
  }

  /** The login succeeded: channels may be opened from now on. */
  loggedIn(): void {
    if (this.#state !== "auth") return;
    this.#state = "ready";
    this.send(packet(Message.AuthSuccess));
  }

  /** Probes a silent client (RFC 4254 section 4); any packet of it is an answer. */
  probe(): void {
    this.send(packet(Message.GlobalRequest, "keepalive@openssh.com", true));
  }

  /** Starts a key exchange when one is due, and gives up on one that does not end. */
  tick(now: number): void {
    if (this.#state === "closed" || !this.handshaken) return;
    if (!this.#transport.exchanging) this.#exchangeSince = now;
    else if (now - this.#exchangeSince > EXCHANGE_TIMEOUT) {
      return this.disconnect(Reason.KeyExchangeFailed, "key exchange took too long");
    }
    if (this.#rekey.due(now)) this.#transport.rekey();
  }

  /** Says why, and ends the connection. */
  disconnect(reason: number, why: string): void {
    if (this.#state === "closed") return;
    this.#transport.disconnect(reason, why);
    this.#end(why);
  }

  /** Ends the connection at once, without a word. */
  destroy(): void {
    this.#end("closed");
    this.#socket.destroy();
  }

  #data(chunk: Uint8Array<ArrayBuffer>): void {
    if (this.#state === "closed") return;
    if (this.#state !== "exchange") return this.#feed(chunk);
    const kept = chunk.slice();
    this.#socket.pause();
    this.#options.handshakes(() => {
      if (this.#state === "closed") return;
      this.#feed(kept);
      if (!this.#paused) this.#socket.resume();
    });
  }

  #feed(chunk: Uint8Array<ArrayBuffer>): void {
    try {
      if (this.#state !== "ready") {
        this.#early.bytes += chunk.length;
        if (this.#early.bytes > MAX_EARLY_BYTES) throw new Malformed("too much before login");
      }
      this.#rekey.count(chunk.length);
      this.#transport.feed(chunk);
      if (this.handshaken && this.#rekey.due(monotonic())) this.#transport.rekey();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      try {
        this.disconnect(Reason.ProtocolError, why);
      } catch {
        this.#end(why);
      }
    }
  }

  #handshaken(negotiated: Negotiated): void {
    this.#rekey.done(monotonic());
    this.budget.give(this.#held);
    this.#held = 0;
    if (this.#state !== "exchange") return;
    this.#state = "auth";
    this.#events.negotiated(negotiated);
  }

  #packet(type: number, payload: Buffer): void {
    this.lastPacket = monotonic();
    const fields = new Fields(payload, 1);
    if (this.#state === "auth") {
      if (++this.#early.packets > MAX_EARLY_PACKETS) throw new Malformed("too much before login");
      return this.#beforeLogin(type, fields, payload);
    }
    if (type < 80) return this.#transportPacket(type, fields);
    this.#channels.packet(type, fields);
  }

  #beforeLogin(type: number, fields: Fields, payload: Buffer): void {
    if (type === Message.ServiceRequest) return this.#service(fields.text());
    if (type < 50) return this.#transportPacket(type, fields);
    const authentication = type === Message.AuthRequest || type === Message.AuthInfoResponse;
    if (!authentication || !this.#serviceAccepted) {
      return this.disconnect(Reason.ProtocolError, `message ${type} before login`);
    }
    this.#events.auth(type, fields, payload);
  }

  #service(name: string): void {
    if (name !== "ssh-userauth" || this.#serviceAccepted) {
      return this.disconnect(Reason.ServiceNotAvailable, "no such service");
    }
    this.#serviceAccepted = true;
    this.send(packet(Message.ServiceAccept, name));
    if (this.#banner) this.send(packet(Message.AuthBanner, this.#banner, ""));
    this.#banner = "";
  }

  #transportPacket(type: number, fields: Fields): void {
    switch (type) {
      case Message.Disconnect:
        return this.#end(`the client disconnected (${fields.uint32()})`);
      case Message.Ignore:
      case Message.Debug:
      case Message.Unimplemented:
      case Message.ExtInfo:
        return;
      case Message.AuthRequest:
        // RFC 4252 section 5.1: requests after the success are to be ignored.
        if (this.#state === "ready") return;
    }
    if (type >= 50) return this.disconnect(Reason.ProtocolError, `unexpected message ${type}`);
    this.#unimplemented();
  }

  #unimplemented(): void {
    this.send(packet(Message.Unimplemented, this.#transport.sequence));
  }

  /** What is sent during a key exchange waits in ssh2, and counts until it is over. */
  #hold(bytes: number): void {
    if (!this.#transport.exchanging) return;
    this.#held += bytes;
    this.budget.take(bytes);
  }

  #moved(bytes: number): void {
    this.#rekey.count(bytes);
    // Answers that nobody waits for (window adjusts, failures) must not pile up either.
    if (!this.#paused && this.budget.bytes > 2 * HIGH && this.#state !== "closed") {
      this.#paused = true;
      this.#socket.pause();
    }
  }

  #resume(): void {
    // What a channel queues for want of window does not count: only reading brings the window.
    if (!this.#paused || this.#sender.sending >= LOW || this.#state === "closed") return;
    this.#paused = false;
    this.#socket.resume();
  }

  #end(why: string): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#sender.flush();
    this.#transport.destroy();
    const error = new Error(why);
    this.budget.lose(error);
    this.#channels.lose(error);
    this.#socket.end();
    this.#events.closed(why);
  }
}
