import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Effect } from "effect";
import { RekeyPolicy } from "../../adapters/ssh/rekey.ts";
import { Fields, Message, packet } from "../../adapters/ssh/wire.ts";
import { it, live } from "../harness.ts";
import { authRequest, exec, logIn, plainSocket, rawClient, requestAuth } from "./raw_client.ts";
import { sshd } from "./support.ts";

const later = <A>(promise: Promise<A>) => Effect.promise(() => promise);
const IDENT = "SSH-2.0-probe\r\n";

/** An unencrypted packet (RFC 4253 section 6), before the first key exchange. */
const plain = (payload: Uint8Array): Buffer => {
  const padding = 8 + (8 - (payload.length + 5 + 8) % 8) % 8;
  const head = Buffer.alloc(5);
  head.writeUInt32BE(payload.length + 1 + padding, 0);
  head[4] = padding;
  return Buffer.concat([head, payload, Buffer.alloc(padding)]);
};

const kexInit = (kex: string): Buffer => {
  const lists = [kex, "ssh-ed25519", "aes128-ctr", "aes128-ctr", "hmac-sha2-256", "hmac-sha2-256"];
  const fields = packet(0, ...lists, "none", "none", "", "", false, 0).subarray(1);
  return Buffer.concat([Buffer.from([Message.KexInit]), Buffer.alloc(16), fields]);
};

live(
  "SECURITY 6 (11): garbage, overlong and trickled identifications end that connection only",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const bad = [
        "GET / HTTP/1.1\r\n\r\n",
        "\r\n",
        "SSH-1.0-old\r\n",
        "SSH-2.0-" + "x".repeat(300) + "\r\n",
        "x".repeat(300 * 1024),
        Buffer.from([0, 255, 254, 10]),
      ];
      for (const bytes of bad) {
        const { socket, closed } = yield* plainSocket(server.port);
        socket.write(bytes);
        yield* later(closed);
      }
      yield* later(logIn(yield* rawClient(server.port)));
    }),
);

live("an identification that arrives byte by byte is understood", () =>
  Effect.gen(function* () {
    const server = yield* sshd();
    const { socket, text } = yield* plainSocket(server.port);
    for (const letter of IDENT) {
      socket.write(letter);
      yield* Effect.sleep("2 millis");
    }
    // The server's KEXINIT follows: its name lists are readable as they are.
    while (!text().includes("curve25519-sha256")) yield* Effect.sleep("5 millis");
  }));

live(
  "SECURITY 6 (15), CVE-2023-48795: with strict kex a packet before KEXINIT ends the connection",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      for (const strict of [true, false]) {
        const { socket, closed, text } = yield* plainSocket(server.port);
        socket.write(IDENT);
        socket.write(plain(packet(Message.Ignore, "inserted")));
        socket.write(
          plain(kexInit(`curve25519-sha256${strict ? ",kex-strict-c-v00@openssh.com" : ""}`)),
        );
        while (!text().includes("kex-strict-s-v00@openssh.com")) yield* Effect.sleep("5 millis");
        if (strict) yield* later(closed);
        else {
          // Still in the key exchange: a malformed KEXINIT reply is what ends it.
          socket.write(plain(packet(30)));
          yield* later(closed);
        }
      }
    }),
);

live(
  "SECURITY 3.1 (5): packets that cannot be decrypted or parsed end that connection only",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const early = [
        Buffer.alloc(64, 255),
        plain(packet(30, "no KEXINIT before")),
        plain(Buffer.from([Message.KexInit])),
        plain(packet(21)),
        Buffer.concat([Buffer.from([0, 0, 0, 12, 255]), Buffer.alloc(11)]),
      ];
      for (const bytes of early) {
        const { socket, closed } = yield* plainSocket(server.port);
        socket.write(IDENT);
        socket.write(bytes);
        yield* later(closed);
      }
      const client = yield* rawClient(server.port);
      yield* later(requestAuth(client));
      client.socket.write(Buffer.alloc(200, 7));
      yield* later(client.closed);
      yield* later(logIn(yield* rawClient(server.port)));
    }),
);

live(
  "malformed connection messages after login end that connection only",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const bad = [
        packet(80),
        packet(90),
        packet(90, "session", 1),
        packet(94, 0, "no such channel"),
        packet(93),
        packet(97, 77),
        packet(98, 5, "exec", true, "echo"),
        Buffer.from([98]),
        Buffer.from([80, 255, 255, 255, 255, 1]),
      ];
      for (const bytes of bad) {
        const client = yield* rawClient(server.port);
        yield* later(logIn(client));
        client.send(bytes);
        yield* later(client.closed);
      }
      yield* later(logIn(yield* rawClient(server.port)));
    }),
);

