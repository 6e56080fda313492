import { PieceWriter } from "../../actors/piece_writer.ts";
import type { Handle } from "../../src/vfs/vfs.ts";
import { FromWire, toWire } from "./ascii.ts";
import type { Channel } from "./channel.ts";
import { refuse } from "./reply.ts";
import { monotonic } from "../../src/monotonic.ts";

/** Bytes of one read from the storage. */
const CHUNK = 256 * 1024;

/** Sends a file from `offset` to its end; one read is ahead of what the client takes. */
export const sendFile = async (
  handle: Handle,
  channel: Channel,
  offset: number,
  ascii: boolean,
): Promise<void> => {
  const buffers = [new Uint8Array(CHUNK), new Uint8Array(CHUNK)];
  let turn = 0;
  let at = offset;
  const next = async () => {
    const buffer = buffers[turn ^= 1] ?? new Uint8Array(CHUNK);
    const count = await handle.read(at, buffer);
    at += count;
    return buffer.subarray(0, count);
  };
  let ahead = next();
  for (;;) {
    const bytes = await ahead;
    if (bytes.length === 0) break;
    ahead = next();
    // Whoever fails first, the other promise has an end as well.
    ahead.catch(() => {});
    await channel.write(ascii ? toWire(bytes) : bytes);
  }
  await channel.finish();
};

/**
 * Stores what comes, from `offset`; the client is not read while the storage is
 * behind. What came before a cut is written as well: it may be kept.
 */
export const receiveFile = async (
  handle: Handle,
  channel: Channel,
  offset: number,
  ascii: boolean,
): Promise<void> => {
  const text = ascii ? new FromWire() : undefined;
  const writer = new PieceWriter(handle, { from: offset });
  const { readInto } = channel;
  try {
    while (readInto && !text) {
      const room = writer.room();
      const count = await readInto(room);
      if (count === undefined) return;
      await writer.placed(room.subarray(0, count));
    }
    for (;;) {
      const bytes = await channel.read();
      if (bytes === undefined) break;
      await writer.push(text ? text.convert(bytes) : bytes);
    }
    if (text) await writer.push(text.rest());
  } finally {
    await writer.end();
  }
};

/** Bytes of lines that go out together. */
const PAGE = 32 * 1024;

/** Sends lines in pages; `lines` is asked for more when the client took the last. */
export const lineSender = (channel: Channel) => {
  const encoder = new TextEncoder();
  let page = "";
  const flush = async () => {
    const bytes = encoder.encode(page);
    page = "";
    if (bytes.length > 0) await channel.write(bytes);
  };
  return {
    line: async (text: string): Promise<void> => {
      page += `${text}\r\n`;
      if (page.length >= PAGE) await flush();
    },
    finish: async (): Promise<void> => {
      await flush();
      await channel.finish();
    },
  };
};

/** Ends a transfer that stands still. `stop` ends the watch. */
export const watchStill = (channel: Channel, milliseconds: number) => {
  let last = monotonic();
  let moved = 0;
  let still = false;
  const timer = setInterval(() => {
    if (channel.moved() !== moved) {
      moved = channel.moved();
      last = monotonic();
    }
    if (monotonic() - last < milliseconds) return;
    still = true;
    channel.destroy();
  }, Math.min(milliseconds, 1000));
  return {
    stop: () => clearInterval(timer),
    /** Throws where the watch ended the transfer. */
    check: () => {
      if (still) throw refuse(426, "the data connection stood still for too long");
    },
  };
};
