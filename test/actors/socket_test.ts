import assert from "node:assert/strict";
import { Effect } from "effect";
import { Socket } from "../../actors/socket.ts";
import { live } from "../harness.ts";

const MiB = 1024 * 1024;

/** Both ends of a TCP connection: ours as a Socket, the client's bare. */
const pair = Effect.acquireRelease(
  Effect.promise(async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const accepted = listener.accept();
    const client = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
    return { socket: new Socket(await accepted), client };
  }),
  ({ socket, client }) =>
    Effect.sync(() => {
      socket.destroy();
      try {
        client.close();
      } catch {
        // The test did.
      }
    }),
);

/** What a socket hears, for assertions. */
const hearing = (socket: Socket) => {
  const heard = { bytes: [] as number[], chunks: 0, longest: 0, ended: 0, closed: 0, error: "" };
  socket.open({
    data: (chunk) => {
      heard.chunks++;
      heard.longest = Math.max(heard.longest, chunk.length);
      for (let at = 0; at < chunk.length; at += 4096) heard.bytes.push(chunk[at] ?? -1);
    },
    end: () => void heard.ended++,
    closed: (error) => {
      heard.closed++;
      heard.error = error?.message ?? "";
    },
  });
  return heard;
};

const until = async (done: () => boolean) => {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 1));
};

const writeAll = async (conn: Deno.TcpConn, bytes: Uint8Array) => {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
};

const readAll = async (conn: Deno.TcpConn): Promise<Uint8Array> =>
  new Uint8Array(await new Response(conn.readable).arrayBuffer());

live(
  "Socket delivers everything in order, in larger pieces when there is more",
  () =>
    Effect.gen(function* () {
      const { socket, client } = yield* pair;
      yield* Effect.promise(async () => {
        const heard = hearing(socket);
        const sent = new Uint8Array(8 * MiB);
        for (let at = 0; at < sent.length; at += 4096) sent.fill((at / 4096) % 251, at, at + 4096);
        await writeAll(client, sent);
        await client.closeWrite();
        await until(() => heard.ended > 0);
        assert.ok(heard.longest > 64 * 1024, `${heard.longest}`);
        assert.ok(heard.bytes.length >= sent.length / 4096);
        assert.equal(heard.closed, 0, "our side is still open");
        socket.end();
        await socket.closed;
        assert.deepEqual([heard.ended, heard.closed, heard.error], [1, 1, ""]);
      });
    }),
);

live(
  "Socket delivers nothing while it is paused, and the client is stopped",
  () =>
    Effect.gen(function* () {
      const { socket, client } = yield* pair;
      yield* Effect.promise(async () => {
        const heard = hearing(socket);
        await writeAll(client, new Uint8Array(1));
        await until(() => heard.chunks === 1);
        socket.pause();
        // One read was under way; what it brings is still delivered.
        await writeAll(client, new Uint8Array(1));
        await until(() => heard.chunks === 2);
        let sent = 0;
        const flood = (async () => {
          for (; sent < 64; sent++) await writeAll(client, new Uint8Array(MiB));
        })();
        await new Promise((resolve) => setTimeout(resolve, 100));
        assert.equal(heard.chunks, 2);
        assert.ok(sent < 64, "the kernel's buffers are full");
        socket.resume();
        await flood;
        await client.closeWrite();
        await until(() => heard.ended === 1);
        assert.ok(heard.bytes.length >= 64 * MiB / 4096);
      });
    }),
);

live(
  "Socket.write() sends in order and tells of each write, end() comes after them",
  () =>
    Effect.gen(function* () {
      const { socket, client } = yield* pair;
      yield* Effect.promise(async () => {
        socket.open();
        const done: number[] = [];
        for (let i = 0; i < 20; i++) {
          socket.write(new Uint8Array(512 * 1024).fill(i), () => done.push(i));
        }
        socket.end();
        assert.equal(socket.writable, false);
        let late = false;
        socket.write(new Uint8Array(1), () => late = true);
        assert.ok(late, "what comes too late is dropped, and said so");
        const got = await readAll(client);
        assert.equal(got.length, 10 * MiB);
        assert.ok(got.every((byte, at) => byte === Math.floor(at / (512 * 1024))));
        assert.deepEqual(done, Array.from({ length: 20 }, (_, i) => i));
        await socket.closed;
      });
    }),
);

live("Socket.destroy() ends writes that wait, each told once", () =>
  Effect.gen(function* () {
    const { socket } = yield* pair;
    yield* Effect.promise(async () => {
      const heard = hearing(socket);
      let told = 0;
      for (let i = 0; i < 50; i++) socket.write(new Uint8Array(MiB), () => told++);
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.ok(told < 50, "the client does not read");
      socket.destroy();
      socket.destroy();
      await until(() => told === 50);
      assert.deepEqual([heard.closed, heard.error, socket.destroyed], [1, "", true]);
    });
  }));

live("Socket: a client that is gone is an error for who listens", () =>
  Effect.gen(function* () {
    const { socket, client } = yield* pair;
    yield* Effect.promise(async () => {
      const heard = hearing(socket);
      client.close();
      await until(() => heard.ended === 1);
      // The first write meets a closed port, which answers with a reset.
      for (; heard.closed === 0;) {
        socket.write(new Uint8Array(1));
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      assert.notEqual(heard.error, "");
      assert.equal(socket.writable, false);
    });
  }));

live("Socket.detach() hands the connection over untouched", () =>
  Effect.gen(function* () {
    const { socket, client } = yield* pair;
    yield* Effect.promise(async () => {
      await client.write(Uint8Array.of(42));
      const conn = socket.detach();
      const into = new Uint8Array(10);
      assert.equal(await conn.read(into), 1);
      assert.equal(into[0], 42);
      assert.equal(socket.destroyed, true);
      assert.throws(() => socket.detach());
      conn.close();
    });
  }));
