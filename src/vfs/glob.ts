/**
 * Matches one name against a shell pattern: `*`, `?`, `[a-z]`, `[^a]`, `\x`.
 *
 * Takes time proportional to the two lengths multiplied, at worst; a malformed
 * class matches nothing.
 */
export const matchName = (pattern: string, name: string): boolean => {
  const p = [...pattern];
  const n = [...name];
  let pi = 0;
  let ni = 0;
  let star = -1;
  let mark = 0;
  while (ni < n.length) {
    const step = pi < p.length && p[pi] !== "*" ? matchOne(p, pi, n[ni] as string) : 0;
    if (step > 0) {
      pi += step;
      ni++;
    } else if (p[pi] === "*") {
      star = pi++;
      mark = ni;
    } else if (star >= 0) {
      pi = star + 1;
      ni = ++mark;
    } else return false;
  }
  while (p[pi] === "*") pi++;
  return pi === p.length;
};

/** Matches a path component by component: `*` never crosses a `/`, there is no `**`. */
export const matchPath = (pattern: string, path: string): boolean => {
  const patterns = pattern.split("/");
  const names = path.split("/");
  return patterns.length === names.length &&
    patterns.every((part, i) => matchName(part, names[i] as string));
};

/** Whether a key has pattern characters at all. */
export const isPattern = (text: string): boolean => /[*?[\\]/.test(text);

/** How many pattern characters were used to match `char`; 0 when they do not match. */
const matchOne = (p: ReadonlyArray<string>, at: number, char: string): number => {
  const c = p[at];
  if (c === "?") return 1;
  if (c === "\\") return p[at + 1] === char ? 2 : 0;
  if (c !== "[") return c === char ? 1 : 0;
  let i = at + 1;
  const negated = p[i] === "^" || p[i] === "!";
  if (negated) i++;
  let hit = false;
  for (let first = true; i < p.length && (first || p[i] !== "]"); first = false) {
    if (p[i] === "\\") i++;
    const low = p[i] as string;
    let high = low;
    if (p[i + 1] === "-" && p[i + 2] !== undefined && p[i + 2] !== "]") {
      i += p[i + 2] === "\\" ? 3 : 2;
      high = p[i] as string;
    }
    if (low <= char && char <= high) hit = true;
    i++;
  }
  return i < p.length && hit !== negated ? i - at + 1 : 0;
};
