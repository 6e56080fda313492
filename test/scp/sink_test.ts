// deno-lint-ignore-file no-control-regex -- the protocol answers with NUL, 1 and 2
import { Effect } from "effect";
import assert from "node:assert/strict";
import { it } from "../harness.ts";
import { memoryVfs, text, tree } from "./memory_vfs.ts";
import { start, talk } from "./run.ts";

const ok = "\0";

it("SCP-02: scp -t stores a file in a directory and acknowledges each step", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/in": "<dir>" });
    const got = yield* talk("scp -t /in", vfs, ["C0644 5 a.txt\n", "hello\0"]);
    assert.deepEqual(got, { output: ok + ok + ok, status: 0, stderr: "" });
    assert.deepEqual(tree(vfs), { "/in": "<dir>", "/in/a.txt": "hello" });
  }));

it("SCP-02: scp -t uses the path itself when it is no directory", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/in/old": "old content" });
    yield* talk("scp -t /in/new", vfs, ["C0644 1 a\n", "1\0"]);
    yield* talk("scp -t /in/old", vfs, ["C0644 2 a\n", "22\0"]);
    assert.deepEqual(tree(vfs), { "/in": "<dir>", "/in/new": "1", "/in/old": "22" });
  }));

it("SCP-02: scp -r -t creates missing directories and ignores mode bits", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/in/d/keep": "k" });
    const lines = ["D0700 0 d\n", "D4777 0 e\n", "C0644 0 empty\n", "\0", "E\n", "E\n"];
    const got = yield* talk("scp -r -p -t /in", vfs, lines);
    assert.deepEqual(got, { output: ok.repeat(7), status: 0, stderr: "" });
    assert.deepEqual(tree(vfs), {
      "/in": "<dir>",
      "/in/d": "<dir>",
      "/in/d/e": "<dir>",
      "/in/d/e/empty": "",
      "/in/d/keep": "k",
    });
  }));

it("scp -r -t makes the target directory itself when it is missing", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs();
    yield* talk("scp -r -t /new/", vfs, ["D0755 0 d\n", "C0644 1 a\n", "1\0", "E\n"]);
    assert.deepEqual(tree(vfs), { "/new": "<dir>", "/new/a": "1" });
  }));

it("scp -p -t sets times where it may, and ignores them where it may not", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs();
    vfs.deny = (op, path) => op === "setAttributes" && path === "/b" ? "Denied" : undefined;
    const lines = ["T11 0 12 0\n", "C0644 1 a\n", "1\0", "T11 0 12 0\n", "C0644 1 b\n", "1\0"];
    const got = yield* talk("scp -p -t /", vfs, lines);
    assert.deepEqual([got.output, got.status], [ok.repeat(7), 0]);
    assert.deepEqual([vfs.nodes.get("/a")?.mtime, vfs.nodes.get("/b")?.mtime], [11_000, 0]);
  }));

it("scp -t ignores times without -p", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs();
    yield* talk("scp -t /", vfs, ["T11 0 12 0\n", "C0644 1 a\n", "1\0"]);
    assert.equal(vfs.nodes.get("/a")?.mtime, 0);
  }));

it("scp -d -t refuses a target that is no directory", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/f": "old" });
    for (const line of ["scp -d -t /f", "scp -d -t /missing", "scp -t /f/"]) {
      const got = yield* talk(line, vfs, ["C0644 1 a\n", "1\0"]);
      assert.match(got.output, /^\x02scp: .*Not a directory\n$/);
      assert.equal(got.status, 1);
    }
    assert.deepEqual(tree(vfs), { "/f": "old" });
  }));

