/**
 * Makes one executable, `build/sluice` (or the name given), for this machine.
 *
 * Worker threads start from a module of their own, which is included. The native
 * libraries of the database and of the password hashes are embedded with
 * `node_modules`; they are unpacked when the program starts. Deno fetches its
 * bare runtime once from dl.deno.land, unless DENORT_BIN names the file.
 */
const { tasks } = JSON.parse(await Deno.readTextFile("deno.json"));
const flags = String(tasks.sluice).split(/\s+/).filter((word) =>
  /^--(allow-|v8-flags=|no-prompt$)/.test(word)
);
const output = Deno.args[0] ?? "build/sluice";
const { code } = await new Deno.Command("deno", {
  args: [
    "compile",
    ...flags,
    "--self-extracting",
    "--include",
    "src/worker.ts",
    "--output",
    output,
    "src/main.ts",
  ],
  stdout: "inherit",
  stderr: "inherit",
}).output();
Deno.exit(code);
