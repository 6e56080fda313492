import { must, run } from "./process.ts";

/** Two networks of their own, one cable between them: nobody else's is touched. */
export interface TwoNets extends AsyncDisposable {
  /** Where a server runs, by `Server.start({ wrap })`, and its address. */
  readonly there: ReadonlyArray<string>;
  readonly address: string;
  /** Where its clients run: the words before their command. */
  readonly here: ReadonlyArray<string>;
  /** Takes the server's end of the cable down, or up again. */
  readonly cable: (state: "up" | "down") => Promise<void>;
}

/** Lays the cable; undefined where the kernel or the rights do not allow it. */
export const twoNets = async (): Promise<TwoNets | undefined> => {
  if (Deno.uid() !== 0) return undefined;
  const name = `sluice-${Deno.pid}`;
  const [server, client] = [`${name}-s`, `${name}-c`];
  const ip = (...args: string[]) => must("ip", args);
  const end = async () => {
    for (const net of [server, client]) {
      await run("ip", ["netns", "delete", net]).catch(() => {});
    }
  };
  try {
    for (const net of [server, client]) {
      await ip("netns", "add", net);
      await ip("-n", net, "link", "set", "lo", "up");
    }
    await ip(
      ...["-n", client, "link", "add", "cable", "type", "veth"],
      ...["peer", "name", "cable", "netns", server],
    );
    for (const [net, address] of [[server, "10.213.7.2/30"], [client, "10.213.7.1/30"]]) {
      await ip("-n", net ?? "", "address", "add", address ?? "", "dev", "cable");
      await ip("-n", net ?? "", "link", "set", "cable", "up");
    }
  } catch {
    await end();
    return undefined;
  }
  // Where the kernel knows how, who waits for the cable looks for it each second.
  const often = "echo 1000 > /proc/sys/net/ipv4/tcp_rto_max_ms";
  for (const net of [server, client]) {
    await run("ip", ["netns", "exec", net, "sh", "-c", often]);
  }
  const inside = (net: string) => ["ip", "netns", "exec", net];
  return {
    there: inside(server),
    here: inside(client),
    address: "10.213.7.2",
    cable: async (state) => void await ip("-n", server, "link", "set", "cable", state),
    [Symbol.asyncDispose]: end,
  };
};