const breaches: Record<string, ReadonlyArray<string | Uint8Array>> = {
  "a name with ..": ["C0644 5 ../x\n", "hello\0"],
  "a name with a slash": ["C0644 5 a/b\n", "hello\0"],
  "an absolute name": ["C0644 5 /x\n", "hello\0"],
  "the name .": ["D0755 0 .\n"],
  "the name ..": ["D0755 0 ..\n"],
  "an empty name": ["C0644 5 \n", "hello\0"],
  "NUL in a name": ["C0644 5 a\0b\n", "hello\0"],
  "a negative size": ["C0644 -5 x\n", "hello\0"],
  "a size that is no number": ["C0644 five x\n", "hello\0"],
  "a hexadecimal size": ["C0644 0x5 x\n", "hello\0"],
  "a size beyond 2^53": ["C0644 9007199254740993 x\n", "hello\0"],
  "a size of 20 digits": ["C0644 99999999999999999999 x\n", "hello\0"],
  "a missing size": ["C0644 x\n", "hello\0"],
  "a mode that is not octal": ["C0699 5 x\n", "hello\0"],
  "a short mode": ["C64 5 x\n", "hello\0"],
  "an unknown line": ["X0644 5 x\n", "hello\0"],
  "an empty line": ["\n"],
  "times that are no numbers": ["Tnow 0 now 0\n"],
  "an E without a D": ["E\n"],
  "too long a line": [`C0644 5 ${"x".repeat(9000)}\n`],
  "too long a line that never ends": ["x".repeat(9000)],
};
for (const [what, input] of Object.entries(breaches)) {
  it(`SECURITY 6.18: scp -t answers ${what} with an error text and no file`, () =>
    Effect.gen(function* () {
      const vfs = memoryVfs({ "/in": "<dir>" });
      const got = yield* talk("scp -r -t /in", vfs, input);
      assert.match(got.output, /^\0\x02scp: .+\n$/);
      assert.equal(got.status, 1);
      assert.deepEqual(tree(vfs), { "/in": "<dir>" });
      assert.equal(vfs.openHandles(), 0);
    }));
}

const incomplete: Record<string, ReadonlyArray<string>> = {
  "the final NUL is missing": ["C0644 5 x\n", "hello"],
  "the data is short": ["C0644 5 x\n", "hell"],
  "only the line came": ["C0644 5 x\n"],
  "the data is longer than its size": ["C0644 4 x\n", "hello\0"],
  "the client says that it could not read": ["C0644 5 x\n", "he\0\0\0\x01read error\n"],
};
for (const [what, input] of Object.entries(incomplete)) {
  it(`SECURITY 6.18: scp -t keeps nothing, and the old file, when ${what}`, () =>
    Effect.gen(function* () {
      for (const before of [{}, { "/x": "old content" }]) {
        const vfs = memoryVfs(before);
        const got = yield* talk("scp -t /", vfs, input);
        assert.equal(got.status, 1);
        assert.deepEqual(tree(vfs), before);
        assert.equal(vfs.openHandles(), 0);
      }
    }));
}

it("scp -t refuses a name with a backslash or a control character, and stays in step", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs();
    const bad = [text("C0644 1 a\\..\\b\n"), text("C0644 1 a\rb\n")];
    const latin1 = Uint8Array.from([...text("C0644 1 "), 0xe9, 0x0a]);
    const got = yield* talk("scp -t /", vfs, [...bad, latin1, "C0644 1 good\n", "1\0"]);
    assert.match(got.output, /^\0(\x01scp: [^\n]+\n){3}\0\0$/);
    assert.equal(got.status, 1);
    assert.deepEqual(tree(vfs), { "/good": "1" });
  }));

it("SCP-04: scp -t reports a refused file and takes the next one", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs();
    vfs.deny = (op, path) => op === "open" && path === "/no" ? "Denied" : undefined;
    const got = yield* talk("scp -t /", vfs, ["C0644 2 no\n", "C0644 1 yes\n", "1\0"]);
    assert.equal(got.output, "\0\x01scp: no: Permission denied\n\0\0");
    assert.equal(got.status, 1);
    assert.deepEqual(tree(vfs), { "/yes": "1" });
  }));

