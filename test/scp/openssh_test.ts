import { Effect } from "effect";
import assert from "node:assert/strict";
import { live } from "../harness.ts";
import { memoryVfs, tree } from "./memory_vfs.ts";
import { opensshScp } from "./openssh.ts";

const big = new Uint8Array(5_000_003).map((_, at) => (at * 31) ^ (at >> 8));

live("SCP-02: OpenSSH's scp -O uploads files and trees with times", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/in": "<dir>" });
    const { scp, dir } = yield* opensshScp(vfs);
    Deno.mkdirSync(`${dir}/d/e/none`, { recursive: true });
    Deno.writeTextFileSync(`${dir}/d/a b.txt`, "hello");
    Deno.writeTextFileSync(`${dir}/d/e/empty`, "");
    Deno.writeTextFileSync(`${dir}/d/é`, "22");
    Deno.writeFileSync(`${dir}/d/big`, big);
    Deno.utimeSync(`${dir}/d/e`, 1_000_000_000, 1_000_000_000);
    const many = yield* scp("-rp", "d", "h:/in");
    assert.deepEqual(many, { code: 0, stderr: "" });
    const one = yield* scp("d/a b.txt", "h:'/in/new name'");
    assert.deepEqual(one, { code: 0, stderr: "" });
    const { "/in/d/big": stored, ...rest } = tree(vfs);
    assert.ok(stored);
    assert.deepEqual(vfs.nodes.get("/in/d/big")?.bytes, big);
    assert.deepEqual(rest, {
      "/in": "<dir>",
      "/in/d": "<dir>",
      "/in/d/a b.txt": "hello",
      "/in/d/e": "<dir>",
      "/in/d/e/empty": "",
      "/in/d/e/none": "<dir>",
      "/in/d/é": "22",
      "/in/new name": "hello",
    });
    assert.equal(vfs.nodes.get("/in/d/e")?.mtime, 1_000_000_000_000);
  }));

live(
  "SCP-03: OpenSSH's scp -O downloads files and trees with times",
  () =>
    Effect.gen(function* () {
      const vfs = memoryVfs({ "/d/a b": "hello", "/d/e/empty": "", "/d/big": big, "/d/-rf": "x" });
      const { scp, dir } = yield* opensshScp(vfs);
      assert.deepEqual(yield* scp("-rp", "h:/d", "h:'/d/a b'", "."), { code: 0, stderr: "" });
      assert.equal(Deno.readTextFileSync(`${dir}/d/a b`), "hello");
      assert.equal(Deno.readTextFileSync(`${dir}/a b`), "hello");
      assert.equal(Deno.readTextFileSync(`${dir}/d/e/empty`), "");
      assert.equal(Deno.readTextFileSync(`${dir}/d/-rf`), "x");
      assert.deepEqual(Deno.readFileSync(`${dir}/d/big`), big);
      assert.equal(Deno.statSync(`${dir}/d/big`).mtime?.getTime(), 1_600_000_000_000);
    }),
);

live(
  "SCP-04: OpenSSH's scp -O shows each refused file, moves the rest, and exits 1",
  () =>
    Effect.gen(function* () {
      const vfs = memoryVfs({ "/d/no": "1", "/d/yes": "2" });
      vfs.deny = (op, path) =>
        op === "open" && path.endsWith("no") || op === "write" && path.endsWith("full")
          ? "Denied"
          : undefined;
      const { scp, dir } = yield* opensshScp(vfs);
      const down = yield* scp("-r", "h:/d", ".");
      assert.deepEqual(down, { code: 1, stderr: "scp: /d/no: Permission denied\n" });
      assert.deepEqual([...Deno.readDirSync(`${dir}/d`)].map((e) => e.name), ["yes"]);
      Deno.writeTextFileSync(`${dir}/d/no`, "1");
      Deno.writeFileSync(`${dir}/d/full`, big);
      const up = yield* scp("-r", "d", "h:/up");
      assert.equal(up.code, 1);
      const lines = up.stderr.split("\n").sort();
      assert.deepEqual(lines, ["", "scp: full: Permission denied", "scp: no: Permission denied"]);
      assert.equal(tree(vfs)["/up/yes"], "2");
      assert.deepEqual(
        [tree(vfs)["/up/no"], tree(vfs)["/up/full"], vfs.openHandles()],
        [undefined, undefined, 0],
      );
    }),
);

live(
  "SECURITY 6.1, 6.19: OpenSSH's scp -O cannot climb out or run anything",
  () =>
    Effect.gen(function* () {
      const vfs = memoryVfs({ "/a": "1" });
      const { scp, dir } = yield* opensshScp(vfs);
      Deno.writeTextFileSync(`${dir}/f`, "f");
      for (const target of ["h:$(id)", "h:`id`", "h:x;id", "h:/a/x", "h:/missing/x"]) {
        assert.notEqual((yield* scp("f", target)).code, 0, target);
      }
      assert.deepEqual(tree(vfs), { "/a": "1" });
      assert.equal((yield* scp("f", "h:../../../f")).code, 0);
      assert.deepEqual(tree(vfs), { "/a": "1", "/f": "f" });
    }),
);
