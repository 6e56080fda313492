import assert from "node:assert/strict";
import { readSummary } from "../../scripts/run_tests.ts";

Deno.test("readSummary() counts passed, failed and ignored tests when steps are named too", () => {
  assert.deepEqual(
    readSummary("x\n\nok | 5 passed (2 steps) | 0 failed | 1 ignored (3 steps) (12ms)\n\n", 0),
    { passed: 5, failed: 0, skipped: 1 },
  );
  assert.deepEqual(
    readSummary(
      "\nFAILED | 3 passed | 2 failed (1 step) | 4 ignored (1s)\n\nerror: Test failed",
      1,
    ),
    { passed: 3, failed: 2, skipped: 4 },
  );
});

Deno.test("readSummary() counts one failure when a run fails without saying so", () => {
  assert.deepEqual(readSummary("error: Module not found", 1), { passed: 0, failed: 1, skipped: 0 });
  assert.deepEqual(readSummary("ok | 2 passed | 0 failed (1ms)\n", 1), {
    passed: 2,
    failed: 1,
    skipped: 0,
  });
});