it("SCP-04: scp -t reads the rest of a file that cannot be stored, and takes the next one", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/full": "old" });
    vfs.deny = (op, path) => op === "write" && path === "/full" ? "QuotaExceeded" : undefined;
    const got = yield* talk("scp -t /", vfs, ["C0644 5 full\n", "hello\0", "C0644 1 b\n", "1\0"]);
    assert.equal(got.output, "\0\0\x01scp: full: Disk quota exceeded\n\0\0");
    assert.deepEqual(tree(vfs), { "/b": "1", "/full": "old" });
    assert.equal(got.status, 1);
  }));

it("SCP-04: scp -t reports a commit that failed", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs();
    vfs.deny = (op) => op === "close" ? "Unavailable" : undefined;
    const got = yield* talk("scp -t /", vfs, ["C0644 1 a\n", "1\0"]);
    assert.equal(got.output, "\0\0\x01scp: a: Storage unavailable\n");
    assert.deepEqual([tree(vfs), got.status, vfs.openHandles()], [{}, 1, 0]);
  }));

it("scp -t refuses a file beyond the quota before its data is sent", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/in": "<dir>" });
    vfs.freeBytes = 1024;
    const got = yield* talk("scp -t /in", vfs, ["C0644 99999999 big\n", "C0644 1 a\n", "1\0"]);
    assert.equal(got.output, "\0\x01scp: big: Disk quota exceeded\n\0\0");
    assert.deepEqual(tree(vfs), { "/in": "<dir>", "/in/a": "1" });
  }));

it("scp -t refuses a directory without -r, and a file in place of a directory", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/f": "x" });
    assert.match((yield* talk("scp -t /", vfs, ["D0755 0 d\n"])).output, /^\0\x02scp: .*-r\n$/);
    const got = yield* talk("scp -r -t /", vfs, ["D0755 0 f\n", "C0644 1 a\n", "1\0"]);
    assert.equal(got.output, "\0\x01scp: f: Not a directory\n\0\0");
    assert.deepEqual(tree(vfs), { "/a": "1", "/f": "x" });
  }));

it("scp -r -t refuses directories nested more than 1000 deep", () =>
  Effect.gen(function* () {
    const got = yield* talk("scp -r -t /", memoryVfs(), ["D0755 0 d\n".repeat(1001)]);
    assert.match(got.output, /^\0{1001}\x02scp: directories are nested more than 1000 deep\n$/);
  }));

it("scp -t serves a user who may upload but not look", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/in": "<dir>" });
    vfs.deny = (op) => op === "stat" || op === "list" ? "Denied" : undefined;
    const lines = ["C0644 1 a\n", "1\0", "D0755 0 d\n", "C0644 1 b\n", "1\0", "E\n"];
    assert.equal((yield* talk("scp -r -t /in", vfs, lines)).status, 0);
    assert.deepEqual(tree(vfs), {
      "/in": "<dir>",
      "/in/a": "1",
      "/in/d": "<dir>",
      "/in/d/b": "1",
    });
  }));

it("scp -t drops the upload when the connection is cut", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs();
    const { client, status } = yield* start("scp -t /", vfs);
    yield* Effect.promise(() => client.write(text("C0644 500 a\nhello")));
    client.cut();
    assert.equal(yield* status, 1);
    assert.deepEqual([tree(vfs), vfs.openHandles()], [{}, 0]);
  }));

it("scp -t holds at most 1 MiB that the storage has not taken", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs();
    const size = 4 * 1024 * 1024;
    const chunk = new Uint8Array(64 * 1024);
    const data = Array.from({ length: size / chunk.length }, () => chunk);
    const got = yield* talk("scp -t /", vfs, [`C0644 ${size} a\n`, ...data, "\0"]);
    assert.equal(got.status, 0);
    assert.equal(vfs.nodes.get("/a")?.bytes.length, size);
    assert.ok(vfs.mostInFlight() <= 1024 * 1024 + chunk.length);
  }));
