import assert from "node:assert/strict";
import { guessThreads } from "../../src/threads.ts";

Deno.test("guessThreads() answers what serve looks like being asked for, and 0 for other commands", () => {
  const guess = (line: string, variable?: string) => guessThreads(line.split(" "), variable, 2);
  assert.equal(guess("serve"), 2);
  assert.equal(guess("--data-dir /srv --json serve --sftp off"), 2);
  assert.equal(guess("serve --workers 4"), 4);
  assert.equal(guess("serve --workers=3", "1"), 3);
  assert.equal(guess("serve --workers 0"), 2);
  assert.equal(guess("serve", "4"), 4);
  assert.equal(guess("serve", "1"), 0);
  assert.equal(guess("serve --workers 1"), 0);
  assert.equal(guess("serve --workers many"), 2);
  assert.equal(guess("serve --workers"), 2);
  assert.equal(guess("user add serve"), 0);
  assert.equal(guess("--data-dir serve user list"), 0);
  assert.equal(guess("--help"), 0);
});
