import assert from "node:assert/strict";
import { live, tempDir } from "../harness.ts";
import { Effect } from "effect";

live("endProcess() ends at once: no right needed, no handler run", () =>
  Effect.gen(function* () {
    const file = (yield* tempDir) + "/end.ts";
    const module = new URL("../../src/failpoint.ts", import.meta.url).href;
    Deno.writeTextFileSync(
      file,
      `import { endProcess } from ${JSON.stringify(module)};
       addEventListener("unload", () => console.log("unload"));
       try { endProcess(); } finally { console.log("finally"); }`,
    );
    const { success, stdout } = yield* Effect.promise(() =>
      new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-prompt", "--no-check", file],
        stderr: "null",
      }).output()
    );
    assert.ok(!success);
    assert.equal(new TextDecoder().decode(stdout), "");
  }));
