import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Deferred, Effect } from "effect";
import { HIGH } from "../../adapters/ssh/budget.ts";
import type { Engine } from "../../adapters/ssh/engine.ts";
import { Fields, Message, packet } from "../../adapters/ssh/wire.ts";
import { live } from "../harness.ts";
import { exec, logIn, openChannel, rawClient } from "./raw_client.ts";
import { sshd } from "./support.ts";

const later = <A>(promise: Promise<A>) => Effect.promise(() => promise);
const engine =
  (run: (channel: Parameters<Engine>[0]) => Promise<number | undefined>): Engine => (channel) =>
    Effect.promise(() => run(channel).catch(() => undefined));

live(
  "an exec channel carries data both ways and ends with its exit status",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const client = yield* rawClient(server.port);
      yield* later(logIn(client));
      const { remote } = yield* later(exec(client, "echo"));
      client.send(packet(Message.ChannelData, remote, "hello"));
      const data = new Fields(yield* later(client.next()), 1);
      assert.deepEqual([data.uint32(), data.text()], [0, "hello"]);
      client.send(packet(Message.ChannelEof, remote));
      const status = new Fields(yield* later(client.next()), 1);
      status.uint32();
      assert.deepEqual([status.text(), status.flag(), status.uint32()], ["exit-status", false, 7]);
      assert.equal((yield* later(client.next()))[0], Message.ChannelEof);
      assert.equal((yield* later(client.next()))[0], Message.ChannelClose);
      client.send(packet(Message.ChannelClose, remote));
      yield* later(exec(client, "echo"));
    }),
);

live(
  "SECURITY 3.1 (16): the window is given back only for what the engine has read",
  () =>
    Effect.gen(function* () {
      const go = yield* Deferred.make<void>();
      let read = 0;
      const slow: Engine = (channel) =>
        Effect.andThen(
          Deferred.await(go),
          Effect.promise(async () => {
            for (;;) {
              const chunk = await channel.read();
              if (!chunk) return 0;
              read += chunk.length;
            }
          }),
        );
      const server = yield* sshd({ engines: { exec: () => slow } });
      const client = yield* rawClient(server.port);
      yield* later(logIn(client));
      const { remote, window } = yield* later(exec(client, "slow"));
      for (let sent = 0; sent < window; sent += 32768) {
        client.send(packet(Message.ChannelData, remote, Buffer.alloc(32768)));
      }
      client.send(packet(Message.GlobalRequest, "keepalive@openssh.com", true));
      assert.equal((yield* later(client.next()))[0], Message.RequestFailure);
      const adjusts = () => client.all.filter((p) => p[0] === Message.ChannelWindowAdjust).length;
      assert.equal(adjusts(), 0);
      yield* Deferred.succeed(go, undefined);
      while (adjusts() === 0) yield* Effect.sleep("5 millis");
      assert.ok(read > 0);
    }),
);

live(
  "SECURITY 3.1 (17): a client that never reads stops the engine at the budget",
  () =>
    Effect.gen(function* () {
      let written = 0;
      let stuck = false;
      const flood = engine(async (channel) => {
        for (;;) {
          const wait = channel.write(Buffer.alloc(32768));
          written += 32768;
          stuck = true;
          await wait;
          stuck = false;
        }
      });
      const server = yield* sshd({ engines: { exec: () => flood } });
      const client = yield* rawClient(server.port);
      yield* later(logIn(client));
      client.socket.pause();
      client.send(packet(Message.ChannelOpen, "session", 0, 0x7fffffff, 32768));
      client.send(packet(Message.ChannelRequest, 0, "exec", true, "flood"));
      let last = -1;
      while (!stuck || written !== last) {
        last = written;
        yield* Effect.sleep("100 millis");
      }
      // The kernel's own socket buffers take some MiB on loopback; what is above them is ours.
      assert.ok(written < 16 * HIGH, `${written} bytes accepted`);
      client.socket.resume();
      while (written < last + 8 * HIGH) yield* Effect.sleep("20 millis");
    }),
);

live(
  "the window is given back early, so that a long line stays full",
  () =>
    Effect.gen(function* () {
      const reader = engine(async (channel) => {
        while (await channel.read());
        return 0;
      });
      const server = yield* sshd({ engines: { exec: () => reader } });
      const client = yield* rawClient(server.port);
      yield* later(logIn(client));
      const { remote, window } = yield* later(exec(client, "reader"));
      assert.ok(window >= 2 * 1024 * 1024, `${window}`);
      for (let sent = 0; sent < window / 4; sent += 32768) {
        client.send(packet(Message.ChannelData, remote, Buffer.alloc(32768)));
      }
      while (!client.all.some((p) => p[0] === Message.ChannelWindowAdjust)) {
        yield* Effect.sleep("5 millis");
      }
    }),
);

