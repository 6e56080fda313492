import { Effect } from "effect";
import assert from "node:assert/strict";
import { limits, packet } from "../../adapters/ssh/sftp/protocol.ts";
import { it } from "../harness.ts";
import { connect } from "./client.ts";
import { treeVfs } from "./tree_vfs.ts";
import { bytes, join, Reader, text, u32, u64 } from "./wire.ts";

const READ = 1, WRITE = 2, CREAT = 8;
const MiB = 1024 * 1024;

/** Lets everything that can run do so. */
const settle = async () => {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setTimeout(resolve, 0));
};

it("SECURITY 3.1 item 17: a client that asks and never reads holds at most 2.5 MiB, then gets all", () =>
  Effect.gen(function* () {
    const vfs = treeVfs({ "/big": new Uint8Array(MiB) });
    let allocated = 0;
    vfs.before = (_op, _offset, length) => void (allocated += length);
    const c = yield* connect(vfs);
    yield* Effect.promise(async () => {
      const handle = await c.open("/big", READ);
      c.hold(true);
      const ids = Array.from(
        { length: 1000 },
        () => c.send(packet.read, handle, u64(0), u32(256 * 1024)),
      );
      await settle();
      const bound = limits.outgoingHigh + limits.read + 64 * 1024;
      assert.ok(allocated <= bound, `${allocated} bytes read ahead`);
      assert.ok(c.channel.backlog <= bound, `${c.channel.backlog} bytes written`);
      assert.ok(c.unread() > 900, "the rest stays with the client");
      c.hold(false);
      for (const id of ids) {
        assert.equal(new Reader((await c.answer(id)).body).u32(), 256 * 1024);
      }
    });
    c.end();
    yield* c.exit;
    assert.equal(vfs.openCount, 0);
  }));

it("SECURITY 3.1 item 16: WRITEs that the storage does not take stop the reading at 4 MiB", () =>
  Effect.gen(function* () {
    const vfs = treeVfs();
    const c = yield* connect(vfs);
    yield* Effect.promise(async () => {
      const handle = await c.open("/up", WRITE | CREAT);
      let open = () => {};
      const gate = new Promise<void>((resolve) => open = resolve);
      let taken = 0;
      vfs.before = (_op, _offset, length) => {
        taken += length;
        return gate;
      };
      const payload = new Uint8Array(32 * 1024);
      const ids = Array.from(
        { length: 256 },
        (_, i) => c.send(packet.write, handle, u64(i * payload.length), bytes(payload)),
      );
      await settle();
      assert.ok(taken <= 4 * MiB + payload.length, `${taken} bytes taken`);
      assert.ok(c.unread() > 100);
      open();
      for (const id of ids) assert.equal((await c.answer(id)).code, 0);
      assert.equal((await c.ask(packet.close, handle)).code, 0);
      assert.equal(vfs.nodes.get("/up")?.bytes.length, 256 * payload.length);
    });
  }));

it("listings and paths that are asked for and never read are bounded too", () =>
  Effect.gen(function* () {
    const files = Object.fromEntries(
      Array.from({ length: 5000 }, (_, i) => [`/d/${"n".repeat(200)}${i}`, ""]),
    );
    const c = yield* connect(treeVfs(files));
    yield* Effect.promise(async () => {
      c.hold(true);
      const long = "/" + Array.from({ length: 15 }, () => "p".repeat(250)).join("/");
      for (let i = 0; i < 300; i++) c.send(packet.opendir, text("/d"));
      for (let i = 0; i < 3000; i++) c.send(packet.symlink, text(long), text(`/l${i}`));
      for (let i = 0; i < 3000; i++) c.send(packet.readlink, text(`/l${i}`));
      await settle();
      assert.ok(c.channel.backlog < limits.heldHigh, `${c.channel.backlog} bytes written`);
      c.hold(false);
      assert.ok((await c.answer(6300)).type !== 0);
    });
  }));

it("requests that wait are bounded in number", () =>
  Effect.gen(function* () {
    const vfs = treeVfs({ "/f": "x" });
    let open = () => {};
    const gate = new Promise<void>((resolve) => open = resolve);
    const c = yield* connect(vfs);
    yield* Effect.promise(async () => {
      const handle = await c.open("/f", READ);
      vfs.before = () => gate;
      const ids = Array.from({ length: 3000 }, () => c.send(packet.read, handle, u64(0), u32(1)));
      await settle();
      assert.equal(c.unread(), 3000 - limits.requests - 1, "one more is taken and held");
      open();
      for (const id of ids) assert.equal((await c.answer(id)).type, packet.data);
    });
  }));

it("READs held back by an FSTAT on the same file do not block the FSTAT", () =>
  Effect.gen(function* () {
    const c = yield* connect(treeVfs({ "/big": new Uint8Array(MiB) }));
    yield* Effect.promise(async () => {
      const handle = await c.open("/big", READ);
      const ids = [];
      for (let i = 0; i < 400; i++) {
        ids.push(c.send(packet.read, handle, u64(0), u32(256 * 1024)));
        ids.push(c.send(packet.fstat, handle));
      }
      for (const id of ids) await c.answer(id);
    });
  }));

it("small replies of one turn leave in one write", () =>
  Effect.gen(function* () {
    const vfs = treeVfs();
    const c = yield* connect(vfs);
    yield* Effect.promise(async () => {
      const handle = await c.open("/f", WRITE | CREAT);
      const request = (id: number) => {
        const body = join(Uint8Array.of(packet.write), u32(id), handle, u64(id), text("x"));
        return bytes(body);
      };
      const before = c.channel.writes;
      c.raw(join(...Array.from({ length: 200 }, (_, i) => request(1000 + i))));
      for (let i = 0; i < 200; i++) assert.equal((await c.answer(1000 + i)).code, 0);
      assert.ok(c.channel.writes - before <= 3, `${c.channel.writes - before} writes`);
    });
  }));

it("WRITEs that follow one another are copied once, into the same memory", () =>
  Effect.gen(function* () {
    const vfs = treeVfs();
    const c = yield* connect(vfs);
    const open = vfs.open;
    const seen = new Set<ArrayBufferLike>();
    vfs.open = (path, options) =>
      Effect.map(open(path, options), (handle) => ({
        ...handle,
        write: (offset, chunk) => {
          seen.add(chunk.buffer);
          return handle.write(offset, chunk);
        },
      }));
    yield* Effect.promise(async () => {
      const handle = await c.open("/f", WRITE | CREAT);
      for (let i = 0; i < 10; i++) {
        const payload = new Uint8Array(32 * 1024).fill(i);
        const sent = c.ask(packet.write, handle, u64(i * payload.length), bytes(payload));
        assert.equal((await sent).code, 0);
      }
      assert.equal(seen.size, 1);
      assert.equal((await c.ask(packet.close, handle)).code, 0);
      const stored = vfs.nodes.get("/f")?.bytes;
      const wrong = stored?.findIndex((byte, at) => byte !== Math.floor(at / (32 * 1024)));
      assert.equal(wrong, -1);
    });
  }));
