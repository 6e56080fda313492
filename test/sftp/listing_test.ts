import { Effect, Stream } from "effect";
import assert from "node:assert/strict";
import { longname, modeText } from "../../adapters/ssh/sftp/longname.ts";
import { code, limits, packet } from "../../adapters/ssh/sftp/protocol.ts";
import { FsError } from "../../src/errors.ts";
import type { Entry } from "../../src/model/entry.ts";
import { it } from "../harness.ts";
import { connect } from "./client.ts";
import { treeVfs } from "./tree_vfs.ts";
import { names, text } from "./wire.ts";

it("SFTP-10: 20,000 entries come once each, after . and .., in replies of 32,000 bytes and 250 names", () =>
  Effect.gen(function* () {
    const wanted = Array.from({ length: 20_000 }, (_, i) => `file-${i}-${"é".repeat(i % 40)}`);
    const vfs = treeVfs(Object.fromEntries(wanted.map((name) => [`/d/${name}`, ""])));
    const c = yield* connect(vfs);
    const seen: string[] = [];
    yield* Effect.promise(async () => {
      const handle = (await c.ask(packet.opendir, text("/d"))).body;
      for (;;) {
        // Two at a time: pipelined READDIRs lose and repeat nothing.
        const pair = [c.send(packet.readdir, handle), c.send(packet.readdir, handle)];
        const replies = [await c.answer(pair[0]!), await c.answer(pair[1]!)];
        for (const reply of replies) {
          if (reply.type !== packet.name) continue;
          assert.ok(reply.body.length + 9 <= limits.namesReply, `${reply.body.length} bytes`);
          const page = names(reply.body);
          assert.ok(page.length <= 250);
          seen.push(...page.map(({ name }) => name));
        }
        if (replies[1]?.code === code.eof) break;
      }
      assert.equal((await c.ask(packet.readdir, handle)).code, code.eof);
      assert.equal((await c.ask(packet.close, handle)).code, code.ok);
    });
    assert.deepEqual(seen.slice(0, 2), [".", ".."]);
    assert.deepEqual(seen.slice(2).toSorted(), wanted.toSorted());
    assert.equal(vfs.openCount, 0);
  }));

it("OPENDIR pulls one page and READDIR the rest as it is asked for", () =>
  Effect.gen(function* () {
    const vfs = treeVfs();
    let pulled = 0;
    const entry: Entry = { name: "x", kind: "file", size: 0, mtime: 0 };
    vfs.list = () =>
      Stream.range(1, 100_000).pipe(
        Stream.rechunk(100),
        Stream.map((i) => (pulled++, { ...entry, name: `n${i}` })),
      );
    const c = yield* connect(vfs);
    yield* Effect.promise(async () => {
      const handle = (await c.ask(packet.opendir, text("/"))).body;
      const first = pulled;
      assert.ok(first <= 200, `${first} pulled by OPENDIR`);
      await c.ask(packet.readdir, handle);
      assert.ok(pulled <= 600, `${pulled} pulled for one page`);
      await c.ask(packet.close, handle);
    });
    assert.ok(pulled <= 600);
  }));

it("OPENDIR refuses what is missing, forbidden or no directory", () =>
  Effect.gen(function* () {
    const vfs = treeVfs({ "/f": "x", "/secret/f": "x" });
    vfs.deny = (op, path) => op === "list" && path === "/secret" ? "Denied" : undefined;
    const c = yield* connect(vfs);
    yield* Effect.promise(async () => {
      assert.equal((await c.ask(packet.opendir, text("/no"))).code, code.noSuchFile);
      assert.equal((await c.ask(packet.opendir, text("/f"))).message, "Not a directory");
      assert.equal((await c.ask(packet.opendir, text("/secret"))).code, code.permissionDenied);
    });
    assert.equal(vfs.openCount, 0);
  }));

it("an empty directory lists . and .. and then ends", () =>
  Effect.gen(function* () {
    const c = yield* connect(treeVfs());
    yield* Effect.promise(async () => {
      const handle = (await c.ask(packet.opendir, text("/"))).body;
      const page = names((await c.ask(packet.readdir, handle)).body);
      assert.deepEqual(page.map(({ name }) => name), [".", ".."]);
      assert.equal((await c.ask(packet.readdir, handle)).code, code.eof);
    });
  }));

it("a listing that breaks off says so, after what came before, and never looks whole", () =>
  Effect.gen(function* () {
    const vfs = treeVfs();
    const entry: Entry = { name: "first", kind: "file", size: 0, mtime: 0 };
    const gone = new FsError({ reason: "Unavailable", op: "list", path: "/" });
    vfs.list = () => Stream.concat(Stream.make(entry), Stream.fail(gone));
    const c = yield* connect(vfs);
    yield* Effect.promise(async () => {
      const handle = (await c.ask(packet.opendir, text("/"))).body;
      assert.equal(names((await c.ask(packet.readdir, handle)).body).length, 3);
      for (let i = 0; i < 2; i++) {
        const reply = await c.ask(packet.readdir, handle);
        assert.match(reply.message, /Storage unavailable/);
      }
    });
  }));

Deno.test("longname() has the columns of OpenSSH's server", () => {
  const now = Date.UTC(2026, 10, 23, 12, 0);
  const file: Entry = {
    name: "a b.txt",
    kind: "file",
    size: 1234,
    mtime: Date.UTC(2026, 10, 3, 4, 5),
    mode: 0o640,
    uid: 1000,
    gid: 100,
    links: 2,
  };
  assert.equal(
    longname(file, now),
    "-rw-r-----   2 1000     100          1234 Nov  3 04:05 a b.txt",
  );
  const old: Entry = { name: "d\n", kind: "dir", size: 0, mtime: 0 };
  assert.equal(
    longname(old, now),
    "drwxr-xr-x   1 0        0               0 Jan  1  1970 d\\x0a",
  );
});

Deno.test("modeText() shows type and special bits", () => {
  const entry = { name: "x", size: 0, mtime: 0 };
  assert.equal(modeText({ ...entry, kind: "file", mode: 0o4755 }), "-rwsr-xr-x");
  assert.equal(modeText({ ...entry, kind: "file", mode: 0o2644 }), "-rw-r-Sr--");
  assert.equal(modeText({ ...entry, kind: "dir", mode: 0o1777 }), "drwxrwxrwt");
  assert.equal(modeText({ ...entry, kind: "symlink" }), "lrwxrwxrwx");
});
