import assert from "node:assert/strict";
import * as fs from "node:fs";
import { Effect } from "effect";
import { local } from "../../adapters/storage/local/local.ts";
import { admit, dismiss, shareMemory } from "../../src/participant.ts";
import { dismissTurns, takeTurnsAs, Turns } from "../../src/storage/turns.ts";
import { live, tempDir } from "../harness.ts";

/** This thread is alone again when the test is over. */
const amongThreads = (threads: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const memory = shareMemory(threads + 1);
      const hub = admit(memory, 0);
      takeTurnsAs(hub);
      return { memory, hub };
    }),
    () => Effect.sync(() => takeTurnsAs(admit(shareMemory(1), 0))),
  );

/** A home with a directory and a link beside it that leads out, and a thread that can swap them. */
const swapping = (rounds: number) =>
  Effect.gen(function* () {
    const dir = Deno.realPathSync(yield* tempDir);
    const root = `${dir}/home`;
    fs.mkdirSync(`${root}/d`, { recursive: true });
    fs.mkdirSync(`${dir}/outside`);
    fs.writeFileSync(`${dir}/outside/victim`, "");
    fs.symlinkSync("../outside", `${root}/link`);
    const { memory } = yield* amongThreads(1);
    const worker = new Worker(new URL("./swap_worker.ts", import.meta.url), { type: "module" });
    yield* Effect.addFinalizer(() => Effect.sync(() => worker.terminate()));
    const said = () =>
      new Promise<void>((resolve, reject) => {
        worker.onmessage = () => resolve();
        worker.onerror = (event) => (event.preventDefault(), reject(event.message));
      });
    const go = new SharedArrayBuffer(4);
    const ready = said();
    worker.postMessage({ participant: admit(memory, 1), root, rounds, go });
    yield* Effect.promise(() => ready);
    const swap = () => {
      const done = said();
      Atomics.store(new Int32Array(go), 0, 1);
      Atomics.notify(new Int32Array(go), 0);
      return done;
    };
    return { dir, root, swap };
  });

live(
  "SECURITY 6.2: no thread moves a folder between another's look and act",
  () =>
    Effect.gen(function* () {
      const { root, swap } = yield* swapping(1);
      let done: Promise<void> | undefined;
      new Turns(root).together(() => {
        done = swap();
        for (const end = Date.now() + 300; Date.now() < end;) {
          assert.ok(fs.lstatSync(`${root}/d`).isDirectory());
          assert.ok(!fs.existsSync(`${root}/aside`));
        }
      });
      yield* Effect.promise(() => done as Promise<void>);
    }),
);

live(
  "SECURITY 6.2: a link swapped in by another thread leads nowhere",
  () =>
    Effect.gen(function* () {
      const { dir, root, swap } = yield* swapping(1500);
      let over = false;
      const done = swap().then(() => over = true);
      const home = local({ root, fsync: false });
      let through = 0;
      for (let i = 0; !over; i++) {
        const made = yield* Effect.either(home.mkdir(`/d/made${i}`));
        if (made._tag === "Right") through++;
        yield* Effect.ignore(home.remove("/d/victim"));
        yield* Effect.ignore(home.rename("/d/victim", "/stolen", { replace: true }));
        yield* Effect.ignore(home.setAttributes("/d/victim", { mode: 0o777 }, { follow: true }));
        const seen = yield* Effect.either(home.stat("/d/victim"));
        assert.equal(seen._tag, "Left", "what is outside was seen");
        if (i % 16 === 0) yield* Effect.promise(() => new Promise((r) => setTimeout(r, 0)));
      }
      yield* Effect.promise(() => done);
      assert.ok(through > 0, "nothing came through at all");
      assert.deepEqual(fs.readdirSync(`${dir}/outside`), ["victim"]);
      assert.equal(fs.statSync(`${dir}/outside/victim`).mode & 0o777, 0o644);
    }),
);

live("dismissTurns() ends the turn of a thread that died in it", () =>
  Effect.gen(function* () {
    const { memory } = yield* amongThreads(2);
    const gone = admit(memory, 1);
    const turns = new Turns("/home");
    takeTurnsAs(gone);
    // Taken and never ended, as by a thread that is terminated inside.
    turns.together(() => {
      dismissTurns(memory, gone.index, gone.life);
      takeTurnsAs(admit(memory, 2));
      assert.equal(turns.alone(() => "in"), "in");
    });
    dismiss(memory, 1);
  }));

live("together() may be nested, and runs inside alone()", () =>
  Effect.gen(function* () {
    yield* amongThreads(1);
    const turns = new Turns("/home");
    assert.equal(turns.together(() => turns.together(() => 1)), 1);
    assert.equal(turns.alone(() => turns.together(() => 2)), 2);
    assert.throws(() =>
      turns.together(() => {
        throw new Error("no");
      })
    );
    assert.equal(turns.alone(() => 3), 3);
  }));
