import { Effect } from "effect";
import assert from "node:assert/strict";
import { code, packet } from "../../adapters/ssh/sftp/protocol.ts";
import { InOrder } from "../../adapters/ssh/sftp/in_order.ts";
import { Turns } from "../../adapters/ssh/sftp/turns.ts";
import { it } from "../harness.ts";
import { connect } from "./client.ts";
import { treeVfs } from "./tree_vfs.ts";
import { attrs, Reader, text, u32, u64 } from "./wire.ts";

const READ = 1, WRITE = 2, CREAT = 8;

/** Lets everything that can run do so. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

/** Holds the storage until `open` is called. */
const gate = () => {
  let open = () => {};
  const passed = new Promise<void>((resolve) => open = resolve);
  return { passed, open };
};

Deno.test("Turns lets reads overlap, and writes to ranges that are apart", () => {
  const turns = new Turns(false);
  assert.equal(turns.tryWrite(0, 10), true);
  assert.equal(turns.tryWrite(10, 20), true);
  assert.equal(turns.tryWrite(5, 15), false);
  assert.equal(turns.tryRead(), false);
  turns.leaveWrite();
  turns.leaveWrite();
  assert.equal(turns.tryRead(), true);
  assert.equal(turns.tryRead(), true);
  assert.equal(turns.tryWrite(0, 1), false);
});

Deno.test("Turns keeps the order of what waits", async () => {
  const turns = new Turns(false);
  const log: string[] = [];
  turns.tryWrite(0, 10);
  turns.wait("write", 0, 10, () => log.push("same range"));
  turns.alone().then(() => log.push("alone"));
  assert.equal(turns.tryWrite(90, 99), false, "nothing overtakes a request that waits");
  turns.wait("write", 90, 99, () => log.push("after"));
  await settle();
  assert.deepEqual(log, []);
  turns.leaveWrite();
  await settle();
  assert.deepEqual(log, ["same range"]);
  turns.leaveWrite();
  await settle();
  assert.deepEqual(log, ["same range", "alone"]);
  turns.leaveAlone();
  assert.deepEqual(log, ["same range", "alone", "after"]);
});

Deno.test("Turns runs appends one after the other", () => {
  const turns = new Turns(true);
  assert.equal(turns.tryWrite(0, 1), true);
  assert.equal(turns.tryWrite(1, 2), false);
});

it("a WRITE is acknowledged only when the storage took it, and writes overlap", () =>
  Effect.gen(function* () {
    const vfs = treeVfs();
    const c = yield* connect(vfs);
    yield* Effect.promise(async () => {
      const handle = await c.open("/f", WRITE | CREAT);
      const { passed, open } = gate();
      let started = 0;
      vfs.before = () => (started++, passed);
      let acknowledged = 0;
      const asked = [0, 1, 2].map((at) =>
        c.ask(packet.write, handle, u64(at), text("x")).then(() => acknowledged++)
      );
      await settle();
      assert.deepEqual([started, acknowledged], [3, 0]);
      open();
      await Promise.all(asked);
      assert.equal((await c.ask(packet.close, handle)).code, code.ok);
    });
  }));

it("CLOSE, FSTAT and a rename after it wait for the writes before them, in order", () =>
  Effect.gen(function* () {
    const vfs = treeVfs();
    const c = yield* connect(vfs);
    yield* Effect.promise(async () => {
      const handle = await c.open("/f", WRITE | CREAT);
      const { passed, open } = gate();
      vfs.before = () => passed;
      c.send(packet.write, handle, u64(0), text("12345"));
      const stat = c.ask(packet.fstat, handle);
      const close = c.ask(packet.close, handle);
      const rename = c.ask(packet.rename, text("/f"), text("/g"));
      await settle();
      assert.equal(vfs.nodes.has("/f"), false);
      open();
      assert.equal(attrs(new Reader((await stat).body)).size, 5);
      assert.equal((await close).code, code.ok);
      assert.equal((await rename).code, code.ok);
      assert.equal(vfs.nodes.get("/g")?.bytes.length, 5);
    });
  }));

