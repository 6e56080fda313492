import { type Case, type Driver, type Exception, expected } from "./protocol.ts";
import { cellKey } from "./protocol_run.ts";

/** Cells of which it is known that the product is wrong, and why. */
export type Faults = Readonly<Record<string, string>>;

/** The matrix as a page of docs/: what every cell is held to, and where a protocol is another. */
export const tableOf = (
  cases: ReadonlyArray<Case>,
  drivers: ReadonlyArray<Driver>,
  faults: Faults,
): string => {
  const notes: string[] = [];
  const note = (text: string) => {
    if (!notes.includes(text)) notes.push(text);
    return `[${notes.indexOf(text) + 1}]`;
  };
  const cell = (one: Case, driver: Driver): string => {
    const ending = expected(one, driver);
    if (typeof ending === "string") return `n/a ${note(ending)}`;
    const fault = faults[cellKey(one, driver)];
    const exception = one.except?.[driver.protocol];
    const outcome = ending.outcome === "done" ? "ok" : ending.outcome;
    return [
      fault === undefined ? outcome : "**FAIL**",
      ...(exception && "why" in exception ? [note(otherwise(exception))] : []),
      ...(fault === undefined ? [] : [note(fault)]),
    ].join(" ");
  };
  const row = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`;
  const body = cases.map((one, i) =>
    row([
      `${i + 1}. ${one.name}`,
      ...drivers.map((driver) => cell(one, driver)),
      (one.events ?? []).map((line) => code(line)).join("<br>") || "none",
    ])
  );
  const all = cases.flatMap((one) => drivers.map((driver) => [one, driver] as const));
  const held = all.filter(([one, driver]) => typeof expected(one, driver) !== "string");
  const failing = Object.keys(faults).length;
  return [
    "# Conformance of the protocols",
    "",
    "One server, real clients, and the same files under the same rules by every protocol. Written by",
    "`CONFORMANCE_WRITE=1 deno test -A test/e2e/conformance_test.ts` from test/conformance/protocol*.ts;",
    "the test fails when this page is not what ran.",
    "",
    "Every cell has a user, a home and folders of its own. `ok` means done, another word is the refusal",
    "that was due. Each cell that is not `n/a` is also held to one expected tree afterwards (names, kinds,",
    "sizes, SHA-256), to the events of the last column under the protocol's own name",
    "(`sluice events --json`), and to quota figures of user and folders (`sluice user list --json`,",
    "`sluice folder list --json`) that equal what lies on the disk and a recount by the server. Where a",
    "number stands, the note says in what the protocol is another.",
    "",
    `${cases.length} operations, ${drivers.length} protocols: ${held.length} cells ran, ` +
    `${held.length - failing} as due, ${failing} failing and known, ` +
    `${all.length - held.length} without such an operation.`,
    "",
    row(["Operation", ...drivers.map(({ protocol }) => protocol), "Events"]),
    row(["---", ...drivers.map(() => "---"), "---"]),
    ...body,
    "",
    "## Notes",
    "",
    ...notes.map((text, i) => `${i + 1}. ${text}`),
    "",
    "## Clients",
    "",
    ...drivers.map(({ protocol, clients }) => `- ${protocol}: ${clients}`),
    "",
  ].join("\n");
};

/** Why a protocol is another, and the events that are due there where they are others. */
const otherwise = ({ why, events }: Extract<Exception, { why: string }>): string =>
  events === undefined || events.length === 0 ? why : `${why}: ${events.map(code).join(", ")}`;

const code = (text: string): string => {
  const short = text.replace(/n{60,}/, "nnn...").replace(/\p{Cc}/gu, "\\x01");
  return "`" + short.replaceAll("|", "\\|") + "`";
};
