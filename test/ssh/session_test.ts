import assert from "node:assert/strict";
import { Effect, Fiber } from "effect";
import type { Engine } from "../../adapters/ssh/engine.ts";
import { Fields, Message, packet } from "../../adapters/ssh/wire.ts";
import { arm } from "../../src/failpoint.ts";
import { live } from "../harness.ts";
import { exec, logIn, openChannel, plainSocket, rawClient, requestAuth } from "./raw_client.ts";
import { type Sshd, sshd } from "./support.ts";

const later = <A>(promise: Promise<A>) => Effect.promise(() => promise);
const until = (condition: () => boolean) =>
  Effect.gen(function* () {
    while (!condition()) yield* Effect.sleep("5 millis");
  });
const rows = (server: Sshd, count: number) =>
  Effect.gen(function* () {
    for (;;) {
      const list = yield* server.registry.list;
      if (list.length === count) return list;
      yield* Effect.sleep("5 millis");
    }
  });

/** Runs one control operation when data comes, and answers how it went. */
const control: Engine = (channel, context) =>
  Effect.promise(async () => {
    while (await channel.read()) {
      const exit = await context.control(Effect.succeed("did it"));
      await channel.write(new TextEncoder().encode(exit._tag));
    }
    return 0;
  }).pipe(Effect.catchAllCause(() => Effect.succeed(undefined)));

live(
  "session.opened and session.ended are recorded with who, where from and why",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const client = yield* rawClient(server.port);
      yield* later(logIn(client, "alice"));
      client.send(packet(Message.Disconnect, 11, "bye", ""));
      yield* later(client.closed);
      yield* until(() => server.seen.events.length === 2);
      const [opened, ended] = server.seen.events;
      assert.equal(opened?.action, "session.opened");
      assert.equal(ended?.action, "session.ended");
      assert.equal(ended?.message, "the client disconnected (11)");
      for (const event of server.seen.events) {
        assert.deepEqual([event.username, event.ip, event.protocol], ["alice", "127.0.0.1", "SSH"]);
        assert.match(event.session_id ?? "", /^SSH_/);
      }
    }),
);

live(
  "SSH-02, CONN-01: each channel is a row with its protocol, an idle connection is one of its own",
  () =>
    Effect.gen(function* () {
      const idle: Engine = () => Effect.never;
      const server = yield* sshd({ engines: { sftp: idle, exec: () => idle } });
      const client = yield* rawClient(server.port);
      yield* later(logIn(client, "alice"));
      const [bare] = yield* rows(server, 1);
      assert.deepEqual([bare?.protocol, bare?.username], ["SSH", "alice"]);
      assert.match(bare?.client_version ?? "", /^SSH-2.0-ssh2js/);
      assert.match(bare?.remote_address ?? "", /^127\.0\.0\.1:\d+$/);
      const first = yield* later(openChannel(client, 0));
      client.send(packet(Message.ChannelRequest, first.remote, "subsystem", true, "sftp"));
      assert.equal((yield* later(client.next()))[0], Message.ChannelSuccess);
      yield* later(exec(client, "scp -t /x", 1));
      yield* later(exec(client, "sha256sum x", 2));
      const list = yield* rows(server, 3);
      assert.deepEqual(list.map((row) => row.protocol), ["SFTP", "SCP", "SSH"]);
      assert.deepEqual(list.map((row) => row.command), ["", "scp -t /x", "sha256sum x"]);
      assert.equal(new Set(list.map((row) => row.connection_id)).size, 3);
      client.send(packet(Message.ChannelClose, first.remote));
    }),
);

live(
  "kick by a listed id or by user ends the connection with its reason",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const client = yield* rawClient(server.port);
      yield* later(logIn(client, "alice"));
      const other = yield* rawClient(server.port);
      yield* later(logIn(other, "bob"));
      const list = yield* rows(server, 2);
      const id = list.find((row) => row.username === "alice")?.connection_id ?? "";
      assert.equal(yield* server.registry.kick("SSH_nobody", "x"), false);
      assert.equal(yield* server.registry.kick(id, "kicked by admin"), true);
      assert.equal((yield* server.registry.list).length, 1);
      const goodbye = new Fields(yield* later(client.next()), 1);
      assert.deepEqual([goodbye.uint32(), goodbye.text()], [11, "kicked by admin"]);
      assert.equal(server.seen.events.at(-1)?.message, "kicked by admin");
      assert.equal(yield* server.registry.kickUser("bob", "out"), 1);
      yield* later(other.closed);
    }),
);

