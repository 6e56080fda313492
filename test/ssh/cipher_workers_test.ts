import assert from "node:assert/strict";
import { testIf } from "../e2e/tools.ts";
import { providers } from "./cipher_support.ts";

const start = () => new Worker(new URL("./cipher_worker.ts", import.meta.url), { type: "module" });

interface Report {
  readonly wrong: ReadonlyArray<string>;
  readonly used: ReadonlyArray<string>;
}

/** What a worker tells: that it is at work, and in the end what it saw. */
const hear = (worker: Worker) => {
  const busy = Promise.withResolvers<void>(), report = Promise.withResolvers<Report>();
  worker.onmessage = ({ data }: MessageEvent<"busy" | Report>) =>
    data === "busy" ? busy.resolve() : report.resolve(data);
  worker.onerror = (event) => {
    event.preventDefault();
    busy.reject(new Error(event.message));
    report.reject(new Error(event.message));
  };
  return { busy: busy.promise, report: report.promise };
};

for (const name of ["libcrypto", "sodium", "node"] as const) {
  const there = providers.some((provider) => provider.name === name);
  const what = `${name} works in four threads at once, and outlives one that is ended at work`;
  testIf(there, `${name} is not installed`, what, async () => {
    const workers = [1, 2, 3, 4].map(start);
    try {
      const heard = workers.map(hear);
      for (const worker of workers) worker.postMessage(name);
      await Promise.all(heard.map(({ busy }) => busy));
      workers.pop()?.terminate();
      for (const { report } of heard.slice(0, -1)) {
        const { wrong, used } = await report;
        assert.deepEqual(wrong, []);
        assert.ok(used.includes(name));
      }
    } finally {
      for (const worker of workers) worker.terminate();
    }
  });
}
