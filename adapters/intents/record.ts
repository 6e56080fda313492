import { crc32 } from "node:zlib";
import type { Unsettled } from "../../src/events/intent_log.ts";

/**
 * What one line says: an intent, that one did not happen, or that one did.
 *
 * `run`: every use of a segment has its own, so that what an earlier use left
 * behind the end is not taken for its continuation.
 */
export interface Line {
  readonly run: number;
  /** Unix milliseconds, and a number that grows within the log: the order of all parts' intents. */
  readonly at: number;
  readonly n: number;
  readonly entry?: Unsettled;
  readonly cancelled?: string;
  readonly done?: string;
  /** Bytes that follow the line, and their CRC-32: the content of a small upload. */
  readonly size?: number;
  readonly sum?: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const newline = 10;
const head = 9;

/** `<crc32, 8 hex digits> <JSON>\n`, and where there is content its bytes and another newline. */
export const encode = (line: Line, content?: Uint8Array): Uint8Array => {
  const json = JSON.stringify(
    content ? { ...line, size: content.length, sum: crc32(content) } : line,
  );
  const behind = content ? content.length + 1 : 0;
  const bytes = new Uint8Array(head + json.length * 3 + 1 + behind);
  const { written } = encoder.encodeInto(json, bytes.subarray(head));
  const sum = crc32(bytes.subarray(head, head + written));
  encoder.encodeInto(`${sum.toString(16).padStart(8, "0")} `, bytes);
  const end = head + written + 1;
  bytes[end - 1] = newline;
  if (content) {
    bytes.set(content, end);
    bytes[end + content.length] = newline;
  }
  return bytes.subarray(0, end + behind);
};

/** A line as it was read. */
export interface Read extends Line {
  /** A copy. */
  readonly content?: Uint8Array;
}

/** The lines of a segment's present use, and where they end. A line that was cut off, and all after it, never counted. */
export const decode = (bytes: Uint8Array): { readonly lines: ReadonlyArray<Read>; end: number } => {
  const lines: Read[] = [];
  let at = 0;
  for (let end = bytes.indexOf(newline); end > 0; end = bytes.indexOf(newline, at)) {
    const body = bytes.subarray(at + head, end);
    const sum = parseInt(decoder.decode(bytes.subarray(at, at + head - 1)), 16);
    if (end - at <= head || sum !== crc32(body)) break;
    const line: Line = JSON.parse(decoder.decode(body));
    if (lines[0] && lines[0].run !== line.run) break;
    if (line.size === undefined) {
      lines.push(line);
      at = end + 1;
      continue;
    }
    const after = end + 1 + line.size;
    const content = new Uint8Array(bytes.subarray(end + 1, after));
    if (bytes[after] !== newline || crc32(content) !== line.sum) break;
    lines.push({ ...line, content });
    at = after + 1;
  }
  return { lines, end: at };
};
