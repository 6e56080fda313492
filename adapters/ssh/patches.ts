import { Buffer } from "node:buffer";
// First: kex.js takes the cipher functions when it is loaded.
import "./ciphers/install.ts";
import handlers from "ssh2/lib/protocol/handlers.js";
import kex from "ssh2/lib/protocol/kex.js";
import Protocol from "ssh2/lib/protocol/Protocol.js";
import { sendPacket } from "ssh2/lib/protocol/utils.js";
import { PacketCipher, PacketDecipher } from "./ciphers/packets.ts";
import { writeUint32 } from "./ciphers/port.ts";
import { Fields, Message, packet } from "./wire.ts";

/**
 * The one file that reaches into ssh2 (pinned to 1.17.0).
 *
 * ssh2's packet layer is used: identification, key exchange, ciphers, MACs. Its
 * authentication and channel layers are not: every decrypted packet is taken
 * over at `_onPayload`, before ssh2's handlers, because those lose what our
 * logins need (raw signatures), crash on unexpected messages and drop data at a
 * closed window (SECURITY.md 3.1 items 1 to 4, 6, 16 to 19). What is patched:
 *
 * - `_onPayload` (Protocol.js 172): all packets but KEXINIT go to our handler.
 * - `_onHandshakeComplete` (Protocol.js 132): EXT_INFO with the right
 *   `server-sig-algs` instead of ssh2's, which misses a comma (item 7).
 * - `_hostKeys`: a getter for each certificate algorithm hands out the
 *   certificate as K_S, and has the signature named by its plain algorithm.
 * - `_parse` (Protocol.js 1906): ssh2 forgets all but the first and the last
 *   piece of an identification line that comes in three or more; we wait for
 *   the whole line, at most 255 bytes (RFC 4253 section 4.2).
 */
export interface Transport {
  /** Sends our identification line. */
  readonly start: () => void;
  /** Takes bytes from the socket, which it overwrites. Throws on a broken packet: end the connection then. */
  readonly feed: (chunk: Uint8Array<ArrayBuffer>) => void;
  /** Sends one packet; during a key exchange it waits in a queue. */
  readonly send: (payload: Uint8Array) => void;
  /** Sends one CHANNEL_DATA made of `parts`, `length` bytes in all, copied once. */
  readonly sendData: (channel: number, parts: ReadonlyArray<Uint8Array>, length: number) => void;
  /** Sends DISCONNECT, even during a key exchange, and stops reading. */
  readonly disconnect: (reason: number, why: string) => void;
  /** Begins a key exchange; none if one is under way. */
  readonly rekey: () => void;
  /** Stops all processing. Idempotent. */
  readonly destroy: () => void;
  readonly exchanging: boolean;
  readonly sessionId: Buffer;
  /** Sequence number of the packet that is being handled. */
  readonly sequence: number;
}

/** Takes what is to be sent, in order: copies of what ssh2 made, and packets that are made in place. */
export interface Outgoing {
  put(data: Uint8Array): void;
  room(length: number): { readonly memory: Uint8Array<ArrayBuffer>; readonly at: number };
  made(length: number): void;
}

/** A host key as ssh2's key exchange wants it (kex.js 636 and 760). */
export interface HostKey {
  readonly type: string;
  getPublicSSH(): Buffer;
  sign(data: Uint8Array, hash?: string): Buffer | Error;
}

export interface TransportOptions {
  /** Text after `SSH-2.0-`. */
  readonly ident: string;
  /** By host key algorithm; a certificate's entry names its plain algorithm. */
  readonly hostKeys: ReadonlyMap<string, { readonly key: HostKey; readonly plain: string }>;
  readonly algorithms: {
    readonly kex: ReadonlyArray<string>;
    readonly serverHostKey: ReadonlyArray<string>;
    readonly cipher: ReadonlyArray<string>;
    readonly mac: ReadonlyArray<string>;
  };
  /** Announced as `server-sig-algs` (RFC 8308 section 3.1). */
  readonly signatureAlgorithms: ReadonlyArray<string>;
  /** Where output goes. */
  readonly sender: Outgoing;
  readonly onIdent: (software: string) => void;
  /** After each finished key exchange; everything that waited was sent. */
  readonly onHandshake: (negotiated: Negotiated) => void;
  /** A KEXINIT of the client, before it is answered. */
  readonly onKexInit: () => void;
  /** One packet after the first key exchange; a payload from 80 on is good only during the call. */
  readonly onPacket: (type: number, payload: Buffer) => void;
  readonly onError: (error: Error) => void;
}