live(
  "a defect in a control operation ends that session only (failpoint session.control)",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd({ engines: { exec: () => control } });
      const victim = yield* rawClient(server.port);
      yield* later(logIn(victim, "victim"));
      const other = yield* rawClient(server.port);
      yield* later(logIn(other, "other"));
      const [mine, theirs] = [
        yield* later(exec(victim, "control")),
        yield* later(exec(other, "control")),
      ];
      arm("session.control@victim=die");
      victim.send(packet(Message.ChannelData, mine.remote, "go"));
      yield* later(victim.closed);
      other.send(packet(Message.ChannelData, theirs.remote, "go"));
      const answer = new Fields(yield* later(other.next()), 5);
      assert.equal(answer.text(), "Success");
      yield* until(() => server.seen.events.some((event) => event.message === "internal error"));
    }),
);

live("a defect in an engine ends that session only", () =>
  Effect.gen(function* () {
    const server = yield* sshd({
      engines: { exec: (line) => line === "die" ? () => Effect.die(new Error("boom")) : control },
    });
    const victim = yield* rawClient(server.port);
    yield* later(logIn(victim));
    const other = yield* rawClient(server.port);
    yield* later(logIn(other));
    yield* later(exec(victim, "die").catch(() => undefined));
    yield* later(victim.closed);
    yield* later(exec(other, "control"));
  }));

live(
  "CONN-06: an idle session is closed; CONN-07: so is one whose user may no longer log in",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd({ common: { idle_timeout: 1 / 60 } });
      const client = yield* rawClient(server.port);
      yield* later(logIn(client));
      yield* later(client.closed);
      yield* until(() => server.seen.events.length === 2);
      assert.equal(server.seen.events.at(-1)?.message, "idle for too long");
    }),
);

live(
  "max_sessions is exact per user, channels counted, and places come back",
  () =>
    Effect.gen(function* () {
      const idle: Engine = () => Effect.never;
      const server = yield* sshd({ maxSessions: 2, engines: { exec: () => idle } });
      const first = yield* rawClient(server.port);
      yield* later(logIn(first, "alice"));
      yield* later(exec(first, "one", 0));
      yield* later(exec(first, "two", 1));
      const third = yield* later(openChannel(first, 2));
      first.send(packet(Message.ChannelRequest, third.remote, "exec", true, "three"));
      assert.equal((yield* later(first.next()))[0], Message.ChannelFailure);
      const second = yield* rawClient(server.port);
      const refused = yield* later(logIn(second, "alice").then(() => false, () => true));
      assert.equal(refused, true);
      yield* later(logIn(yield* rawClient(server.port), "bob"));
      first.socket.destroy();
      yield* rows(server, 1);
      yield* later(logIn(yield* rawClient(server.port), "alice"));
    }),
);

live(
  "SECURITY 3.1 (8): max_startups and the per-host cap are exact, and refuse politely",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd({
        sftpd: { max_startups: 3 },
        common: { max_per_host_connections: 5 },
      });
      const waiting = yield* Effect.forEach(Array(3), () => plainSocket(server.port));
      yield* until(() => waiting.every(({ text }) => text().startsWith("SSH-2.0-Sluice")));
      const refused = yield* plainSocket(server.port);
      yield* later(refused.closed);
      assert.equal(refused.text(), "Not allowed at this time\r\n");
      for (const { socket } of waiting) socket.destroy();
      yield* until(() => false).pipe(Effect.timeoutOption("50 millis"));
      for (let login = 0; login < 5; login++) {
        yield* later(logIn(yield* rawClient(server.port), `user${login}`));
      }
      const sixth = yield* plainSocket(server.port);
      yield* later(sixth.closed);
      assert.equal(sixth.text(), "Not allowed at this time\r\n");
    }),
);

live(
  "CONN-09: drain refuses newcomers, waits for a transfer, then closes all",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const client = yield* rawClient(server.port);
      yield* later(logIn(client));
      const drained = yield* Effect.fork(server.registry.drain(30));
      yield* later(client.closed);
      yield* Fiber.join(drained);
      const late = yield* plainSocket(server.port);
      yield* later(late.closed);
      assert.equal(late.text(), "Not allowed at this time\r\n");
      assert.equal(server.seen.events.at(-1)?.message, "the server is stopping");
    }),
);

live(
  "a killed listener comes back on its port, and sessions outlive it (failpoint)",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const client = yield* rawClient(server.port);
      yield* later(logIn(client));
      arm("listener.connection=die");
      const killer = yield* plainSocket(server.port);
      yield* later(killer.closed);
      const greeted = Effect.gen(function* () {
        const { text, closed } = yield* plainSocket(server.port);
        yield* Effect.raceFirst(later(closed), until(() => text() !== ""));
        return text() !== "";
      });
      while (!(yield* greeted)) yield* Effect.sleep("50 millis");
      yield* later(exec(client, "echo"));
      yield* later(requestAuth(yield* rawClient(server.port)));
    }),
);
