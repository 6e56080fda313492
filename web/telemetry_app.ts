import { Effect, FiberSet, type Scope } from "effect";
import { Hono } from "hono";
import { Registry } from "../actors/registry.ts";
import { escapedErrors } from "../src/escapes.ts";
import type { Probe } from "../src/health.ts";
import { countEvents, type Counts } from "./metrics.ts";
import type { Journal } from "../src/events/journal.ts";

/** What the running server shows of itself. */
export interface Health {
  readonly version: string;
  /** Real probes: the database answers, every listener accepts. */
  readonly probes: ReadonlyArray<Probe>;
  /** False before the listeners accept and while draining. */
  readonly ready: () => boolean;
  /** Worker threads that serve now; 0 when the main thread serves. */
  readonly workers: () => number;
}

/** A probe that hangs longer is a failed one. */
const probeLimit = "3 seconds";

/** `/healthz`, `/readyz` and `/metrics` (Prometheus text format 0.0.4). */
export const telemetryApp = (
  health: Health,
): Effect.Effect<Hono, never, Registry | Journal | Scope.Scope> =>
  Effect.gen(function* () {
    const registry = yield* Registry;
    const counts = yield* countEvents;
    const run = yield* FiberSet.makeRuntimePromise<never>();
    const app = new Hono();

    app.get("/healthz", async (c) => {
      const found = await run(Effect.forEach(health.probes, ({ name, check }) =>
        check.pipe(
          Effect.timeoutTo({
            duration: probeLimit,
            onTimeout: () => `no answer within ${probeLimit}`,
            onSuccess: (problem) => problem,
          }),
          Effect.map((problem) => ({ name, problem })),
        ), { concurrency: "unbounded" }));
      const bad = found.filter((probe) => probe.problem !== undefined);
      return c.json({
        status: bad.length === 0 ? "ok" : "failing",
        checks: Object.fromEntries(found.map((p) => [p.name, p.problem ?? "ok"])),
      }, bad.length === 0 ? 200 : 503);
    });
    app.get("/readyz", (c) => health.ready() ? c.text("ready\n") : c.text("not ready\n", 503));
    app.get("/metrics", async (c) => {
      const sessions = await run(registry.list);
      c.header("content-type", "text/plain; version=0.0.4; charset=utf-8");
      return c.body(expose(health.version, counts, {
        workers: health.workers(),
        sessions: sessions.length,
        transfers: sessions.reduce((sum, s) => sum + s.active_transfers.length, 0),
      }));
    });
    app.notFound((c) => c.text("not found\n", 404));
    return app;
  });

const expose = (
  version: string,
  counts: Counts,
  now: { readonly workers: number; readonly sessions: number; readonly transfers: number },
): string => {
  const lines: string[] = [];
  const add = (
    name: string,
    type: "counter" | "gauge",
    help: string,
    values: ReadonlyArray<readonly [labels: string, value: number]>,
  ) => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const [labels, value] of values) lines.push(`${name}${labels} ${value}`);
  };
  add("sluice_build_info", "gauge", "Version of the server.", [[`{version="${version}"}`, 1]]);
  add("sluice_workers", "gauge", "Worker threads that serve; 0 when the main thread does.", [
    ["", now.workers],
  ]);
  add("sluice_sessions", "gauge", "Logged-in sessions.", [["", now.sessions]]);
  add("sluice_transfers", "gauge", "Transfers under way.", [["", now.transfers]]);
  add("sluice_logins_total", "counter", "Logins since the start.", [
    ['{result="ok"}', counts.loginsOk],
    ['{result="failed"}', counts.loginsFailed],
  ]);
  add("sluice_transfers_total", "counter", "Finished transfers since the start.", [
    ['{direction="upload"}', counts.uploads],
    ['{direction="download"}', counts.downloads],
  ]);
  add("sluice_transfer_bytes_total", "counter", "Bytes of finished transfers.", [
    ['{direction="upload"}', counts.uploadBytes],
    ['{direction="download"}', counts.downloadBytes],
  ]);
  add("sluice_transfer_failures_total", "counter", "Transfers that failed.", [
    ["", counts.transferFailures],
  ]);
  add("sluice_escaped_errors_total", "counter", "Errors that left every fiber; not 0 is a bug.", [
    ["", escapedErrors()],
  ]);
  const memory = Deno.memoryUsage();
  add("sluice_memory_rss_bytes", "gauge", "Resident memory.", [["", memory.rss]]);
  return lines.join("\n") + "\n";
};
