import assert from "node:assert/strict";
import * as fs from "node:fs";
import { Effect } from "effect";
import { local } from "../../adapters/storage/local/local.ts";
import { admit, dismiss, shareMemory } from "../../src/participant.ts";
import { isStagedElsewhere, isStagedName, stageAs, stagedName } from "../../src/storage/staged.ts";
import { live, tempDir } from "../harness.ts";

live(
  "sweep() spares what a living worker writes, and clears up after a dead one",
  () =>
    Effect.gen(function* () {
      const root = Deno.realPathSync(yield* tempDir);
      const memory = shareMemory(3);
      const hub = admit(memory, 0);
      const [one, two] = [admit(memory, 1), admit(memory, 2)];
      const file = (participant: typeof hub) => {
        stageAs(participant);
        const name = stagedName("x");
        assert.ok(isStagedName(name));
        fs.writeFileSync(`${root}/${name}`, "");
        return name;
      };
      const ofOne = file(one);
      const ofTwo = file(two);
      // Of the hub itself, which writes nothing now; and of a server that is gone.
      file(hub);
      fs.writeFileSync(`${root}/.sluice-upload.0123456789abcdef.old`, "");
      fs.writeFileSync(`${root}/.sluice-upload.0123456789abcdef01234567.old`, "");
      const storage = local({ root, fsync: false });
      assert.equal(yield* storage.sweep(), 3);
      assert.deepEqual(fs.readdirSync(root).sort(), [ofOne, ofTwo].sort());
      dismiss(memory, 1);
      const again = admit(memory, 1);
      assert.notEqual(again.life, one.life);
      assert.equal(isStagedElsewhere(ofOne), false);
      assert.equal(yield* storage.sweep(), 1);
      assert.deepEqual(fs.readdirSync(root), [ofTwo]);
    }),
);
