import assert from "node:assert/strict";
import { Effect } from "effect";
import { Budget } from "../../adapters/ssh/budget.ts";
import { SshChannel } from "../../adapters/ssh/channel.ts";
import { Message } from "../../adapters/ssh/wire.ts";

/** A channel whose window takes 1000 bytes, and the types of what it sent. */
const setUp = (patience: number) => {
  const sent: number[] = [];
  const closed = Promise.withResolvers<void>();
  const budget = new Budget();
  const link = {
    budget,
    send: (payload: Uint8Array) => {
      sent.push(payload[0] ?? -1);
      if (payload[0] === Message.ChannelClose) closed.resolve();
    },
    sendData: () => sent.push(Message.ChannelData),
    gone: () => {},
  };
  const channel = new SshChannel(link, { local: 0, remote: 0 }, {
    window: 1000,
    outWindow: 1000,
    maxPacket: 32_768,
    patience,
  });
  channel.started = true;
  return { channel, sent, budget, closed: closed.promise };
};

Deno.test("SshChannel closes when a client ended its input and keeps the window shut", async () => {
  const { channel, sent, budget, closed } = setUp(1);
  channel.write(new Uint8Array(5000));
  channel.receiveEof();
  await closed;
  assert.deepEqual(sent, [Message.ChannelData, Message.ChannelClose]);
  assert.equal(budget.bytes, 0, "what was queued is given back");
  await assert.rejects(channel.write(new Uint8Array(1)), "the engine learns of it");
  await Effect.runPromise(channel.close(0));
  channel.receiveClose();
  assert.equal(sent.length, 2, "closed once");
});

Deno.test("SshChannel sends the rest when a client that ended its input opens the window", async () => {
  const { channel, sent, closed } = setUp(60_000);
  channel.write(new Uint8Array(5000));
  channel.receiveEof();
  const done = Effect.runPromise(channel.close(0));
  await Promise.resolve();
  channel.adjust(10_000);
  await Promise.all([done, closed]);
  const { ChannelData, ChannelRequest, ChannelEof, ChannelClose } = Message;
  assert.deepEqual(sent, [ChannelData, ChannelData, ChannelRequest, ChannelEof, ChannelClose]);
});
