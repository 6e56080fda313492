import { Effect } from "effect";
import assert from "node:assert/strict";
import { it } from "../harness.ts";
import { memoryVfs, tree } from "./memory_vfs.ts";
import { cross, start } from "./run.ts";

const big = new Uint8Array(3_000_001).map((_, at) => (at * 31) ^ (at >> 8));

it("SCP-01: scp -f and scp -t carry a tree between them unchanged, times included", () =>
  Effect.gen(function* () {
    const from = memoryVfs({
      "/d/a": "hello",
      "/d/empty": "",
      "/d/none": "<dir>",
      "/d/é ü/b 'q' \"x\"": "22",
      "/d/-rf": "minus",
      "/d/big": big,
    });
    const to = memoryVfs({ "/in": "<dir>" });
    const source = yield* start("scp -r -p -f /d", from);
    const sink = yield* start("scp -r -p -d -t /in", to);
    yield* cross(source.client, sink.client);
    assert.deepEqual([yield* source.status, yield* sink.status], [0, 0]);
    assert.deepEqual(
      Object.values(tree(to)).slice(1),
      Object.values(tree(from)),
    );
    assert.deepEqual(to.nodes.get("/in/d/big")?.bytes, big);
    assert.equal(to.nodes.get("/in/d/big")?.mtime, from.nodes.get("/d/big")?.mtime);
    assert.equal(to.nodes.get("/in/d")?.mtime, from.nodes.get("/d")?.mtime);
    assert.deepEqual([from.openHandles(), to.openHandles()], [0, 0]);
  }));

it("scp -f and scp -t stay in step when either side refuses a file", () =>
  Effect.gen(function* () {
    const from = memoryVfs({ "/d/a": "1", "/d/b": "2", "/d/c": "3", "/d/e/x": "4", "/d/f": "5" });
    const to = memoryVfs();
    from.deny = (op, path) => op === "open" && path === "/d/a" ? "Denied" : undefined;
    to.deny = (op, path) =>
      op === "open" && path === "/d/b" || op === "mkdir" && path === "/d/e" ||
        op === "write" && path === "/d/c"
        ? "Denied"
        : undefined;
    const source = yield* start("scp -r -f /d", from);
    const sink = yield* start("scp -r -t /", to);
    yield* cross(source.client, sink.client);
    assert.deepEqual([yield* source.status, yield* sink.status], [1, 1]);
    assert.deepEqual(tree(to), { "/d": "<dir>", "/d/f": "5" });
  }));
