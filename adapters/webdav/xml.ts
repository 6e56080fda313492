import { Either } from "effect";
import { SaxesParser } from "saxes";

/** One element, with its name resolved. */
export interface Element {
  /** Namespace; empty for none. */
  readonly ns: string;
  readonly name: string;
  /** Attributes other than namespace declarations. */
  readonly attributes: ReadonlyArray<
    { readonly ns: string; readonly name: string; readonly value: string }
  >;
  readonly children: ReadonlyArray<Element | string>;
}

/** Deepest nesting that is read. */
const MAX_DEPTH = 64;
const MAX_NODES = 20_000;
const MAX_ATTRIBUTES = 256;
const XML = "http://www.w3.org/XML/1998/namespace";
const XMLNS = "http://www.w3.org/2000/xmlns/";

class Bad extends Error {}

/**
 * Parses one XML 1.0 document with namespaces into a tree.
 *
 * A document type is refused, so there is no entity to expand or fetch. The
 * text's size is the caller's to bound; depth, elements and attributes are
 * bounded here. Left is a sentence that may be shown to the client.
 */
export const parseXml = (text: string): Either.Either<Element, string> => {
  try {
    return Either.right(readTree(text));
  } catch (error) {
    if (error instanceof Bad) return Either.left(error.message.slice(0, 200));
    throw error;
  }
};

const readTree = (text: string): Element => {
  const parser = new SaxesParser({
    xmlns: true,
    position: false,
    defaultXMLVersion: "1.0",
    forceXMLVersion: true,
  });
  /** The children of each element that is open; those of the document first. */
  const open: Array<Array<Element | string>> = [[]];
  let nodes = 0;
  const add = (part: string) => {
    const children = open.at(-1);
    if (!children || open.length === 1 || part === "") return;
    const last = children.at(-1);
    if (typeof last === "string") children[children.length - 1] = last + part;
    else children.push(part);
  };
  parser.on("error", (error) => {
    throw new Bad(error.message);
  });
  parser.on("doctype", () => {
    throw new Bad("a document type is not accepted");
  });
  parser.on("xmldecl", ({ encoding }) => {
    if (encoding !== undefined && !/^(utf-?8|us-ascii)$/i.test(encoding)) {
      throw new Bad("only UTF-8 is read");
    }
  });
  parser.on("opentag", (tag) => {
    if (open.length > MAX_DEPTH) throw new Bad(`nested deeper than ${MAX_DEPTH}`);
    if (++nodes > MAX_NODES) throw new Bad("too many elements");
    const given = Object.values(tag.attributes);
    if (given.length > MAX_ATTRIBUTES) throw new Bad("too many attributes");
    const attributes = given.filter(({ uri }) => uri !== XMLNS)
      .map(({ uri, local, value }) => ({ ns: uri, name: local, value }));
    const children: Array<Element | string> = [];
    open.at(-1)?.push({ ns: tag.uri, name: tag.local, attributes, children });
    open.push(children);
  });
  parser.on("closetag", () => {
    open.pop();
  });
  parser.on("text", add);
  parser.on("cdata", add);
  parser.write(text).close();
  const root = open[0]?.find((child) => typeof child !== "string");
  if (!root) throw new Bad("no element");
  return root;
};

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\r": "&#13;",
  // Names may hold these two, and a document must not (XML 1.0 section 2.2).
  "\ufffe": "\ufffd",
  "\uffff": "\ufffd",
};

/** Text that is safe between tags and in quotes. */
export const escapeXml = (text: string): string =>
  text.replace(/[&<>"\r\ufffe\uffff]/g, (c) => escapes[c] ?? c);

/** Writes an element so that it means the same wherever it stands. */
export const writeXml = (element: Element): string => {
  const { ns, name, attributes, children } = element;
  let extra = "";
  let count = 0;
  for (const attribute of attributes) {
    const value = escapeXml(attribute.value).replace(/\n/g, "&#10;").replace(/\t/g, "&#9;");
    if (attribute.ns === "") extra += ` ${attribute.name}="${value}"`;
    else if (attribute.ns === XML) extra += ` xml:${attribute.name}="${value}"`;
    else {
      const prefix = `a${count++}`;
      extra += ` xmlns:${prefix}="${
        escapeXml(attribute.ns)
      }" ${prefix}:${attribute.name}="${value}"`;
    }
  }
  const inside = children.map((c) => typeof c === "string" ? escapeXml(c) : writeXml(c)).join("");
  const tag = ns === "DAV:" ? `D:${name}` : name;
  const declaration = ns === "DAV:" ? ` xmlns:D="DAV:"` : ` xmlns="${escapeXml(ns)}"`;
  return inside === ""
    ? `<${tag}${declaration}${extra}/>`
    : `<${tag}${declaration}${extra}>${inside}</${tag}>`;
};

/** The child elements with that name in `DAV:`, or all of them. */
export const elementsOf = (parent: Element, dav?: string): ReadonlyArray<Element> =>
  parent.children.filter((child): child is Element =>
    typeof child !== "string" && (dav === undefined || isDav(child, dav))
  );

export const isDav = (element: Element, name: string): boolean =>
  element.ns === "DAV:" && element.name === name;

/** All text below an element. */
export const textOf = (element: Element): string =>
  element.children.map((c) => typeof c === "string" ? c : textOf(c)).join("");
