import assert from "node:assert/strict";
import { RateLimits } from "../../src/guard/rate.ts";

const base = {
  average: 10,
  period: 1000,
  burst: 3,
  type: 2,
  protocols: ["SSH", "FTP"],
  generate_defender_events: true,
} as const;
const now = 1_000_000;

Deno.test("take() admits the burst, puts off for half an interval, and refuses beyond", () => {
  const limits = new RateLimits([base]);
  const take = (ip: string, at = now) => limits.take(ip, "SSH", at);
  for (let i = 0; i < 3; i++) assert.deepEqual(take("192.0.2.1"), { wait: 0 });
  assert.deepEqual(take("192.0.2.1"), { refused: true, retryIn: 50, scores: true });
  assert.deepEqual(take("192.0.2.1", now + 60), { wait: 40 });
  assert.deepEqual(take("192.0.2.2"), { wait: 0 }, "each address has its own");
  assert.deepEqual(limits.take("192.0.2.1", "HTTP", now), { wait: 0 }, "not of this protocol");
});

Deno.test("take() counts all addresses together for a limiter of type 1", () => {
  const limits = new RateLimits([{ ...base, type: 1, burst: 1 }]);
  assert.deepEqual(limits.take("192.0.2.1", "FTP", now), { wait: 0 });
  assert.deepEqual(limits.take("192.0.2.2", "SSH", now), {
    refused: true,
    retryIn: 50,
    scores: false,
  });
  assert.deepEqual(limits.take("192.0.2.2", "SSH", now + 100), { wait: 0 });
});

Deno.test("take() forgets addresses beyond a bound", () => {
  const limits = new RateLimits([{ ...base, burst: 1 }]);
  for (let i = 0; i < 25_000; i++) {
    limits.take(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, "SSH", now);
  }
  assert.deepEqual(limits.take("10.0.0.0", "SSH", now), { wait: 0 }, "the oldest was forgotten");
});