it("a WRITE does not overtake the FSETSTAT before it, nor a READ the WRITE", () =>
  Effect.gen(function* () {
    const vfs = treeVfs({ "/f": "old content" });
    const c = yield* connect(vfs);
    yield* Effect.promise(async () => {
      const handle = await c.open("/f", READ | WRITE);
      const ids = [
        c.send(packet.fsetstat, handle, u32(1), u64(0)),
        c.send(packet.write, handle, u64(0), text("aaaa")),
        c.send(packet.write, handle, u64(2), text("bbbb")),
      ];
      const read = await c.ask(packet.read, handle, u64(0), u32(99));
      assert.equal(new Reader(read.body).text(), "aabbbb");
      for (const id of ids) assert.equal((await c.answer(id)).code, code.ok);
    });
  }));

it("end of input answers everything that was asked, then ends with status 0 (SECURITY 3.1 item 25)", () =>
  Effect.gen(function* () {
    const vfs = treeVfs();
    const c = yield* connect(vfs);
    const { passed, open } = gate();
    const handle = yield* Effect.promise(() => c.open("/f", WRITE | CREAT));
    vfs.before = () => passed;
    const write = c.ask(packet.write, handle, u64(0), text("late"));
    const close = c.ask(packet.close, handle);
    c.end();
    yield* Effect.promise(settle);
    open();
    assert.equal((yield* Effect.promise(() => close)).code, code.ok);
    assert.equal((yield* Effect.promise(() => write)).code, code.ok);
    assert.equal((yield* c.exit)._tag, "Success");
    assert.equal(new TextDecoder().decode(vfs.nodes.get("/f")?.bytes), "late");
  }));

it("a lost connection aborts uploads and closes every handle (SECURITY 3.1 item 19)", () =>
  Effect.gen(function* () {
    const vfs = treeVfs({ "/d/f": "x" });
    const c = yield* connect(vfs);
    yield* Effect.promise(async () => {
      const up = await c.open("/up", WRITE | CREAT);
      await c.ask(packet.write, up, u64(0), text("half"));
      await c.open("/d/f", READ);
      await c.ask(packet.opendir, text("/d"));
    });
    assert.equal(vfs.openCount, 3);
    c.cut();
    yield* c.exit;
    assert.deepEqual([vfs.openCount, vfs.aborted, vfs.nodes.has("/up")], [0, 1, false]);
  }));

it("a handle is let go only when the write under way is done", () =>
  Effect.gen(function* () {
    const vfs = treeVfs();
    const c = yield* connect(vfs);
    const { passed, open } = gate();
    const handle = yield* Effect.promise(() => c.open("/up", WRITE | CREAT));
    vfs.before = () => passed;
    c.send(packet.write, handle, u64(0), text("x"));
    yield* Effect.promise(settle);
    c.cut();
    yield* Effect.promise(settle);
    assert.equal(vfs.openCount, 1);
    open();
    yield* c.exit;
    assert.deepEqual([vfs.openCount, vfs.aborted], [0, 1]);
  }));

it("a defect of a handle answers a failure without its text and ends the session", () =>
  Effect.gen(function* () {
    const vfs = treeVfs({ "/f": "x" });
    const c = yield* connect(vfs);
    const handle = yield* Effect.promise(() => c.open("/f", READ));
    vfs.before = () => {
      throw new Error("a secret of the inside");
    };
    c.send(packet.read, handle, u64(0), u32(1));
    const exit = yield* c.exit;
    assert.equal(exit._tag, "Failure");
    assert.equal(vfs.openCount, 0);
  }));

it("a control operation that dies or finds the actor busy is a FAILURE without details", () =>
  Effect.gen(function* () {
    const vfs = treeVfs();
    vfs.stat = () => Effect.die(new Error("a secret of the inside"));
    const c = yield* connect(vfs);
    const reply = yield* Effect.promise(() => c.ask(packet.stat, text("/")));
    assert.deepEqual([reply.code, reply.message], [code.failure, "Internal error"]);
  }));

Deno.test("InOrder holds an answer back until all before it have answered", () => {
  const order = new InOrder();
  const log: number[] = [];
  const places = [order.enter(), order.enter(), order.enter(), order.enter()];
  for (const at of [2, 1, 0, 3]) order.leave(places[at]!, () => log.push(at));
  assert.deepEqual(log, [0, 1, 2, 3]);
});
