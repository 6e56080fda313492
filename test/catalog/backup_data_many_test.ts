import assert from "node:assert/strict";
import { Effect } from "effect";
import { live, tempDir } from "../harness.ts";
import { dumpable } from "./backup_data_world.ts";
import { hranaServer } from "./hrana_server.ts";
import { encode } from "./world.ts";

const many = (count: number, more: Record<string, unknown> = {}) => ({
  groups: [{ name: "staff" }],
  users: Array.from({ length: count }, (_, i) => ({
    username: `user${String(i).padStart(5, "0")}`,
    password: encode(`secret ${i}`),
    permissions: { "/": ["list", "download"] },
    groups: [{ name: "staff", type: 1 }],
    used_quota_size: i,
    ...more,
  })),
});

live("loadData() and dumpData() take 10,000 users", () =>
  Effect.gen(function* () {
    const dir = yield* tempDir;
    const one = yield* dumpable(dir);
    const server = yield* dumpable(dir);
    const loaded = yield* one.load(many(10_000));
    assert.equal(loaded.changes.filter(({ action }) => action === "add").length, 10_001);
    const text = yield* one.dump();
    const again = yield* one.load(JSON.parse(text));
    assert.equal(again.changes.filter(({ action }) => action === "same").length, 10_001);
    yield* one.load(many(10_000, { description: "new", quota_files: 3 }));
    const { users } = JSON.parse(text) as { users: ReadonlyArray<Record<string, unknown>> };
    assert.equal(users.length, 10_000);
    const names = users.map(({ username }) => username);
    assert.deepEqual(names, names.toSorted());
    assert.equal(users.at(-1)?.["used_quota_size"], 9_999);
    const last = yield* server.users.find("user09999");
    assert.deepEqual([last?.quota_files, last?.used_quota_size], [3, 9_999]);
  }));

live("dumpData() and loadData() work on a libSQL server", () =>
  Effect.gen(function* () {
    const dir = yield* tempDir;
    const url = yield* hranaServer(`${dir}/remote.db`);
    const remote = yield* dumpable(`${dir}/one`, "quick", { url });
    yield* remote.load(many(700));
    const text = yield* remote.dump();
    const local = yield* dumpable(`${dir}/two`);
    yield* local.load(JSON.parse(text));
    assert.equal(yield* local.dump(), text);
    const again = yield* remote.load(JSON.parse(text), { dryRun: true });
    assert.deepEqual(new Set(again.changes.map(({ action }) => action)), new Set(["same"]));
  }));
