import assert from "node:assert/strict";
import type { Socket } from "../../actors/socket.ts";
import { Budget } from "../../adapters/ssh/budget.ts";
import { borrow, giveBack } from "../../adapters/ssh/memory.ts";
import { Sender } from "../../adapters/ssh/sender.ts";

const KiB = 1024;

/** A sender over a socket that keeps its writes until they are let go. */
const setUp = () => {
  const writes: Array<{ bytes: Uint8Array; sent: () => void }> = [];
  const socket = {
    write: (bytes: Uint8Array, sent: () => void) => void writes.push({ bytes, sent }),
  } as unknown as Socket;
  const budget = new Budget();
  return { writes, budget, sender: new Sender(socket, budget, () => {}) };
};

Deno.test("Sender: what one turn made leaves in one write, in order", async () => {
  const { writes, sender, budget } = setUp();
  for (let i = 0; i < 5; i++) {
    if (i % 2 === 0) sender.put(new Uint8Array(1000).fill(i));
    else {
      const { memory, at } = sender.room(1000);
      memory.fill(i, at, at + 1000);
      sender.made(1000);
    }
  }
  assert.equal(writes.length, 0);
  assert.equal(budget.bytes, 5000);
  await Promise.resolve();
  assert.equal(writes.length, 1);
  const { bytes, sent } = writes[0]!;
  assert.ok(bytes.length === 5000 && bytes.every((byte, at) => byte === Math.floor(at / 1000)));
  assert.equal(sender.sending, 5000);
  sent();
  assert.deepEqual([sender.sending, budget.bytes], [0, 0]);
});

Deno.test("Sender: nothing that the socket has not sent is overwritten", async () => {
  const { writes, sender } = setUp();
  for (let i = 0; i < 40; i++) {
    sender.put(new Uint8Array(33 * KiB).fill(i));
    if (i % 3 === 0) await Promise.resolve();
  }
  sender.flush();
  let i = 0;
  for (const { bytes } of writes) {
    for (let at = 0; at < bytes.length; at += 33 * KiB) {
      assert.equal(bytes[at], i);
      assert.equal(bytes[at + 33 * KiB - 1], i);
      i++;
    }
  }
  assert.equal(i, 40);
  for (const { sent } of writes) sent();
});

Deno.test("Sender: memory goes back when all of it was sent, and is used again", async () => {
  const { writes, sender } = setUp();
  sender.put(new Uint8Array(10));
  await Promise.resolve();
  const first = writes[0]!.bytes.buffer;
  sender.put(new Uint8Array(10));
  sender.flush();
  assert.equal(writes[1]!.bytes.buffer, first, "one piece of memory holds many writes");
  writes[0]!.sent();
  const other = borrow(256 * KiB);
  assert.notEqual(other.buffer, first, "the second write is under way");
  writes[1]!.sent();
  const again = borrow(256 * KiB);
  assert.equal(again.buffer, first, "an idle connection holds none");
  giveBack(other);
  giveBack(again);
});

Deno.test("giveBack() ignores what was not lent, and a second return", () => {
  giveBack(new Uint8Array(40 * KiB));
  const lent = borrow(100 * KiB);
  giveBack(lent.subarray(5));
  giveBack(lent);
  const one = borrow(100 * KiB);
  const two = borrow(100 * KiB);
  assert.notEqual(one.buffer, two.buffer);
  assert.deepEqual([one.length, borrow(10).buffer.byteLength], [100 * KiB, 10]);
});