export interface Negotiated {
  readonly kex: string;
  serverHostKey: string;
  readonly cs: { readonly cipher: string; readonly mac: string };
  readonly sc: { readonly cipher: string; readonly mac: string };
}

/** The private parts of ssh2's Protocol that this file relies on. */
interface Internals {
  start?: () => void;
  parse(chunk: Buffer, from: number, length: number): void;
  _parse(chunk: Buffer, from: number, length: number): number;
  cleanup(): void;
  rekey(): void;
  _destruct?: () => void;
  _authenticated: boolean;
  _onPayload: (payload: Buffer) => unknown;
  _onHandshakeComplete: (...args: unknown[]) => void;
  _kexinit: Buffer | undefined;
  _kex: {
    sessionID: Buffer;
    remoteExtInfoEnabled: boolean;
    negotiated: Negotiated;
    _remoteKexinit?: Buffer;
    /** The ephemeral key pair of curve25519. */
    _keys?: unknown;
    /** After the exchange a closure around the shared secret. */
    finish?: unknown;
  };
  _cipher: object;
  _decipher: { inSeqno: number } | undefined;
  _packetRW: {
    write: {
      allocStart: number;
      allocStartKEX: number;
      alloc(length: number, force?: boolean): Buffer;
      finalize(packet: Buffer, force?: boolean): Buffer;
    };
  };
}

const ProtocolClass = Protocol as unknown as new (config: object) => Internals;
const KexInit = (kex as { KexInit: new (lists: object) => object }).KexInit;
const messageHandlers = handlers as ReadonlyArray<
  ((proto: Internals, payload: Buffer) => unknown) | undefined
>;
const sendRaw = sendPacket as (proto: Internals, packet: Buffer, bypass?: boolean) => void;

/** What stops ssh2's packet loops: any number that is not below the chunk's length. */
const STOP = Infinity;
/** RFC 4253 section 4.2: with CR LF, as the server side must hold it. */
const MAX_IDENT = 255;

/** Whether a client guessed its first key exchange packet and is to be taken as wrong (RFC 4253 section 7). */
const guessedWrong = (
  kexInit: Buffer | undefined,
  { kex, serverHostKey }: TransportOptions["algorithms"],
): boolean => {
  if (!kexInit) return false;
  const fields = new Fields(kexInit, 17);
  const lists = Array.from({ length: 10 }, () => fields.string().toString("latin1").split(","));
  const right = lists[0]?.[0] === kex[0] && lists[1]?.[0] === serverHostKey[0];
  return fields.flag() && !right;
};

/** What KEXINIT says, built once for all connections with the same lists. ssh2 only reads it. */
const offerOf = (algorithms: TransportOptions["algorithms"]): object => {
  const known = offers.get(algorithms);
  if (known) return known;
  const { kex: kexNames, serverHostKey, cipher, mac } = algorithms;
  const both = { cipher, mac, compress: ["none"], lang: [] };
  const offer = new KexInit({
    kex: [...kexNames, "kex-strict-s-v00@openssh.com"],
    serverHostKey,
    cs: both,
    sc: both,
  });
  offers.set(algorithms, offer);
  return offer;
};
const offers = new WeakMap<object, object>();

