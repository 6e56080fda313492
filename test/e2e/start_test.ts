import assert from "node:assert/strict";
import { makeKey, publicKey, sftpMust } from "./clients.ts";
import { eventually, must } from "./process.ts";
import { Server } from "./server.ts";

const addMany = new URL("./add_many.ts", import.meta.url).pathname;
const root = new URL("../../", import.meta.url).pathname;
const users = 10_000;

// How fast is `deno task bench`'s to say; that no user is looked at before is this test's.
Deno.test("with 10,000 users the server is ready first and sweeps their homes then", async () => {
  const keys = await Deno.makeTempDir({ prefix: "sluice-keys-" });
  try {
    const key = await makeKey(keys, "id");
    const line = await publicKey(key);
    let home = "";
    await using server = await Server.start({
      before: async (dataDir) => {
        const args = ["run", "-A", addMany, dataDir, String(users), line];
        await must(Deno.execPath(), args, { cwd: root, timeout: 120 });
        home = `${dataDir}/users/user7`;
        await Deno.mkdir(home, { recursive: true });
        await Deno.writeTextFile(`${home}/.sluice-upload.${"0".repeat(16)}.x`, "left over");
      },
    });
    const target = { port: server.port, user: `user${users - 1}`, key };
    assert.match(await sftpMust(target, "mkdir here\nls"), /here/);
    const swept = () => server.log.findIndex(({ message }) => /orphan/.test(String(message)));
    await eventually("the homes are swept", () => swept() >= 0, 120);
    assert.ok(server.log.findIndex(({ event }) => event === "ready") < swept());
    assert.deepEqual([...Deno.readDirSync(home)], []);
  } finally {
    await Deno.remove(keys, { recursive: true });
  }
});
