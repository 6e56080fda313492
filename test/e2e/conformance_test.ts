import assert from "node:assert/strict";
import { drivers, matrix } from "../conformance/protocol_matrix.ts";
import { type Cell, cellKey, runMatrix } from "../conformance/protocol_run.ts";

let cells = new Map<string, Cell>();

Deno.test.beforeAll(async () => {
  const only = Deno.env.get("MATRIX_ONLY");
  const cases = only ? matrix.filter(({ name }) => name.includes(only)) : matrix;
  const ran = await runMatrix(cases, drivers);
  cells = new Map(ran.map((cell) => [cellKey(cell.case, cell.driver), cell]));
  for (const c of ran) {
    if (c.problems.length) {
      console.error("####", cellKey(c.case, c.driver), "\n  " + c.problems.join("\n  "));
    }
  }
});

Deno.test("all", () => {
  assert.deepEqual([...cells.values()].filter((c) => c.problems.length).length, 0);
});
