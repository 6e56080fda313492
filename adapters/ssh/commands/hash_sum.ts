import { Effect } from "effect";
import { createHash } from "node:crypto";
import type { ChecksumAlgorithm } from "../../../src/vfs/vfs.ts";
import { printable } from "../../../src/vpath.ts";
import type { ByteChannel } from "../byte_channel.ts";
import { failureText } from "./failure_text.ts";
import type { Command } from "./command.ts";

/** Most bytes of standard input that are hashed; clients only probe with it. */
export const maxStdin = 1024 * 1024;

/**
 * `md5sum`, `sha1sum` and their kind: one `<hex>  <path>` line for each path, or
 * for standard input (`-`) when none is given (BEHAVIOUR CMD-02).
 */
export const hashSum = (name: string, algorithm: ChecksumAlgorithm): Command => ({
  usage: `${name} [--] [path...]`,
  least: 0,
  most: Infinity,
  run: ({ words, vfs, channel, terminal }) =>
    Effect.gen(function* () {
      let status = 0;
      for (const path of words.length > 0 ? words : ["-"]) {
        const digest = path === "-" ? hashStdin(channel, algorithm) : vfs.resolve(path).pipe(
          Effect.flatMap((target) => vfs.checksum(target, algorithm)),
          Effect.map((digests) => digests.join("")),
          Effect.mapError(failureText),
        );
        status = Math.max(
          status,
          yield* Effect.matchEffect(digest, {
            onSuccess: (hex) => Effect.as(terminal.print(`${hex}  ${printable(path)}`), 0),
            onFailure: (why) =>
              Effect.as(terminal.complain(`${name}: ${printable(path)}: ${why}`), 1),
          }),
        );
      }
      return status;
    }),
});

const hashStdin = (channel: ByteChannel, algorithm: ChecksumAlgorithm) =>
  Effect.gen(function* () {
    const hash = createHash(algorithm);
    let left = maxStdin;
    while (true) {
      const chunk = yield* Effect.tryPromise({
        try: () => channel.read(),
        catch: () => "Connection lost",
      });
      if (chunk === undefined) return hash.digest("hex");
      left -= chunk.length;
      if (left < 0) return yield* Effect.fail(`more than ${maxStdin} bytes of input`);
      hash.update(chunk);
    }
  });