live(
  "SECURITY 3.1 (15): unknown messages are answered UNIMPLEMENTED with their number",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const client = yield* rawClient(server.port);
      yield* later(logIn(client));
      const before = client.all.length;
      client.send(packet(Message.Ignore, "x"));
      client.send(packet(192, "ping@openssh.com style"));
      client.send(packet(15));
      const first = new Fields(yield* later(client.next()), 1).uint32();
      const second = new Fields(yield* later(client.next()), 1).uint32();
      assert.deepEqual(
        client.all.slice(before).map((payload) => payload[0]),
        [Message.Unimplemented, Message.Unimplemented],
      );
      assert.equal(second, first + 1);
    }),
);

live("a login flood of ignored packets is cut", () =>
  Effect.gen(function* () {
    const server = yield* sshd();
    const client = yield* rawClient(server.port);
    yield* later(requestAuth(client));
    for (let sent = 0; sent < 2100; sent++) client.send(packet(Message.Ignore, ""));
    yield* later(client.closed);
  }));

live(
  "SECURITY 3.1 (20): a packet above ssh2's limit ends the connection",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const client = yield* rawClient(server.port);
      yield* later(logIn(client));
      client.send(packet(Message.Ignore, Buffer.alloc(40_000)));
      yield* later(client.closed);
    }),
);

live(
  "SECURITY 3.1 (9): a client that keeps asking for new keys is cut",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const client = yield* rawClient(server.port);
      yield* later(logIn(client));
      let over = false;
      client.closed.then(() => {
        over = true;
      });
      for (let round = 0; round < 200 && !over; round++) {
        client.proto.rekey();
        while (client.proto._kexinit !== undefined && !over) yield* Effect.sleep("1 millis");
      }
      assert.ok(over);
    }),
);

it("RekeyPolicy allows a client one exchange for each 16 KiB, and is due by bytes or time", () =>
  Effect.sync(() => {
    const policy = new RekeyPolicy(1000, 60, 0);
    for (let round = 0; round < 100; round++) {
      policy.count(16 * 1024);
      assert.ok(policy.admit(0, false));
    }
    for (let round = 0; round < 16; round++) policy.admit(0, false);
    assert.equal(policy.admit(0, false), false);
    assert.equal(policy.admit(0, true), true);
    assert.equal(policy.due(0), true);
    policy.done(0);
    assert.equal(policy.due(59_999), false);
    assert.equal(policy.due(60_000), true);
  }));

live(
  "SECURITY 3.1 (15): the server exchanges keys anew after rekey_bytes",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd({ sftpd: { rekey_bytes: 100_000 } });
      const client = yield* rawClient(server.port);
      yield* later(logIn(client));
      const before = client.proto._kex;
      const { remote } = yield* later(exec(client, "echo"));
      const piece = Buffer.alloc(30_000, 1);
      let received = 0;
      for (let round = 0; round < 10; round++) {
        client.send(packet(Message.ChannelData, remote, piece));
        while (received < (round + 1) * piece.length) {
          received += new Fields(yield* later(client.next()), 5).string().length;
        }
      }
      assert.notEqual(client.proto._kex, before);
      assert.equal(received, 300_000);
    }),
);

live(
  "keepalive: a client that does not answer is cut after the count",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd({ sftpd: { keepalive_interval: 1, keepalive_count_max: 2 } });
      const client = yield* rawClient(server.port);
      yield* later(logIn(client));
      yield* later(client.closed);
      const probes = client.all.filter((payload) => payload[0] === Message.GlobalRequest);
      assert.equal(probes.length, 2);
      assert.equal(server.seen.events.at(-1)?.message, "the client does not answer");
    }),
);

live("keepalive: a client that answers stays", () =>
  Effect.gen(function* () {
    const server = yield* sshd({ sftpd: { keepalive_interval: 1, keepalive_count_max: 3 } });
    const client = yield* rawClient(server.port);
    yield* later(logIn(client));
    for (let probe = 0; probe < 5; probe++) {
      assert.equal((yield* later(client.next()))[0], Message.GlobalRequest);
      client.send(packet(Message.RequestFailure));
    }
    yield* later(exec(client, "echo"));
  }));

live(
  "a request before the authentication service was asked for ends the connection",
  () =>
    Effect.gen(function* () {
      const server = yield* sshd();
      const client = yield* rawClient(server.port);
      client.send(authRequest("u", "none"));
      yield* later(client.closed);
      const other = yield* rawClient(server.port);
      other.send(packet(Message.ServiceRequest, "ssh-connection"));
      yield* later(other.closed);
    }),
);
