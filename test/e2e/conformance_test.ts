import assert from "node:assert/strict";
import { expected } from "../conformance/protocol.ts";
import { faults } from "../conformance/protocol_faults.ts";
import { drivers, matrix } from "../conformance/protocol_matrix.ts";
import { type Cell, cellKey, runMatrix } from "../conformance/protocol_run.ts";
import { tableOf } from "../conformance/protocol_table.ts";
import { installed, testIf } from "./tools.ts";

const page = new URL("../../docs/conformance.md", import.meta.url);
const tools = ["sftp", "scp", "curl", "lftp", "rclone", "cadaver"];
const missing: string[] = [];
for (const tool of tools) if (!(await installed(tool))) missing.push(tool);
const ignore = missing.length > 0;

/** While one is written: only the cases with this in their names, and no page. */
const only = Deno.env.get("CONFORMANCE_ONLY");
const cases = matrix.filter(({ name }) => name.includes(only ?? ""));
const cells = new Map<string, Cell>();

Deno.test.beforeAll(async () => {
  if (ignore) return;
  for (const cell of await runMatrix(cases, drivers)) {
    cells.set(cellKey(cell.case, cell.driver), cell);
  }
});

for (const one of cases) {
  for (const driver of drivers) {
    const key = cellKey(one, driver);
    if (typeof expected(one, driver) === "string") continue;
    Deno.test({
      name: `conformance: ${key}`,
      ignore,
      fn: () => {
        const problems = cells.get(key)?.problems;
        assert.ok(problems, "it ran");
        const fault = faults[key];
        if (fault === undefined) assert.deepEqual(problems, []);
        else assert.notDeepEqual(problems, [], `a known fault is gone; take it out: ${fault}`);
      },
    });
  }
}

Deno.test({
  name: "conformance: every known fault is of a cell that there is",
  fn: () => {
    const keys = new Set(matrix.flatMap((one) => drivers.map((driver) => cellKey(one, driver))));
    assert.deepEqual(Object.keys(faults).filter((key) => !keys.has(key)), []);
  },
});

testIf(
  !ignore && only === undefined,
  only === undefined ? `${missing} not installed` : "only some cases are run",
  "conformance: docs/conformance.md is the table of what ran",
  async () => {
    const table = tableOf(matrix, drivers, faults);
    if (Deno.env.get("CONFORMANCE_WRITE")) await Deno.writeTextFile(page, table);
    assert.equal(await Deno.readTextFile(page), table, "write it with CONFORMANCE_WRITE=1");
  },
);
