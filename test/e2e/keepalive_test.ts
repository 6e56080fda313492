import assert from "node:assert/strict";
import { mixedWorld } from "./mixed.ts";
import { eventually, must } from "./process.ts";
import { needs } from "./tools.ts";

(await needs("ss"))(
  "connections of every protocol are probed after a minute of silence",
  async () => {
    await using world = await mixedWorld([], { args: ["--workers", "2"] });
    const { server, ports } = world;
    const http = Number(new URL(server.http).port);
    for (const port of [server.port, ports.ftp, http]) {
      using conn = await Deno.connect({ hostname: "127.0.0.1", port });
      assert.equal(conn.remoteAddr.port, port);
      // As the kernel sees the server's end.
      await eventually(`a probe within a minute at ${port}`, async () => {
        const shown = await must("ss", ["-Htno", "state", "established", `sport = :${port}`]);
        return /timer:\(keepalive,(?:1min|[1-5]?\d(?:\.\d+)?sec),0\)/.test(shown);
      }, 10);
    }
  },
);
