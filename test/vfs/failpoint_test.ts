import assert from "node:assert/strict";
import { arm, failpoints, fault } from "../../src/failpoint.ts";
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

live(
  "endProcess() in a worker ends the whole process as much at once",
  () =>
    Effect.gen(function* () {
      const dir = yield* tempDir;
      const module = new URL("../../src/failpoint.ts", import.meta.url).href;
      Deno.writeTextFileSync(
        `${dir}/worker.ts`,
        `import { endProcess } from ${JSON.stringify(module)};
       try { endProcess(); } finally { console.log("finally"); }`,
      );
      Deno.writeTextFileSync(
        `${dir}/main.ts`,
        `new Worker(new URL("./worker.ts", import.meta.url).href, { type: "module" });
       addEventListener("unload", () => console.log("unload"));
       setTimeout(() => { console.log("alive"); Deno.exit(0); }, 20_000);`,
      );
      const { success, stdout } = yield* Effect.promise(() =>
        new Deno.Command(Deno.execPath(), {
          args: [
            "run",
            "--no-prompt",
            "--no-check",
            "--allow-ffi",
            "--allow-read",
            `${dir}/main.ts`,
          ],
          stderr: "null",
        }).output()
      );
      assert.ok(!success);
      assert.equal(new TextDecoder().decode(stdout), "");
    }),
);

live("arm() counts what is left over all threads that are armed alike", () =>
  Effect.sync(() => {
    arm("test.point@a=die*2");
    assert.equal(fault("test.point", "b"), undefined);
    assert.equal(fault("test.point", "a"), "die");
    // Another thread has acted the second time.
    const { spec, left } = failpoints();
    assert.equal(spec, "test.point@a=die*2");
    Atomics.sub(left, 0, 1);
    assert.equal(fault("test.point", "a"), undefined);
    assert.equal(Atomics.load(left, 0), 0);
  }));
