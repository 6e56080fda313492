import { Effect } from "effect";
import fc from "fast-check";
import assert from "node:assert/strict";
import { extensions } from "../../adapters/ssh/sftp/extensions.ts";
import { packet } from "../../adapters/ssh/sftp/protocol.ts";
import { connect } from "../sftp/client.ts";
import { treeVfs } from "../sftp/tree_vfs.ts";
import { bytes, join, text, u32, u64 } from "../sftp/wire.ts";

/**
 * Feeds a stream to a fresh engine and ends the input: it must end by itself,
 * without a defect, and leave nothing open.
 */
const survives = (chunks: ReadonlyArray<Uint8Array>, init: boolean): Promise<void> =>
  Effect.runPromise(Effect.scoped(Effect.gen(function* () {
    const vfs = treeVfs({ "/f": "0123456789", "/d/g": "x" });
    const client = yield* connect(vfs, { bare: !init, maxHandles: 20 });
    for (const chunk of chunks) client.raw(chunk);
    client.end();
    const exit = yield* Effect.timeout(client.exit, "10 seconds");
    assert.equal(exit._tag, "Success", JSON.stringify(exit));
    assert.equal(vfs.openCount, 0);
  })));

/** Handles are opaque, but a fuzzer knows that the first is slot 0. */
const handle = fc.oneof(
  fc.uint8Array({ maxLength: 12 }).map(bytes),
  fc.nat(3).map((slot) => bytes(join(u32(slot), u32(0)))),
);
const path = fc.oneof(
  fc.constantFrom("/f", "/d", "/d/g", "/new", ".", "..", "/../x", "~", "/l", "a\\b").map(text),
  fc.uint8Array({ maxLength: 40 }).map(bytes),
);
const u64s = fc.oneof(fc.nat(300), fc.constantFrom(2 ** 32, 2 ** 53 - 1)).map(u64);
const wide = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(u64);
const u32s = fc.oneof(fc.nat(600), fc.nat(0xffffffff)).map(u32);
const field = fc.oneof(handle, path, u64s, wide, u32s, fc.uint8Array({ maxLength: 64 }));
const type = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom(...Object.values(packet)) },
  { weight: 1, arbitrary: fc.nat(255) },
);
const request = fc.oneof(
  fc.tuple(type, u32s, fc.array(field, { maxLength: 5 }))
    .map(([kind, id, fields]) => bytes(join(Uint8Array.of(kind), id, ...fields))),
  fc.tuple(fc.constantFrom(...extensions.map((row) => row.name)), u32s, fc.array(field))
    .map(([name, id, fields]) =>
      bytes(join(Uint8Array.of(packet.extended), id, text(name), ...fields))
    ),
  fc.tuple(path, fc.nat(63), u32s).map(([name, flags, id]) =>
    bytes(join(Uint8Array.of(packet.open), id, name, u32(flags), u32(0)))
  ),
);

const cut = (stream: Uint8Array, sizes: ReadonlyArray<number>): Uint8Array[] => {
  const chunks = [];
  let at = 0;
  for (const size of sizes) {
    if (at >= stream.length) break;
    chunks.push(stream.slice(at, at += size));
  }
  if (at < stream.length) chunks.push(stream.slice(at));
  return chunks;
};
const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 30 });

Deno.test("serveSftp survives random bytes", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { maxLength: 10 }),
      fc.boolean(),
      survives,
    ),
    { numRuns: 300 },
  );
});

Deno.test("serveSftp survives well-framed requests with any fields", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(request, { maxLength: 40 }),
      sizes,
      (requests, at) => survives(cut(join(...requests), at), true),
    ),
    { numRuns: 400 },
  );
});

Deno.test("serveSftp survives changed bytes in a valid session", async () => {
  const say = (kind: number, id: number, ...fields: Uint8Array[]) =>
    bytes(join(Uint8Array.of(kind), u32(id), ...fields));
  const first = bytes(join(u32(0), u32(0)));
  const session = join(
    bytes(join(Uint8Array.of(packet.init), u32(3))),
    say(packet.realpath, 1, text(".")),
    say(packet.open, 2, text("/new"), u32(2 | 8 | 16), u32(4), u32(0o644)),
    say(packet.write, 3, first, u64(0), text("some bytes to write")),
    say(packet.fsetstat, 4, first, u32(8), u32(1), u32(2)),
    say(packet.close, 5, first),
    say(packet.opendir, 6, text("/d")),
    say(packet.readdir, 7, first),
    say(packet.readdir, 8, first),
    say(packet.extended, 9, text("posix-rename@openssh.com"), text("/new"), text("/f")),
    say(packet.extended, 10, text("copy-data"), first, u64(0), u64(0), first, u64(0)),
    say(packet.symlink, 11, text("f"), text("/l")),
    say(packet.remove, 12, text("/l")),
  );
  const mutation = fc.tuple(fc.nat(session.length - 1), fc.nat(255));
  await fc.assert(
    fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 8 }), sizes, (changes, at) => {
      const changed = session.slice();
      for (const [where, value] of changes) changed[where] = value;
      return survives(cut(changed, at), false);
    }),
    { numRuns: 400 },
  );
});

Deno.test("serveSftp answers every request on live handles exactly once", async () => {
  const live = fc.nat(3);
  const small = fc.nat(20).map(u64);
  const spec = fc.oneof(
    fc.tuple(fc.constant(packet.read), live, small, fc.nat(300).map(u32)),
    fc.tuple(fc.constant(packet.write), live, small, fc.uint8Array({ maxLength: 20 }).map(bytes)),
    fc.tuple(fc.constantFrom(packet.fstat, packet.close, packet.readdir), live),
    fc.tuple(fc.constant(packet.fsetstat), live, fc.constant(u32(1)), small),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(spec, { maxLength: 60 }),
      (specs) =>
        Effect.runPromise(Effect.scoped(Effect.gen(function* () {
          const vfs = treeVfs({ "/f": "0123456789", "/d/g": "x" });
          const client = yield* connect(vfs);
          yield* Effect.promise(async () => {
            const handles = [
              await client.open("/f", 1),
              await client.open("/f", 1 | 2),
              await client.open("/n", 2 | 4 | 8),
              (await client.ask(packet.opendir, text("/d"))).body,
            ];
            const ids = specs.map(([kind, which, ...fields]) =>
              client.send(kind, handles[which]!, ...fields)
            );
            for (const id of ids) await client.answer(id);
            assert.equal((await client.ask(packet.stat, text("/"))).type, packet.attrs);
          });
          client.end();
          assert.equal((yield* Effect.timeout(client.exit, "10 seconds"))._tag, "Success");
          assert.equal(vfs.openCount, 0);
        }))),
    ),
    { numRuns: 200 },
  );
});
