/// <reference lib="deno.worker" />
import { Effect } from "effect";
import { local } from "../../adapters/storage/local/local.ts";
import { takeTurnsAs } from "../../src/storage/turns.ts";
import type { Participant } from "../../src/participant.ts";

/** Puts a link that leads out of the home in a directory's place and back, again and again. */
self.onmessage = ({ data }: MessageEvent<{
  readonly participant: typeof Participant.Service;
  readonly root: string;
  readonly rounds: number;
  /** Becomes 1 when it is to begin. */
  readonly go: SharedArrayBuffer;
}>) => {
  takeTurnsAs(data.participant);
  const home = local({ root: data.root, fsync: false });
  const move = (from: string, to: string) => home.rename(from, to, { replace: false });
  const round = Effect.all([
    move("/d", "/aside"),
    move("/link", "/d"),
    move("/d", "/link"),
    move("/aside", "/d"),
  ], { discard: true });
  self.postMessage("ready");
  Atomics.wait(new Int32Array(data.go), 0, 0);
  Effect.runPromise(Effect.repeatN(round, data.rounds)).then(() => self.postMessage("done"));
};
