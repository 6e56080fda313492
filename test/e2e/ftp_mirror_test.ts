import { noise } from "./files.ts";
import { must } from "./process.ts";
import { ftpWorld, password } from "./ftp_world.ts";

Deno.test("ftp: lftp mirrors 2,000 files both ways over FTPS with 4 connections", async () => {
  await using world = await ftpWorld();
  const from = `${world.dir}/tree`;
  for (let d = 0; d < 10; d++) {
    await Deno.mkdir(`${from}/d${d}`, { recursive: true });
    for (let f = 0; f < 200; f++) await Deno.writeFile(`${from}/d${d}/f${f}`, noise(500 + f, d));
  }
  const script = (what: string) =>
    `set ssl:verify-certificate no; set ftp:ssl-force yes; set net:max-retries 2; ` +
    `open -u anna,"${password}" ftp://127.0.0.1:${world.ports[1]}; ${what}; bye`;
  for (
    const what of [
      `mirror -R --parallel=4 ${from} /tree`,
      `mirror --parallel=4 /tree ${world.dir}/back`,
    ]
  ) {
    await must("lftp", ["-c", script(what)]);
  }
  await must("diff", ["-r", from, `${world.dir}/back`]);
  await must("diff", ["-r", from, world.home("tree")]);
});
