import assert from "node:assert/strict";
import { Effect } from "effect";
import { admit, inPlaceSlots, shareMemory } from "../../src/participant.ts";
import { InPlace } from "../../src/vfs/in_place.ts";
import { Presence } from "../../src/vfs/presence.ts";
import { Uploads } from "../../src/vfs/uploads.ts";
import { it } from "../harness.ts";

const two = () => {
  const memory = shareMemory(3);
  return { hub: admit(memory, 0), one: admit(memory, 1), other: admit(memory, 2) };
};
const upload = (size?: number) => ({
  started: 1,
  size: () => 7,
  truncate: () => Promise.resolve(),
  remember: () => {},
  ...(size === undefined ? {} : { counted: { size } }),
});

it("InPlace tells one size to every thread, that of the first who entered", () =>
  Effect.sync(() => {
    const { one, other } = two();
    const [a, b] = [new InPlace(one), new InPlace(other)];
    assert.equal(b.any, false);
    assert.ok(a.enter("f", 10));
    assert.ok(b.enter("f", 99));
    assert.deepEqual(b.counted("f"), { size: 10 });
    b.recount("f", undefined);
    assert.deepEqual(a.counted("f"), { size: undefined });
    a.recount("f", 0);
    assert.deepEqual(b.counted("f"), { size: 0 });
    assert.equal(a.counted("g"), undefined);
    a.leave("f");
    assert.deepEqual(a.counted("f"), { size: 0 });
    b.leave("f");
    assert.equal(a.counted("f"), undefined);
    assert.equal(a.any, false);
    assert.ok(b.enter("f", undefined));
    assert.deepEqual(a.counted("f"), { size: undefined });
  }));

it("InPlace.dismiss() forgets a dead thread's uploads and no other's", () =>
  Effect.sync(() => {
    const { hub, one, other } = two();
    const [a, b] = [new InPlace(one), new InPlace(other)];
    for (const name of ["f", "g"]) assert.ok(a.enter(name, 1) && a.enter(name, 1));
    assert.ok(b.enter("g", 1));
    new InPlace(hub).dismiss(one.index, one.life);
    assert.equal(b.counted("f"), undefined);
    assert.deepEqual(b.counted("g"), { size: 1 });
    b.leave("g");
    assert.equal(b.any, false);
  }));

it("InPlace takes thousands of files and refuses rather than mix two up", () =>
  Effect.sync(() => {
    const table = new InPlace(two().one);
    let entered = 0;
    for (let i = 0; i < inPlaceSlots * 1.2; i++) if (table.enter(`f${i}`, i)) entered++;
    assert.ok(entered > inPlaceSlots / 2 && entered <= inPlaceSlots, `${entered}`);
    for (let i = 0; i < 4000; i++) assert.deepEqual(table.counted(`f${i}`), { size: i });
  }));

it("Presence tells other threads of uploads at a path and above it, until they are over", () =>
  Effect.sync(() => {
    const { hub, one, other } = two();
    const [a, b] = [new Presence(one), new Presence(other)];
    const gone = a.appear("local:/home", "/dir/sub/file");
    for (const key of ["/", "/dir", "/dir/sub", "/dir/sub/file"]) {
      assert.ok(b.elsewhere("local:/home", key), key);
      assert.ok(!a.elsewhere("local:/home", key), key);
    }
    for (const key of ["/dir2", "/dir/su", "/dir/sub/file2", "/sub"]) {
      assert.ok(!b.elsewhere("local:/home", key), key);
    }
    assert.ok(!b.elsewhere("local:/other", "/dir"));
    gone();
    assert.ok(!b.elsewhere("local:/home", "/"));
    a.appear("local:/home", "/f");
    new Presence(hub).dismiss(one.index);
    assert.ok(!b.elsewhere("local:/home", "/f"));
  }));

it("Uploads.enter() of a file in place takes the size that another thread counts", () =>
  Effect.sync(() => {
    const { one, other } = two();
    const [a, b] = [new Uploads(one), new Uploads(other)];
    const leave = a.enter("s", "/f", upload(100));
    assert.equal(b.counted("s", "/f", 250), 100);
    const out = b.enter("s", "/f", upload(250));
    b.recount("s", "/f", 300);
    assert.equal(a.counted("s", "/f", 999), 300);
    leave();
    out();
    assert.equal(a.counted("s", "/f", 999), 999);
    const staged = a.enter("s", "/f", upload());
    assert.equal(b.counted("s", "/f", 5), 5);
    assert.ok(b.perhapsElsewhere("s", "/f"));
    staged();
    assert.ok(!b.perhapsElsewhere("s", "/f"));
  }));
