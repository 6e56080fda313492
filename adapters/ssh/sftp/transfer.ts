import { borrow, giveBack } from "../memory.ts";
import { Encoder, putU32 } from "./encoder.ts";
import type { OpenFile } from "./handles.ts";
import { code, limits, packet } from "./protocol.ts";
import type { Session } from "./session.ts";
import type { Handler } from "./table.ts";

/** Bytes of a DATA packet in front of its payload. */
const dataHeader = 4 + 1 + 4 + 4;

/**
 * READ (section 6.4). Hot path: no Effect, and the reply is read into the packet that is sent,
 * in borrowed memory.
 * The length is clamped, beyond 2^53 there is only end of file (SECURITY 6 item 16).
 */
export const read: Handler = (session, id, body) => {
  const handle = body.bytes();
  const offset = body.u64();
  const length = body.u32();
  if (body.malformed) return void session.refused(id, body);
  const file = session.file(id, handle);
  if (!file) return;
  if (body.tooLarge || length === 0) return session.status(id, code.eof, "End of file");
  const want = Math.min(length, limits.read);
  const { cost, budget } = session;
  // Counted now, allocated when it starts: a client that asks and never reads stays cheap.
  budget.reserve(want + dataHeader);
  if (file.turns.tryRead()) startRead(session, file, id, offset, want, cost);
  else {
    file.turns.wait("read", offset, offset + want, () => {
      startRead(session, file, id, offset, want, cost);
    });
  }
};

const startRead = async (
  session: Session,
  file: OpenFile,
  id: number,
  offset: number,
  want: number,
  cost: number,
): Promise<void> => {
  const place = file.reads.enter();
  let answer: () => void;
  const bytes = borrow(dataHeader + want);
  try {
    const count = await file.handle.read(offset, bytes.subarray(dataHeader));
    const used = dataHeader + count;
    putU32(bytes, 0, used - 4);
    bytes[4] = packet.data;
    putU32(bytes, 5, id);
    putU32(bytes, 9, count);
    if (count === 0) {
      giveBack(bytes);
      answer = () => session.status(id, code.eof, "End of file", cost);
    } else if (used < bytes.length / 2) {
      // A view keeps the whole buffer busy: a short one is worth a copy.
      const data = bytes.slice(0, used);
      giveBack(bytes);
      answer = () => session.reply(data, cost);
    } else {
      answer = () => session.reply(bytes.subarray(0, used), cost, bytes);
    }
  } catch (error) {
    giveBack(bytes);
    answer = () => session.failed(id, error, cost);
  }
  file.reads.leave(place, () => {
    session.budget.release(want + dataHeader);
    answer();
    file.turns.leaveRead();
  });
};

/** WRITE (section 6.4): acknowledged when the storage took the bytes, never before. */
export const write: Handler = (session, id, body) => {
  const handle = body.bytes();
  const offset = body.u64();
  const payload = body.bytes();
  if (session.refused(id, body)) return;
  const end = offset + payload.length;
  if (!Number.isSafeInteger(end)) {
    return session.status(id, code.failure, "The offset or size is too large");
  }
  const file = session.file(id, handle);
  if (!file) return;
  const { cost } = session;
  if (file.turns.tryWrite(offset, end)) startWrite(session, file, id, offset, payload, cost);
  else {
    file.turns.wait("write", offset, end, () => {
      startWrite(session, file, id, offset, payload, cost);
    });
  }
};

const startWrite = async (
  session: Session,
  file: OpenFile,
  id: number,
  offset: number,
  chunk: Uint8Array,
  cost: number,
): Promise<void> => {
  try {
    await file.handle.write(offset, chunk);
    session.ok(id, cost);
  } catch (error) {
    session.failed(id, error, cost);
  } finally {
    giveBack(chunk);
    file.turns.leaveWrite();
  }
};

/** HANDLE packet. */
export const handlePacket = (id: number, handle: Uint8Array): Uint8Array =>
  new Encoder(packet.handle, id, 24).bytes(handle).finish();