export const transport = (options: TransportOptions): Transport => {
  let dead = false;
  let first = true;
  const hostKeys = {};
  const proto = new ProtocolClass({
    server: true,
    ident: options.ident,
    hostKeys,
    offer: offerOf(options.algorithms),
    messageHandlers: {
      DISCONNECT: () => options.onError(new Error("the client disconnected")),
    },
    onWrite: (data: Buffer) => options.sender.put(data),
    onHeader: (header: { versions: { software: string }; identRaw: string }) =>
      options.onIdent(header.identRaw),
    onHandshakeComplete: options.onHandshake,
    onError: (error: Error) => {
      dead = true;
      options.onError(error);
    },
  });

  for (const [algorithm, { key, plain }] of options.hostKeys) {
    Object.defineProperty(hostKeys, algorithm, {
      enumerable: true,
      get: () => {
        // kex.js 1180 looks the key up here, then signs and names the signature
        // after `negotiated.serverHostKey`, which must be the plain algorithm.
        proto._kex.negotiated.serverHostKey = plain;
        return key;
      },
    });
  }

  // kex.js 275 compares with the first letter of the negotiated name, and so drops
  // every guessed packet, also a right one: dropbear then waits for ever.
  let skip = false;
  Object.defineProperty(proto, "_skipNextInboundPacket", {
    get: () => skip && guessedWrong(proto._kex._remoteKexinit, options.algorithms),
    set: (value: boolean) => void (skip = value),
  });

  /** Makes a packet where it will be sent from; false during a key exchange, when packets wait. */
  const inPlace = (length: number, fill: (memory: Uint8Array, at: number) => void): boolean => {
    const cipher = proto._cipher;
    if (proto._kexinit !== undefined || !(cipher instanceof PacketCipher)) return false;
    const size = cipher.sizeOf(length);
    const { memory, at } = options.sender.room(size);
    fill(memory, at + 5);
    cipher.sealAt(memory, at, length);
    options.sender.made(size);
    return true;
  };

  const raw = (payload: Uint8Array, force: boolean) => {
    if (dead) return;
    if (!force && inPlace(payload.length, (memory, at) => memory.set(payload, at))) return;
    const writer = proto._packetRW.write;
    const at = force ? writer.allocStartKEX : writer.allocStart;
    const whole = writer.alloc(payload.length, force);
    whole.set(payload, at);
    sendRaw(proto, writer.finalize(whole, force), force);
  };

  const finished = proto._onHandshakeComplete;
  proto._onHandshakeComplete = (...args) => {
    const wanted = proto._kex.remoteExtInfoEnabled;
    proto._kex.remoteExtInfoEnabled = false;
    // Of no use after the exchange, and ssh2 would hold the secrets as long as the connection lives.
    proto._kex._keys = proto._kex.finish = undefined;
    if (first) {
      first = false;
      // The first packet after NEWKEYS (RFC 8308 section 2.4); nothing is queued yet.
      if (wanted) {
        const names = options.signatureAlgorithms.join(",");
        raw(packet(Message.ExtInfo, 1, "server-sig-algs", names), false);
      }
    }
    finished(...args);
  };

  proto._onPayload = (payload) => {
    if (dead) return STOP;
    const type = payload[0];
    if (type === undefined) return undefined;
    if (type === Message.KexInit) {
      options.onKexInit();
      return dead ? STOP : messageHandlers[type]?.(proto, payload);
    }
    options.onPacket(type, payload);
    return dead ? STOP : undefined;
  };

  const parseIdent = proto._parse;
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  proto._parse = (chunk, from, length) => {
    const newline = chunk.indexOf(10, from);
    heldBytes += (newline < 0 ? length : newline + 1) - from;
    if (heldBytes > MAX_IDENT) throw new Error("identification line is too long");
    held.push(chunk.subarray(from, newline < 0 ? length : newline + 1));
    if (newline < 0) return length;
    const line = Buffer.concat(held, heldBytes);
    held = [];
    parseIdent.call(proto, line, 0, line.length);
    return dead ? STOP : newline + 1;
  };

  return {
    start: () => proto.start?.(),
    feed: (chunk) => {
      if (dead) return;
      // ssh2's own deciphers may hand on, or keep, parts of what they are given.
      const mine = proto._decipher instanceof PacketDecipher
        ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
        : Buffer.from(chunk);
      proto.parse(mine, 0, mine.length);
    },
    send: (payload) => raw(payload, false),
    sendData: (channel, parts, length) => {
      if (dead) return;
      const fill = (memory: Uint8Array, at: number) => {
        memory[at] = Message.ChannelData;
        writeUint32(memory, at + 1, channel);
        writeUint32(memory, at + 5, length);
        at += 9;
        for (const part of parts) {
          memory.set(part, at);
          at += part.length;
        }
      };
      if (inPlace(9 + length, fill)) return;
      const writer = proto._packetRW.write;
      const whole = writer.alloc(9 + length);
      fill(whole, writer.allocStart);
      sendRaw(proto, writer.finalize(whole));
    },
    disconnect: (reason, why) => {
      if (dead) return;
      raw(packet(Message.Disconnect, reason, why, ""), true);
      dead = true;
    },
    rekey: () => {
      if (!dead) proto.rekey();
    },
    destroy: () => {
      dead = true;
      proto.cleanup();
    },
    get exchanging() {
      return proto._kexinit !== undefined;
    },
    get sessionId() {
      return proto._kex.sessionID;
    },
    get sequence() {
      return ((proto._decipher?.inSeqno ?? 0) - 1) >>> 0;
    },
  };
};
