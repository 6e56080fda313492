/**
 * Stands in for `ssh` in `scp -S`: carries one command to the test's port over
 * plain TCP, so that OpenSSH's own scp meets the engine without an SSH server.
 * Downstream frames: type (1 output, 2 errors, 3 exit status), u32 length, bytes.
 */
const [port = "", ...rest] = Deno.args;
const connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
connection.setNoDelay(true);
const command = new TextEncoder().encode(rest.at(-1) ?? "");
const head = new Uint8Array(4 + command.length);
new DataView(head.buffer).setUint32(0, command.length);
head.set(command, 4);
await writeAll(connection, head);
upload();

let held = new Uint8Array(0);
while (true) {
  const frame = await take(5);
  const body = await take(new DataView(frame.buffer).getUint32(1));
  if (frame[0] === 3) Deno.exit(body[0] ?? 0);
  await writeAll(frame[0] === 1 ? Deno.stdout : Deno.stderr, body);
}

async function upload(): Promise<void> {
  const chunk = new Uint8Array(65536);
  for (let n = await Deno.stdin.read(chunk); n !== null; n = await Deno.stdin.read(chunk)) {
    await writeAll(connection, chunk.subarray(0, n));
  }
  await connection.closeWrite();
}

async function take(size: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunk = new Uint8Array(65536);
  while (held.length < size) {
    const n = await connection.read(chunk);
    if (n === null) Deno.exit(255);
    const both = new Uint8Array(held.length + n);
    both.set(held);
    both.set(chunk.subarray(0, n), held.length);
    held = both;
  }
  const part = held.slice(0, size);
  held = held.slice(size);
  return part;
}

async function writeAll(to: { write(b: Uint8Array): Promise<number> }, bytes: Uint8Array) {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}
