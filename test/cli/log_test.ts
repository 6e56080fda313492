import assert from "node:assert/strict";
import { Cause, Effect } from "effect";
import { logLayer } from "../../src/log.ts";

const logged = async (
  format: "json" | "pretty",
  work: Effect.Effect<void>,
): Promise<string[]> => {
  const lines: string[] = [];
  const layer = logLayer({ level: "info", format }, (line) => lines.push(line));
  await Effect.runPromise(Effect.provide(work, layer));
  return lines;
};

Deno.test("logLayer() writes one JSON object a line with level, time, event and annotations", async () => {
  const [line, ...more] = await logged(
    "json",
    Effect.logWarning({ event: "swept", files: 3 }, "some text", Cause.die(new Error("boom"))).pipe(
      Effect.annotateLogs({ username: "anna" }),
      Effect.andThen(Effect.logDebug("below the level")),
    ),
  );
  assert.equal(more.length, 0);
  const { time, cause, ...rest } = JSON.parse(line ?? "");
  assert.ok(!Number.isNaN(Date.parse(time)));
  assert.match(cause, /boom/);
  assert.deepEqual(rest, {
    level: "warn",
    event: "swept",
    files: 3,
    message: "some text",
    username: "anna",
  });
});

Deno.test("SECURITY 5: logLayer() keeps secrets and control characters out of both formats", async () => {
  for (const format of ["json", "pretty"] as const) {
    const text = (await logged(
      format,
      Effect.logInfo({ password: "hunter2", auth_token: "t0ken", path: "a\nb\x1b[2J\u009b\u2028" }),
    )).join("\n");
    assert.ok(!/hunter2|t0ken/.test(text));
    // deno-lint-ignore no-control-regex
    const foreign = text.replace(/\x1b\[\d+m/g, "").match(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028]/);
    assert.equal(foreign, null, JSON.stringify(text));
    assert.equal(text.split("\n").length, 1);
  }
});
