// deno-lint-ignore-file no-control-regex -- the protocol answers with NUL, 1 and 2
import { Effect } from "effect";
import assert from "node:assert/strict";
import { it } from "../harness.ts";
import { memoryVfs, text } from "./memory_vfs.ts";
import { start, talk } from "./run.ts";

/** Enough answers for anything a test asks for. */
const yes = "\0".repeat(40);

it("SCP-03: scp -f sends a file", () =>
  Effect.gen(function* () {
    const got = yield* talk("scp -f /d/a.txt", memoryVfs({ "/d/a.txt": "hello" }), [yes]);
    assert.deepEqual(got, { output: "C0640 5 a.txt\nhello\0", status: 0, stderr: "" });
  }));

it("SCP-03: scp -p -f sends times before each entry", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/d/a": "hello" });
    const got = yield* talk("scp -prf /d", vfs, [yes]);
    assert.equal(
      got.output,
      "T1000000000 0 1000000000 0\nD0750 0 d\n" +
        "T1600000000 0 1600000000 0\nC0640 5 a\nhello\0E\n",
    );
  }));

it("SCP-03: scp -r -f sends a tree and skips links and special files", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/d/a": "1", "/d/e/b": "22", "/d/l": "x", "/d/p": "x", "/d/z": "" });
    Object.assign(vfs.nodes.get("/d/l") ?? {}, { kind: "symlink" });
    Object.assign(vfs.nodes.get("/d/p") ?? {}, { kind: "other" });
    const got = yield* talk("scp -r -f /d/", vfs, [yes]);
    assert.equal(
      got.output,
      "D0750 0 d\nC0640 1 a\n1\0D0750 0 e\nC0640 2 b\n22\0E\nC0640 0 z\n\0E\n",
    );
    assert.equal(got.status, 0);
  }));

it("SCP-03: scp -f refuses a directory without -r and goes on with the next path", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/d/a": "1", "/b": "2" });
    const got = yield* talk("scp -f /d /missing /b", vfs, [yes]);
    assert.equal(
      got.output,
      "\x01scp: /d: not a regular file\n\x01scp: /missing: No such file or directory\n" +
        "C0640 1 b\n2\0",
    );
    assert.equal(got.status, 1);
  }));

it("SCP-01: scp -f expands no pattern", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/a.txt": "1", "/[b]*.txt": "2" });
    const none = yield* talk("scp -f *.txt", vfs, [yes]);
    assert.match(none.output, /^\x01scp: \*\.txt: No such file/);
    assert.equal((yield* talk("scp -f [b]*.txt", vfs, [yes])).output, "C0640 1 [b]*.txt\n2\0");
  }));

it("SCP-04: scp -f reports what may not be read and sends the rest", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/d/a": "1", "/d/b": "2", "/d/e/c": "3" });
    vfs.deny = (op, path) =>
      op === "open" && path === "/d/a" || op === "list" && path === "/d/e" ? "Denied" : undefined;
    const got = yield* talk("scp -r -f /d", vfs, [yes]);
    assert.equal(
      got.output,
      "D0750 0 d\n\x01scp: /d/a: Permission denied\nC0640 1 b\n2\0" +
        "\x01scp: /d/e: Permission denied\nE\n",
    );
    assert.equal(got.status, 1);
  }));

it("scp -f skips what the client refuses", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/a": "1", "/b": "2" });
    const got = yield* talk("scp -f /a /b", vfs, ["\0\x01no room\n\0\0"]);
    assert.equal(got.output, "C0640 1 a\nC0640 1 b\n2\0");
    assert.deepEqual([got.status, vfs.openHandles()], [1, 0]);
  }));

it("scp -f stops when the client gives up, goes away, or babbles", () =>
  Effect.gen(function* () {
    for (const input of ["\0\x02stop\n", "\0", "\0\0", "", "\0yes"]) {
      const vfs = memoryVfs({ "/a": "1", "/b": "2" });
      const got = yield* talk("scp -f /a /b", vfs, [input]);
      assert.ok(!got.output.includes(" b\n"), got.output);
      assert.deepEqual([got.status, vfs.openHandles()], [1, 0]);
    }
  }));

it("scp -f pads a file that shrank, and reports it", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/a": "hello" });
    const node = vfs.nodes.get("/a");
    const { client, status } = yield* start("scp -f /a", vfs);
    yield* Effect.promise(() => client.write(text("\0")));
    yield* Effect.promise(() => client.read());
    if (node) node.bytes = node.bytes.subarray(0, 2);
    yield* Effect.promise(() => client.write(text("\0\0")));
    client.end();
    assert.equal(yield* status, 1);
    let output = "";
    for (let chunk; (chunk = yield* Effect.promise(() => client.read()));) {
      output += new TextDecoder().decode(chunk);
    }
    assert.equal(output, "he\0\0\0\x01scp: /a: file changed size while it was read\n");
  }));

it("scp -f reports a read that fails after the size was announced", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/a": "hello", "/b": "2" });
    vfs.deny = (op, path) => op === "read" && path === "/a" ? "Corrupt" : undefined;
    const got = yield* talk("scp -f /a /b", vfs, [yes]);
    assert.equal(
      got.output,
      "C0640 5 a\n\0\0\0\0\0\x01scp: /a: Stored data is damaged\nC0640 1 b\n2\0",
    );
    assert.equal(got.status, 1);
  }));
