import { Effect, Option } from "effect";
import { toRead, toReplace } from "../../src/vfs/vfs.ts";
import type { VPath } from "../../src/vpath.ts";
import { accountOf, pathOf } from "./paths.ts";
import { refuse, reply } from "./reply.ts";
import type { Command, State } from "./state.ts";

const CHUNK = 256 * 1024;
const MOST_PARTS = 1000;

/** Words apart by blanks; `"` holds a name with blanks together, and stands for itself where it is doubled. */
export const words = (text: string): ReadonlyArray<string> | undefined => {
  if (!/^ *(?:(?:"(?:[^"]|"")+"|[^" ]+)(?: +|$))+$/.test(text)) return undefined;
  return [...text.matchAll(/"((?:[^"]|"")+)"|([^" ]+)/g)].map(
    ([, held, bare]) => held?.replaceAll('""', '"') ?? bare ?? "",
  );
};

/** Adds the part's bytes at `at`; answers the end. */
const addPart = async (
  state: State,
  target: { write(offset: number, chunk: Uint8Array): Promise<void> },
  part: VPath,
  at: number,
): Promise<number> => {
  const source = await state.openFile(accountOf(state).vfs, part, toRead);
  try {
    const buffer = new Uint8Array(CHUNK);
    for (let from = 0;;) {
      const count = await source.read(from, buffer);
      if (count === 0) break;
      await target.write(at, buffer.subarray(0, count));
      from += count;
      at += count;
    }
    await state.run(source.close());
    return at;
  } finally {
    await state.leave(source);
  }
};

/**
 * `COMB target part...`: adds the parts to the end of the target, in order, and
 * removes them then (BEHAVIOUR FTP-13; no RFC, as CuteFTP and others send it).
 *
 * The target changes as a whole or not at all, so what is in it is copied as
 * well, and needs to be readable; a part goes only when it has.
 */
export const combine: Command = {
  argument: "required",
  handler: async (state, argument) => {
    if (!state.settings.combine_support) throw refuse(502, "COMB is off");
    const [first, ...names] = words(argument) ?? [];
    if (first === undefined || names.length === 0) {
      throw refuse(501, "use COMB and a target and its parts");
    }
    if (names.length > MOST_PARTS) throw refuse(501, `at most ${MOST_PARTS} parts go together`);
    const { vfs } = accountOf(state);
    const target = await pathOf(state, first);
    const parts: VPath[] = [];
    for (const name of names) parts.push(await pathOf(state, name));
    if (new Set([target, ...parts]).size <= parts.length) {
      throw refuse(501, "a file is named twice");
    }
    const there = await state.run(Effect.option(vfs.stat(target)));
    const handle = await state.openFile(vfs, target, toReplace);
    try {
      let at = 0;
      for (const part of Option.isSome(there) ? [target, ...parts] : parts) {
        at = await addPart(state, handle, part, at);
      }
      await state.run(handle.close());
    } finally {
      await state.leave(handle);
    }
    for (const part of parts) await state.run(vfs.remove(part));
    return reply(250, `${parts.length} parts are in the file, and gone`);
  },
};
