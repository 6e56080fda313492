import assert from "node:assert/strict";
import { openCLibrary } from "../../src/c_library.ts";

const known = { ignore: !["linux", "darwin"].includes(Deno.build.os) };

Deno.test("openCLibrary() calls the library of this process", known, () => {
  const library = openCLibrary({ getpid: { parameters: [], result: "i32" } });
  assert.equal(library.symbols.getpid(), Deno.pid);
  library.close();
});

Deno.test("openCLibrary() throws when the library lacks a symbol", known, () => {
  const lacking = { sluice_nothing: { parameters: [], result: "void" } } as const;
  assert.throws(() => openCLibrary(lacking), /sluice_nothing/);
});
