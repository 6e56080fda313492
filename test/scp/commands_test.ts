import { Effect } from "effect";
import assert from "node:assert/strict";
import { commandEngine, commandProtocol } from "../../adapters/ssh/commands/commands.ts";
import { it } from "../harness.ts";
import { memoryVfs, tree } from "./memory_vfs.ts";
import { allCommands, talk } from "./run.ts";

const refused = [
  "sh",
  "",
  "   ",
  "bash -c id",
  "/usr/bin/md5sum /a",
  "rsync --server -vlogDtpr . /",
  "git-upload-pack '/r'",
  "scp -t $(id)",
  "scp -t `id`",
  "scp -t a; sh",
  "md5sum /a | sh",
  "md5sum <(id)",
  "pwd\nsh",
  "constructor",
  "__proto__",
];
for (const line of refused) {
  Deno.test(`SECURITY 6.19: exec of ${JSON.stringify(line)} is refused`, () => {
    assert.equal(commandEngine(line, allCommands), undefined);
  });
}

Deno.test("CMD-01: commandEngine() knows only enabled commands", () => {
  const settings = { ...allCommands, enabled_ssh_commands: ["pwd", "sftpgo-copy", "sh"] };
  const served = (line: string) => commandEngine(line, settings) !== undefined;
  assert.ok(served("pwd"));
  assert.ok(served("sluice-copy /a /b"));
  for (const line of ["md5sum", "cd", "scp -t .", "sluice-remove /a", "sh"]) {
    assert.ok(!served(line), line);
  }
});

Deno.test("CMD-07: commandProtocol() tells scp from the other commands", () => {
  assert.equal(commandProtocol("  'scp' -t ."), "SCP");
  for (const line of ["md5sum scp", "scpx", "", "scp -t $(id)"]) {
    assert.equal(commandProtocol(line), "SSH", line);
  }
});

it("CMD-02: hash commands print digest, two blanks and the path as given", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/d/a b": "abc" });
    const digests = {
      md5sum: "900150983cd24fb0d6963f7d28e17f72",
      sha1sum: "a9993e364706816aba3e25717850c26c9cd0d89d",
      sha256sum: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      sha384sum: "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163" +
        "1a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
      sha512sum: "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" +
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    };
    for (const [name, hex] of Object.entries(digests)) {
      const got = yield* talk(`${name} 'd/a b'`, vfs, []);
      assert.deepEqual(got, { output: `${hex}  d/a b\n`, status: 0, stderr: "" });
    }
  }));

it("CMD-02: md5sum hashes its input when no path is given", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs();
    const none = yield* talk("md5sum", vfs, []);
    assert.equal(none.output, "d41d8cd98f00b204e9800998ecf8427e  -\n");
    const some = yield* talk("md5sum -- -", vfs, ["a", "bc"]);
    assert.equal(some.output, "900150983cd24fb0d6963f7d28e17f72  -\n");
  }));

it("md5sum refuses more than 1 MiB of input", () =>
  Effect.gen(function* () {
    const chunk = new Uint8Array(200 * 1024);
    const got = yield* talk("md5sum", memoryVfs(), [chunk, chunk, chunk, chunk, chunk, chunk]);
    assert.deepEqual([got.status, got.output], [1, ""]);
    assert.match(got.stderr, /^md5sum: -: more than 1048576 bytes of input\n$/);
  }));

it("CMD-07: a hash command goes on after an error, exits 1, and records it", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/a": "abc", "/no": "x" });
    vfs.deny = (op, path) => op === "checksum" && path === "/no" ? "Denied" : undefined;
    const got = yield* talk("md5sum /no /missing ../a", vfs, []);
    assert.deepEqual(got, {
      output: "900150983cd24fb0d6963f7d28e17f72  ../a\n",
      status: 1,
      stderr: "md5sum: /no: Permission denied\nmd5sum: /missing: No such file or directory\n",
    });
    assert.deepEqual(vfs.commands, [{ command: "md5sum /no /missing ../a", ok: false }]);
  }));

it("CMD-03: cd does nothing and pwd prints the start directory", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs();
    assert.deepEqual(yield* talk("cd /x", vfs, []), { output: "", status: 0, stderr: "" });
    assert.deepEqual(yield* talk("pwd", vfs, []), { output: "/\n", status: 0, stderr: "" });
    assert.deepEqual(vfs.commands, [{ command: "cd /x", ok: true }, { command: "pwd", ok: true }]);
  }));

it("CMD-04: sluice-copy copies a file, into a folder, and the contents of a folder", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/a": "1", "/d/x": "2", "/d/y": "3", "/t": "<dir>" });
    assert.equal((yield* talk("sluice-copy /a /b", vfs, [])).status, 0);
    assert.equal((yield* talk("sftpgo-copy /a /t/", vfs, [])).status, 0);
    assert.equal((yield* talk("sluice-copy /d/ /t", vfs, [])).status, 0);
    const copied = tree(vfs);
    assert.deepEqual([copied["/b"], copied["/t/a"], copied["/t/x"], copied["/t/y"]], [
      "1",
      "1",
      "2",
      "3",
    ]);
  }));

it("CMD-05: sluice-remove removes a tree", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/d/e/a": "1", "/b": "2" });
    assert.equal((yield* talk("sluice-remove /d", vfs, [])).status, 0);
    assert.deepEqual(tree(vfs), { "/b": "2" });
    const got = yield* talk("sftpgo-remove /d", vfs, []);
    assert.equal(got.stderr, "sftpgo-remove: /d: No such file or directory\n");
    assert.equal(got.status, 1);
  }));

const misused = [
  "sluice-copy /a",
  "sluice-copy /a /b /c",
  "sluice-remove",
  "pwd x",
  "md5sum -c /a",
];
for (const line of misused) {
  it(`"${line}" is wrong usage and exits 2`, () =>
    Effect.gen(function* () {
      const got = yield* talk(line, memoryVfs({ "/a": "1" }), []);
      assert.deepEqual([got.status, got.output], [2, ""]);
      assert.match(got.stderr, /^usage: /);
    }));
}

for (const line of ["scp", "scp /a", "scp -t", "scp -t /a /b", "scp -t -f /a", "scp --evil -t /"]) {
  it(`"${line}" is wrong usage and exits 2`, () =>
    Effect.gen(function* () {
      const vfs = memoryVfs();
      const got = yield* talk(line, vfs, []);
      assert.deepEqual([got.status, got.output, vfs.commands], [2, "", []]);
      assert.match(got.stderr, /^scp: .+\n$/);
    }));
}

it("SCP-01: scp ignores other short flags and takes a path after --", () =>
  Effect.gen(function* () {
    const vfs = memoryVfs({ "/-t": "x" });
    const got = yield* talk("scp -v -q -E -f -- -t", vfs, ["\0".repeat(9)]);
    assert.equal(got.output, "C0640 1 -t\nx\0");
  }));
