import type { Dice } from "../../scripts/soak/tally.ts";

/** What happens to a stream of bytes at one place. */
export interface Damage {
  /** `up`: what the client sends. */
  readonly direction: "up" | "down";
  /** Bytes of that direction that pass unharmed before it. */
  readonly at: number;
  readonly kind: "flip" | "insert" | "drop" | "repeat" | "zero" | "cut";
  readonly length: number;
}

const kinds = ["flip", "insert", "drop", "repeat", "zero", "cut"] as const;

/** Draws a damage: half of them early, where versions, keys and logins pass, half anywhere up to `most`. */
export const drawDamage = (dice: Dice, most: number): Damage => ({
  direction: dice.chance(0.5) ? "up" : "down",
  at: dice.chance(0.5) ? Math.floor(2 ** (dice.next() * 13)) : dice.int(0, most),
  kind: dice.of(kinds),
  length: dice.chance(0.5) ? 1 : Math.floor(2 ** (dice.next() * 12)),
});

/** Applies one damage to the bytes in which it begins; `at` counts within them. */
const harm = (bytes: Uint8Array, at: number, { kind, length }: Damage): Uint8Array => {
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  const join = (...parts: Uint8Array[]) => {
    const whole = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
    let to = 0;
    for (const part of parts) {
      whole.set(part, to);
      to += part.length;
    }
    return whole;
  };
  const hit = after.subarray(0, length);
  switch (kind) {
    case "flip":
      return join(before, hit.map((b, i) => b ^ (1 << (i % 8))), after.subarray(hit.length));
    case "zero":
      return join(before, new Uint8Array(hit.length), after.subarray(hit.length));
    case "drop":
      return join(before, after.subarray(hit.length));
    case "repeat":
      return join(before, hit, after);
    case "insert":
      return join(before, new Uint8Array(length).map((_, i) => i * 151 + 7), after);
    case "cut":
      return before;
  }
};

/** Passes bytes on, harmed at the places given; answers undefined in place of bytes once it cuts. */
export const damager = (damages: ReadonlyArray<Damage>) => {
  const left = [...damages].sort((a, b) => a.at - b.at);
  let passed = 0;
  return (chunk: Uint8Array): { readonly bytes: Uint8Array; readonly cut: boolean } => {
    const from = passed;
    passed += chunk.length;
    let bytes = chunk;
    // From the last to the first, so that a place is still where it was when its turn comes.
    const here: Damage[] = [];
    while (left[0] !== undefined && left[0].at < passed) here.push(left.shift()!);
    for (const damage of here.reverse()) {
      bytes = harm(bytes, Math.max(0, damage.at - from), damage);
    }
    return { bytes, cut: here.some((d) => d.kind === "cut") };
  };
};

const pump = async (
  from: Deno.TcpConn,
  to: Deno.TcpConn,
  pass: ReturnType<typeof damager>,
  cut: () => void,
): Promise<void> => {
  const buffer = new Uint8Array(64 * 1024);
  try {
    for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
      const harmed = pass(buffer.slice(0, n));
      let rest = harmed.bytes;
      while (rest.length > 0) rest = rest.subarray(await to.write(rest));
      if (harmed.cut) return cut();
    }
    await to.closeWrite();
  } catch {
    // One side is gone, so the other must learn of it.
    cut();
  }
};

/** A way to a server on which bytes of the first connection are harmed. */
export const damagedWay = (
  port: number,
  damages: ReadonlyArray<Damage>,
): { readonly port: number } & AsyncDisposable => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open: Deno.TcpConn[] = [];
  const cut = () => {
    for (const conn of open.splice(0)) {
      try {
        conn.close();
      } catch {
        // It was closed from the other side.
      }
    }
  };
  const served = (async () => {
    const client = await listener.accept().catch(() => undefined);
    if (!client) return;
    open.push(client);
    const server = await Deno.connect({ hostname: "127.0.0.1", port });
    open.push(server);
    client.setNoDelay();
    server.setNoDelay();
    const way = (d: Damage["direction"]) => damager(damages.filter((x) => x.direction === d));
    await Promise.all([
      pump(client, server, way("up"), cut),
      pump(server, client, way("down"), cut),
    ]);
    cut();
  })();
  return {
    port: listener.addr.port,
    [Symbol.asyncDispose]: async () => {
      listener.close();
      cut();
      await served;
    },
  };
};
