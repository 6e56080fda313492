import { Effect, Stream } from "effect";
import type { FsError } from "../../../src/errors.ts";
import type { Vfs } from "../../../src/vfs/vfs.ts";
import { child, printable } from "../../../src/vpath.ts";
import type { Command, Invocation } from "./command.ts";
import { failureText } from "./failure_text.ts";

/** Copies a file or tree on the server (BEHAVIOUR CMD-04, FS-09). */
export const copyCommand = (name: string): Command => ({
  usage: `${name} [--] <source> <target>`,
  least: 2,
  most: 2,
  run: ({ words: [from = "", to = ""], vfs, terminal }) =>
    report(name, [from, to], terminal, copy(vfs, from, to)),
});

/** Removes a file or a whole tree (BEHAVIOUR CMD-05). */
export const removeCommand = (name: string): Command => ({
  usage: `${name} [--] <path>`,
  least: 1,
  most: 1,
  run: ({ words: [path = ""], vfs, terminal }) =>
    report(name, [path], terminal, Effect.flatMap(vfs.resolve(path), vfs.removeTree)),
});

const copy = (vfs: Vfs, from: string, to: string) =>
  Effect.gen(function* () {
    const source = yield* vfs.resolve(from);
    const target = yield* vfs.resolve(to);
    const intoSlash = to.endsWith("/");
    const contents = from.endsWith("/") && (yield* vfs.stat(source)).kind === "dir";
    if (!contents) return yield* vfs.copy(source, target, { intoSlash });
    // FS-09: a slash after the source means what is in it, not the folder itself.
    yield* vfs.list(source).pipe(
      Stream.filter((entry) => entry.kind === "file" || entry.kind === "dir"),
      Stream.runForEach((entry) =>
        vfs.copy(child(source, entry.name), target, { intoSlash: true })
      ),
    );
  });

const report = (
  name: string,
  paths: ReadonlyArray<string>,
  terminal: Invocation["terminal"],
  operation: Effect.Effect<void, FsError>,
): Effect.Effect<number> =>
  Effect.matchEffect(operation, {
    onSuccess: () => Effect.succeed(0),
    onFailure: (error) =>
      Effect.as(
        terminal.complain(`${name}: ${paths.map(printable).join(" ")}: ${failureText(error)}`),
        1,
      ),
  });