live(
  "SECURITY 3.1 (17): a channel whose window stays shut stops its engine and no other channel",
  () =>
    Effect.gen(function* () {
      let written = 0;
      const flood = engine(async (channel) => {
        for (;;) {
          written += 32768;
          await channel.write(Buffer.alloc(32768));
        }
      });
      const server = yield* sshd({ engines: { sftp: flood } });
      const client = yield* rawClient(server.port);
      yield* later(logIn(client));
      const shut = yield* later(openChannel(client, 0, 0));
      client.send(packet(Message.ChannelRequest, shut.remote, "subsystem", true, "sftp"));
      assert.equal((yield* later(client.next()))[0], Message.ChannelSuccess);
      const { remote } = yield* later(exec(client, "echo", 1));
      client.send(packet(Message.ChannelData, remote, "still here"));
      const data = new Fields(yield* later(client.next()), 1);
      assert.deepEqual([data.uint32(), data.text()], [1, "still here"]);
      // The last piece is the one that waits.
      assert.ok(written - 32768 <= HIGH, `${written - 32768} bytes accepted`);
    }),
);

live(
  "SECURITY 3.1 (18): data beyond the window ends the connection",
  () =>
    Effect.gen(function* () {
      const idle: Engine = () => Effect.never;
      const server = yield* sshd({ engines: { exec: () => idle } });
      const client = yield* rawClient(server.port);
      yield* later(logIn(client));
      const { remote, window } = yield* later(exec(client, "idle"));
      for (let sent = 0; sent < window; sent += 32768) {
        client.send(packet(Message.ChannelData, remote, Buffer.alloc(32768)));
      }
      client.send(packet(Message.ChannelData, remote, "x"));
      yield* later(client.closed);
    }),
);

live(
  "SECURITY 3.1 (18): a window beyond 2^32-1 ends the connection",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const client = yield* rawClient(server.port);
      yield* later(logIn(client));
      const { remote } = yield* later(openChannel(client));
      for (let sent = 0; sent < 3; sent++) {
        client.send(packet(Message.ChannelWindowAdjust, remote, 0xffffffff));
      }
      yield* later(client.closed);
    }),
);

live(
  "SECURITY 3.1 (19): a lost connection settles every pending read and write, and the scope",
  () =>
    Effect.gen(function* () {
      const outcome = yield* Deferred.make<string>();
      const released = yield* Deferred.make<void>();
      const started = yield* Deferred.make<void>();
      const stuck: Engine = (channel) =>
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Deferred.succeed(released, undefined));
          yield* Deferred.succeed(started, undefined);
          const settled = yield* Effect.promise(() =>
            Promise.allSettled([channel.read(), channel.write(Buffer.alloc(4 * HIGH))])
          );
          yield* Deferred.succeed(outcome, settled.map(({ status }) => status).join());
          return undefined;
        });
      const server = yield* sshd({ engines: { exec: () => stuck } });
      const client = yield* rawClient(server.port);
      yield* later(logIn(client));
      yield* later(exec(client, "stuck", 0, 0));
      yield* Deferred.await(started);
      client.socket.destroy();
      yield* Deferred.await(released);
      while ((yield* server.registry.list).length > 0) yield* Effect.sleep("5 millis");
      assert.equal(server.seen.events.at(-1)?.action, "session.ended");
    }),
);

live(
  "a client that closes its channel ends the input and refuses output",
  () =>
    Effect.gen(function* () {
      const outcome = yield* Deferred.make<string>();
      const wait: Engine = (channel) =>
        Effect.gen(function* () {
          const end = yield* Effect.promise(() => channel.read());
          const write = yield* Effect.promise(() =>
            channel.write(Buffer.from("x")).then(() => "sent", () => "refused")
          );
          yield* Deferred.succeed(outcome, `${end} ${write}`);
          return 0;
        });
      const server = yield* sshd({ engines: { exec: () => wait } });
      const client = yield* rawClient(server.port);
      yield* later(logIn(client));
      const { remote } = yield* later(exec(client, "wait"));
      client.send(packet(Message.ChannelClose, remote));
      assert.equal(yield* Deferred.await(outcome), "undefined refused");
      assert.equal((yield* later(client.next()))[0], Message.ChannelClose);
      yield* later(exec(client, "wait", 1));
    }),
);

