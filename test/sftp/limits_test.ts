import { Effect, Exit } from "effect";
import assert from "node:assert/strict";
import { code, limits, packet } from "../../adapters/ssh/sftp/protocol.ts";
import { it } from "../harness.ts";
import { connect } from "./client.ts";
import { treeVfs } from "./tree_vfs.ts";
import { bytes, join, Reader, text, u32, u64 } from "./wire.ts";

const READ = 1, WRITE = 2, CREAT = 8;

it("SECURITY 6 item 16: READ of 2^32-1 bytes is clamped to 256 KiB", () =>
  Effect.gen(function* () {
    const vfs = treeVfs({ "/big": new Uint8Array(1 << 20) });
    const c = yield* connect(vfs);
    const reply = yield* Effect.promise(async () =>
      c.ask(packet.read, await c.open("/big", READ), u64(0), u32(0xffffffff))
    );
    assert.equal(new Reader(reply.body).u32(), 256 * 1024);
  }));

it("SECURITY 6 item 16: offsets of 2^53 and 2^63 end the file or fail, and the session lives", () =>
  Effect.gen(function* () {
    const vfs = treeVfs({ "/f": "x" });
    const c = yield* connect(vfs);
    yield* Effect.promise(async () => {
      const handle = await c.open("/f", READ | WRITE);
      for (const offset of [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
        assert.equal((await c.ask(packet.read, handle, u64(offset), u32(9))).code, code.eof);
        assert.equal(
          (await c.ask(packet.write, handle, u64(offset), text("y"))).code,
          code.failure,
        );
        assert.equal(
          (await c.ask(packet.setstat, text("/f"), u32(1), u64(offset))).code,
          code.failure,
        );
      }
      const edge = await c.ask(packet.write, handle, u64(2n ** 53n - 1n), text("y"));
      assert.equal(edge.code, code.failure);
      assert.equal((await c.ask(packet.read, handle, u64(2n ** 53n - 1n), u32(9))).code, code.eof);
      assert.equal((await c.ask(packet.close, handle)).code, code.ok);
    });
  }));

it("SECURITY 6 item 16: requests on closed, foreign and senseless handles fail", () =>
  Effect.gen(function* () {
    const vfs = treeVfs({ "/f": "x", "/g": "y" });
    const c = yield* connect(vfs);
    const other = yield* connect(vfs);
    yield* Effect.promise(async () => {
      const handle = await c.open("/f", READ);
      const foreign = await other.open("/g", READ);
      await c.ask(packet.close, handle);
      const reused = await c.open("/g", READ);
      assert.notDeepEqual(reused, handle, "a slot that is used anew has another handle");
      const odd = [handle, foreign, text(""), text("h"), bytes(new Uint8Array(300))];
      for (const each of odd) {
        for (
          const [type, ...fields] of [
            [packet.read, u64(0), u32(1)],
            [packet.write, u64(0), text("z")],
            [packet.fstat],
            [packet.fsetstat, u32(0)],
            [packet.readdir],
            [packet.close],
          ] as const
        ) {
          const reply = await c.ask(type, each, ...fields);
          assert.deepEqual([reply.code, reply.message], [code.failure, "No such handle"]);
        }
      }
      assert.equal((await c.ask(packet.readdir, reused)).message, "The handle is of a file");
      const dir = (await c.ask(packet.opendir, text("/"))).body;
      const reply = await c.ask(packet.read, dir, u64(0), u32(1));
      assert.equal(reply.message, "The handle is of a directory");
    });
  }));

it("SECURITY 6 item 16: 5,000 OPENs stop at the limit with a text, and the session lives", () =>
  Effect.gen(function* () {
    const vfs = treeVfs({ "/f": "x" });
    const c = yield* connect(vfs, { maxHandles: 100 });
    yield* Effect.promise(async () => {
      const asked = Array.from(
        { length: 5000 },
        () => c.ask(packet.open, text("/f"), u32(READ), u32(0)),
      );
      const replies = await Promise.all(asked);
      const opened = replies.filter((reply) => reply.type === packet.handle);
      assert.equal(opened.length, 100);
      assert.equal(replies[100]?.code, code.failure);
      assert.match(replies[100]?.message ?? "", /Too many open handles \(the limit is 100\)/);
      assert.equal(vfs.openCount, 100);
      assert.equal((await c.ask(packet.opendir, text("/"))).code, code.failure);
      await c.ask(packet.close, opened[0]!.body);
      assert.equal((await c.ask(packet.opendir, text("/"))).type, packet.handle);
    });
    c.end();
    yield* c.exit;
    assert.equal(vfs.openCount, 0);
  }));

it("a refused OPEN gives its slot back", () =>
  Effect.gen(function* () {
    const c = yield* connect(treeVfs({ "/f": "x" }), { maxHandles: 1 });
    yield* Effect.promise(async () => {
      for (let i = 0; i < 5; i++) {
        const reply = await c.ask(packet.open, text("/no"), u32(READ), u32(0));
        assert.equal(reply.code, code.noSuchFile);
      }
      await c.open("/f", READ);
    });
  }));

for (const length of [0, 0x8000_0000, 300 * 1024, limits.packet + 1, 0xffff_ffff]) {
  it(`SECURITY 6 item 17: a packet of ${length} bytes ends the connection`, () =>
    Effect.gen(function* () {
      const vfs = treeVfs();
      const c = yield* connect(vfs);
      yield* Effect.promise(() => c.open("/up", WRITE | CREAT));
      c.raw(join(u32(length), new Uint8Array(16)));
      assert.deepEqual(yield* c.exit, Exit.succeed(undefined));
      assert.deepEqual(c.breaches, [`SFTP: packet of ${length} bytes`]);
      assert.deepEqual([vfs.openCount, vfs.aborted], [0, 1]);
    }));
}

it("SECURITY 6 item 17: unknown requests are unsupported, and the session lives", () =>
  Effect.gen(function* () {
    const c = yield* connect(treeVfs());
    yield* Effect.promise(async () => {
      for (const type of [0, 2, 21, 99, packet.status, packet.data, packet.extendedReply, 255]) {
        assert.equal((await c.ask(type, text("x"))).code, code.unsupported);
      }
      assert.equal((await c.extended("nobody@example.org", text("x"))).code, code.unsupported);
      assert.equal((await c.ask(packet.stat, text("/"))).type, packet.attrs);
    });
  }));

it("a body that is cut short is a BAD_MESSAGE for every request, and the session lives", () =>
  Effect.gen(function* () {
    const c = yield* connect(treeVfs({ "/f": "x" }));
    yield* Effect.promise(async () => {
      for (let type = packet.open as number; type <= packet.symlink; type++) {
        assert.equal((await c.ask(type)).code, code.badMessage, `type ${type}`);
        assert.equal((await c.ask(type, u32(9), u32(0))).code, code.badMessage, `type ${type}`);
      }
      assert.equal((await c.ask(packet.extended)).code, code.badMessage);
      const attributes = join(u32(0x80000000), u32(0xffffffff));
      const reply = await c.ask(packet.setstat, text("/f"), attributes);
      assert.equal(reply.code, code.badMessage);
      assert.equal((await c.ask(packet.stat, text("/f"))).type, packet.attrs);
    });
  }));

it("a request before INIT and a packet without an id end the connection", () =>
  Effect.gen(function* () {
    const before = yield* connect(treeVfs(), { bare: true });
    before.send(packet.stat, text("/"));
    yield* before.exit;
    assert.deepEqual(before.breaches, ["SFTP: no INIT at the start"]);
    const short = yield* connect(treeVfs());
    short.raw(join(u32(3), Uint8Array.of(packet.stat, 0, 0)));
    yield* short.exit;
    assert.deepEqual(short.breaches, ["SFTP: packet without a request id"]);
  }));
