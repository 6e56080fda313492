import type { SecureContext } from "node:tls";
import { type Channel, plainChannel, tlsChannel } from "./channel.ts";
import { Opening, unknownHabit } from "./opening.ts";
import { Passive, type PassiveOptions } from "./passive.ts";
import { refuse } from "./reply.ts";

/** What a client may still send after its upload has failed. */
const LINGER_MS = 3000;
const LINGER_BYTES = 64 * 1024 * 1024;

/** The data connections of one session: at most one listener, and one transfer, at a time. */
export class DataConnections {
  /** PROT P. */
  secured = false;
  /** After `EPSV ALL` nothing else may open a data connection (RFC 2428 section 4). */
  onlyExtended = false;
  #passive: Passive | undefined;
  #target: { readonly hostname: string; readonly port: number } | undefined;
  #channel: Channel | undefined;
  #lingering: Channel | undefined;
  #opening = false;
  readonly #habit = unknownHabit();
  #aborted = false;
  #closed = false;

  constructor(
    readonly timeout: number,
    private readonly context: SecureContext,
    private readonly resumed: boolean,
  ) {}

  /** Listens; an earlier listener ends. Answers the port. */
  listen(options: PassiveOptions): number {
    this.forget();
    if (this.#closed) throw refuse(421, "the session is over");
    this.#passive = new Passive(options);
    return this.#passive.port;
  }

  /** Will connect to the client, whose address this must be. */
  aim(hostname: string, port: number): void {
    this.forget();
    this.#target = { hostname, port };
  }

  get prepared(): boolean {
    return this.#passive !== undefined || this.#target !== undefined;
  }

  /** A command begins: ABOR means it from now on. */
  begin(): void {
    this.#aborted = false;
  }

  /**
   * The data connection of one transfer, to be released; `announce` tells the
   * client that it opens. Rejects with 425, or 426 when aborted.
   */
  async open(upload: boolean, announce: () => void): Promise<Channel> {
    this.#opening = true;
    const opening = new Opening(this.#habit, announce);
    try {
      if (this.secured && upload) opening.wait();
      else opening.tell();
      if (this.#aborted) throw refuse(426, "aborted");
      const conn = await this.#connect();
      if (this.#aborted || this.#closed) {
        conn.close();
        throw refuse(426, "aborted");
      }
      try {
        conn.setNoDelay(true);
      } catch {
        // It is gone already; the first read will tell.
      }
      this.#channel = this.secured
        ? await tlsChannel(conn, this.context, this.resumed, upload ? opening : undefined)
        : plainChannel(conn);
      if (this.#aborted || this.#closed) {
        this.release();
        throw refuse(426, "aborted");
      }
      opening.tell();
      return this.#channel;
    } finally {
      opening.stop();
      this.#opening = false;
    }
  }

  async #connect(): Promise<Deno.TcpConn> {
    const passive = this.#passive;
    const target = this.#target;
    this.#target = undefined;
    if (target) {
      return await Deno.connect({
        ...target,
        signal: AbortSignal.timeout(this.timeout),
      }).catch(() => {
        throw refuse(425, "the data connection cannot be opened");
      });
    }
    if (!passive) throw refuse(425, "use PASV or EPSV first");
    try {
      return await passive.connection();
    } catch (error) {
      throw this.#aborted ? refuse(426, "aborted") : error;
    } finally {
      if (this.#passive === passive) this.#passive = undefined;
    }
  }

  /** The transfer under way ends now, as soon as it looks. */
  abort(): void {
    this.#aborted = true;
    this.#channel?.destroy();
    if (this.#opening) this.forget();
  }

  /** Bytes of the transfer under way; undefined where there is none. */
  get moving(): number | undefined {
    return this.#channel?.moved();
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  /** The transfer is over. */
  release(): void {
    this.#channel?.destroy();
    this.#channel = undefined;
  }

  /**
   * The transfer failed, but the client may go on to send: a while its bytes are
   * thrown away, for a client that is cut while it sends often does not read why.
   */
  linger(): void {
    const channel = this.#channel;
    this.#channel = undefined;
    this.#lingering?.destroy();
    this.#lingering = channel;
    if (channel) void discard(channel);
  }

  /** Like {@linkcode release} after a good end, which may still be on its way. */
  done(): void {
    this.#channel = undefined;
  }

  /** Drops what PASV or PORT prepared. */
  forget(): void {
    this.#passive?.close();
    this.#passive = undefined;
    this.#target = undefined;
  }

  /** Ends everything, for good. */
  close(): void {
    this.#closed = true;
    this.abort();
    this.forget();
    this.release();
    this.#lingering?.destroy();
  }
}

/** Reads until the client ends, or has had its time or bytes; then the connection is cut. */
const discard = async (channel: Channel): Promise<void> => {
  const timer = setTimeout(() => channel.destroy(), LINGER_MS);
  const end = channel.moved() + LINGER_BYTES;
  try {
    while (channel.moved() < end && await channel.read());
  } catch {
    // It is gone, as it should be.
  } finally {
    clearTimeout(timer);
    channel.destroy();
  }
};
