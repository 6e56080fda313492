import { SchemaAST as AST } from "effect";
import { ConfigSchema } from "./config.ts";

/** What a place in the configuration holds: drives environment parsing and the hunt for unknown keys. */
export type Shape =
  | { readonly kind: "section"; readonly keys: ReadonlyMap<string, Shape> }
  | { readonly kind: "list"; readonly item: Shape }
  | { readonly kind: "number" | "flag" | "text" };

const isUndefined = (ast: AST.AST): boolean => ast._tag === "UndefinedKeyword";

/** Reads the shape off a schema, following defaults (transformations) and limits (refinements). */
const shapeOf = (ast: AST.AST): Shape => {
  switch (ast._tag) {
    case "Transformation":
      return shapeOf(ast.from);
    case "Refinement":
      return shapeOf(ast.from);
    case "TypeLiteral":
      return {
        kind: "section",
        keys: new Map(ast.propertySignatures.map((p) => [String(p.name), shapeOf(p.type)])),
      };
    case "TupleType": {
      const rest = ast.rest[0];
      return { kind: "list", item: rest ? shapeOf(rest.type) : { kind: "text" } };
    }
    case "Union": {
      const first = ast.types.find((t) => !isUndefined(t));
      return first ? shapeOf(first) : { kind: "text" };
    }
    case "Literal":
      return { kind: typeof ast.literal === "number" ? "number" : "text" };
    case "NumberKeyword":
      return { kind: "number" };
    case "BooleanKeyword":
      return { kind: "flag" };
    default:
      return { kind: "text" };
  }
};

/** The shape of the whole configuration. */
export const configShape: Shape = shapeOf(ConfigSchema.ast);

/** Edits (insert, delete, replace) that turn `a` into `b`. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      next[j] = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + same);
    }
    row = next;
  }
  return row[b.length] ?? 0;
};

/** The known key that `key` was most likely meant to be, undefined when none is close. */
export const nearest = (key: string, known: Iterable<string>): string | undefined => {
  let best: string | undefined;
  let least = Math.max(2, Math.floor(key.length / 3)) + 1;
  for (const candidate of known) {
    const edits = distance(key.toLowerCase(), candidate.toLowerCase());
    if (edits < least) [best, least] = [candidate, edits];
  }
  return best;
};