live(
  "SECURITY 3.1 (20): channels of one connection are capped; closing one makes room",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd({ sftpd: { max_channels: 3 } });
      const client = yield* rawClient(server.port);
      yield* later(logIn(client));
      for (let id = 0; id < 3; id++) yield* later(openChannel(client, id));
      client.send(packet(Message.ChannelOpen, "session", 9, 1000, 1000));
      assert.equal((yield* later(client.next()))[0], Message.ChannelOpenFailure);
      client.send(packet(Message.ChannelClose, 1));
      assert.equal((yield* later(client.next()))[0], Message.ChannelClose);
      yield* later(openChannel(client, 9));
    }),
);

live(
  "SSH-02, SSH-03: only sessions, and in them only exec and sftp; the rest is declined",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const client = yield* rawClient(server.port);
      yield* later(logIn(client));
      const opens: Array<[string, ...Array<string | number>]> = [
        ["direct-tcpip", "127.0.0.1", 22, "127.0.0.1", 1],
        ["direct-streamlocal@openssh.com", "/run/x", "", 0],
        ["x11", "127.0.0.1", 1],
        ["forwarded-tcpip"],
        ["made-up"],
      ];
      for (const [type, ...rest] of opens) {
        const extra = packet(0, ...rest).subarray(1);
        client.send(Buffer.concat([packet(Message.ChannelOpen, type, 5, 1000, 1000), extra]));
        assert.equal((yield* later(client.next()))[0], Message.ChannelOpenFailure, type);
      }
      for (const name of ["tcpip-forward", "streamlocal-forward@openssh.com", "made-up"]) {
        client.send(packet(Message.GlobalRequest, name, true, "127.0.0.1", 0));
        assert.equal((yield* later(client.next()))[0], Message.RequestFailure, name);
      }
      const { remote } = yield* later(openChannel(client));
      const requests: Array<[string, ...Array<string | number>]> = [
        ["env", "LD_PRELOAD", "x"],
        ["pty-req", "xterm", 80, 24, 0, 0, ""],
        ["x11-req"],
        ["auth-agent-req@openssh.com"],
        ["shell"],
        ["subsystem", "netconf"],
        ["exec", "rsync --server"],
        ["exec"],
        ["subsystem"],
        ["made-up"],
      ];
      for (const [type, ...rest] of requests) {
        client.send(packet(Message.ChannelRequest, remote, type, true, ...rest));
        assert.equal((yield* later(client.next()))[0], Message.ChannelFailure, type);
      }
      client.send(packet(Message.ChannelRequest, remote, "exec", true, "echo"));
      assert.equal((yield* later(client.next()))[0], Message.ChannelSuccess);
      client.send(packet(Message.ChannelRequest, remote, "exec", true, "echo"));
      assert.equal((yield* later(client.next()))[0], Message.ChannelFailure);
    }),
);

live("no-more-sessions@openssh.com is honoured", () =>
  Effect.gen(function* () {
    const server = yield* sshd();
    const client = yield* rawClient(server.port);
    yield* later(logIn(client));
    client.send(packet(Message.GlobalRequest, "no-more-sessions@openssh.com", true));
    assert.equal((yield* later(client.next()))[0], Message.RequestSuccess);
    client.send(packet(Message.ChannelOpen, "session", 0, 1000, 1000));
    assert.equal((yield* later(client.next()))[0], Message.ChannelOpenFailure);
  }));

live(
  "ByteChannel: many small writes of one turn arrive in order and whole",
  () =>
    Effect.gen(function* () {
      const many = engine(async (channel) => {
        for (let n = 0; n < 1000; n++) await channel.write(Buffer.from(`${n},`));
        await channel.writeError(Buffer.from("to stderr"));
        return 0;
      });
      const server = yield* sshd({ engines: { exec: () => many } });
      const client = yield* rawClient(server.port);
      yield* later(logIn(client));
      yield* later(exec(client, "many"));
      let text = "";
      let errors = "";
      for (;;) {
        const payload = yield* later(client.next());
        if (payload[0] === Message.ChannelClose) break;
        const fields = new Fields(payload, 5);
        if (payload[0] === Message.ChannelData) text += fields.text();
        if (payload[0] === Message.ChannelExtendedData) {
          assert.equal(fields.uint32(), 1);
          errors += fields.text();
        }
      }
      assert.equal(text, Array.from({ length: 1000 }, (_, n) => `${n},`).join(""));
      assert.equal(errors, "to stderr");
    }),
);
