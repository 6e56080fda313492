import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { Effect } from "effect";
import type { FsError } from "../errors.ts";
import type { VPath } from "../vpath.ts";
import type { Access } from "./access.ts";
import { promised } from "./promised.ts";
import type { ChecksumAlgorithm } from "./vfs.ts";

const piece = 256 * 1024;
/** Blocks that one request may ask for: their digests are all held for the answer. */
const maxBlocks = 4096;

export interface ChecksumRange {
  readonly offset?: number;
  readonly length?: number;
  readonly block?: number;
}

interface Sum {
  update(bytes: Uint8Array): void;
  hex(): string;
}

const start = (algorithm: ChecksumAlgorithm): Sum => {
  if (algorithm === "crc32") {
    let sum = 0;
    return {
      update: (bytes) => {
        sum = crc32(bytes, sum);
      },
      hex: () => sum.toString(16).padStart(8, "0"),
    };
  }
  const hash = createHash(algorithm);
  return {
    update: (bytes) => void hash.update(bytes),
    hex: () => hash.digest("hex"),
  };
};

/** Hashes a range of a file, a piece at a time; other sessions get a turn after each. */
export const checksum = (
  access: Access,
  path: VPath,
  algorithm: ChecksumAlgorithm,
  range: ChecksumRange = {},
): Effect.Effect<ReadonlyArray<string>, FsError> =>
  Effect.scoped(Effect.gen(function* () {
    yield* access.check("checksum", path);
    const { storage, key } = access.at(path);
    const reader = yield* storage.reader(key);
    const { offset = 0, length = 0, block = 0 } = range;
    const end = length > 0 ? offset + length : Infinity;
    if (block > 0 && (Math.min(end, reader.entry.size) - offset) / block > maxBlocks) {
      return yield* access.fail("Unsupported", "checksum", path, "too many blocks");
    }
    const digests: string[] = [];
    const buffer = new Uint8Array(piece);
    let hash = start(algorithm);
    let inBlock = 0;
    for (let at = offset; at < end;) {
      const room = Math.min(piece, end - at, block > 0 ? block - inBlock : Infinity);
      const n = yield* promised(
        () => reader.readAt(at, buffer.subarray(0, room)),
        "checksum",
        path,
      );
      if (n === 0) break;
      hash.update(buffer.subarray(0, n));
      at += n;
      inBlock += n;
      if (block > 0 && inBlock === block) {
        digests.push(hash.hex());
        hash = start(algorithm);
        inBlock = 0;
      }
      yield* turn;
    }
    if (block === 0 || inBlock > 0) digests.push(hash.hex());
    return digests;
  }));

/** Lets timers and sockets of other sessions run; `yieldNow` would only let other fibers. */
const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)));
