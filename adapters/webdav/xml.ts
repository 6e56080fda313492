import { Either } from "effect";

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
const name =
  /[A-Za-z_\u00c0-\uffff][\w.\-\u00b7-\uffff]*(?::[A-Za-z_\u00c0-\uffff][\w.\-\u00b7-\uffff]*)?/y;
const XML = "http://www.w3.org/XML/1998/namespace";

class Bad extends Error {}

/**
 * Parses one XML document: elements, text, CDATA, comments and the five built-in
 * entities. A document type is refused, so there is nothing to expand or fetch.
 * The text's size is the caller's to bound; depth and number of nodes are
 * bounded here.
 */
export const parseXml = (text: string): Either.Either<Element, string> => {
  try {
    return Either.right(new Parser(text).document());
  } catch (error) {
    if (error instanceof Bad) return Either.left(error.message);
    throw error;
  }
};

type Scope = ReadonlyMap<string, string>;

class Parser {
  #at = 0;
  #nodes = 0;
  readonly #text: string;

  constructor(text: string) {
    // deno-lint-ignore no-control-regex
    if (/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(text)) {
      throw new Bad("a character that XML does not have");
    }
    this.#text = text.replace(/^\ufeff/, "").replace(/\r\n?/g, "\n");
  }

  document(): Element {
    if (/^<\?xml[\s?]/.test(this.#text)) {
      const declaration = this.#upTo("?>", "xml declaration");
      const encoding = /encoding\s*=\s*["']([^"']*)["']/.exec(declaration)?.[1];
      if (encoding !== undefined && !/^(utf-?8|us-ascii)$/i.test(encoding)) {
        throw new Bad("only UTF-8 is read");
      }
    }
    this.#misc();
    if (this.#text[this.#at] !== "<") throw new Bad("no element");
    const root = this.#element(new Map([["xml", XML], ["", ""]]), 1);
    this.#misc();
    if (this.#at < this.#text.length) throw new Bad("something follows the document");
    return root;
  }

  #upTo(end: string, what: string): string {
    const found = this.#text.indexOf(end, this.#at);
    if (found < 0) throw new Bad(`${what} does not end`);
    const part = this.#text.slice(this.#at, found);
    this.#at = found + end.length;
    return part;
  }

  #space(): boolean {
    const before = this.#at;
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at++;
    return this.#at > before;
  }

  /** White space, comments and processing instructions around the root. */
  #misc(): void {
    for (;;) {
      this.#space();
      if (!this.#aside()) return;
    }
  }

  #aside(): boolean {
    if (this.#text.startsWith("<!--", this.#at)) {
      this.#at += 4;
      if (this.#upTo("--", "comment") !== undefined && this.#text[this.#at++] !== ">") {
        throw new Bad("-- in a comment");
      }
      return true;
    }
    if (this.#text.startsWith("<?", this.#at)) {
      this.#upTo("?>", "processing instruction");
      return true;
    }
    if (this.#text.startsWith("<!", this.#at) && !this.#text.startsWith("<![CDATA[", this.#at)) {
      throw new Bad("a document type is not accepted");
    }
    return false;
  }

  #name(): string {
    name.lastIndex = this.#at;
    const found = name.exec(this.#text)?.[0];
    if (found === undefined) throw new Bad("a name was expected");
    this.#at += found.length;
    return found;
  }

  #element(outer: Scope, depth: number): Element {
    if (depth > MAX_DEPTH) throw new Bad(`nested deeper than ${MAX_DEPTH}`);
    if (++this.#nodes > MAX_NODES) throw new Bad("too many elements");
    this.#at += 1;
    const qualified = this.#name();
    const raw = new Map<string, string>();
    let empty = false;
    for (;;) {
      const spaced = this.#space();
      if (this.#text[this.#at] === ">") {
        this.#at += 1;
        break;
      }
      if (this.#text.startsWith("/>", this.#at)) {
        this.#at += 2;
        empty = true;
        break;
      }
      if (!spaced) throw new Bad("malformed tag");
      const key = this.#name();
      if (raw.has(key)) throw new Bad("an attribute is there twice");
      this.#space();
      if (this.#text[this.#at++] !== "=") throw new Bad("an attribute without a value");
      this.#space();
      const quote = this.#text[this.#at++];
      if (quote !== '"' && quote !== "'") throw new Bad("an attribute without quotes");
      const value = this.#upTo(quote, "attribute");
      if (value.includes("<")) throw new Bad("< in an attribute");
      raw.set(key, entities(value.replace(/[\t\n]/g, " ")));
      if (raw.size > 256) throw new Bad("too many attributes");
    }
    const scope = declared(outer, raw);
    const attributes = [...raw].flatMap(([key, value]) =>
      key === "xmlns" || key.startsWith("xmlns:")
        ? []
        : [{ ...(key.includes(":") ? resolve(scope, key) : { ns: "", name: key }), value }]
    );
    const children = empty ? [] : this.#children(scope, depth, qualified);
    return { ...resolve(scope, qualified), attributes, children };
  }

  #children(scope: Scope, depth: number, qualified: string): Array<Element | string> {
    const children: Array<Element | string> = [];
    let text = "";
    const flush = () => {
      if (text !== "") children.push(text);
      text = "";
    };
    for (;;) {
      const open = this.#text.indexOf("<", this.#at);
      if (open < 0) throw new Bad("an element does not end");
      const part = this.#text.slice(this.#at, open);
      if (part.includes("]]>")) throw new Bad("]]> in text");
      text += entities(part);
      this.#at = open;
      if (this.#text.startsWith("</", open)) {
        this.#at += 2;
        if (this.#name() !== qualified) throw new Bad("tags do not match");
        this.#space();
        if (this.#text[this.#at++] !== ">") throw new Bad("malformed end tag");
        flush();
        return children;
      }
      if (this.#text.startsWith("<![CDATA[", open)) {
        this.#at += 9;
        text += this.#upTo("]]>", "CDATA");
      } else if (!this.#aside()) {
        flush();
        children.push(this.#element(scope, depth + 1));
      }
    }
  }
}

const declared = (outer: Scope, raw: ReadonlyMap<string, string>): Scope => {
  let scope: Map<string, string> | undefined;
  for (const [key, value] of raw) {
    if (key !== "xmlns" && !key.startsWith("xmlns:")) continue;
    const prefix = key === "xmlns" ? "" : key.slice(6);
    // Namespaces in XML 1.0 section 2: a prefix cannot be undeclared.
    if (prefix !== "" && value === "") throw new Bad("a prefix without a namespace");
    if (prefix === "xmlns" || (prefix === "xml") !== (value === XML)) {
      throw new Bad("a reserved prefix");
    }
    (scope ??= new Map(outer)).set(prefix, value);
  }
  return scope ?? outer;
};

const resolve = (scope: Scope, qualified: string) => {
  const colon = qualified.indexOf(":");
  const ns = scope.get(colon < 0 ? "" : qualified.slice(0, colon));
  if (ns === undefined) throw new Bad("an undeclared prefix");
  return { ns, name: qualified.slice(colon + 1) };
};

const builtIn: Readonly<Record<string, string>> = {
  lt: "<",
  gt: ">",
  amp: "&",
  quot: '"',
  apos: "'",
};

const entities = (text: string): string =>
  text.includes("&")
    ? text.replace(/&([^;&]{0,16})(;?)/g, (_all, body: string, end: string) => {
      if (end === "") throw new Bad("& without an entity");
      const known = builtIn[body];
      if (known !== undefined) return known;
      const number = /^#(?:x([0-9a-fA-F]+)|([0-9]+))$/.exec(body);
      if (!number) throw new Bad("an unknown entity");
      const code = number[1] === undefined ? Number(number[2]) : parseInt(number[1], 16);
      const legal = code === 9 || code === 10 || code === 13 ||
        (code >= 32 && code < 0xd800) || (code > 0xdfff && code < 0xfffe) ||
        (code > 0xffff && code <= 0x10ffff);
      if (!legal) throw new Bad("a reference to no character");
      return String.fromCodePoint(code);
    })
    : text;

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\r": "&#13;",
};

/** Text that is safe between tags and in quotes. */
export const escapeXml = (text: string): string =>
  text.replace(/[&<>"\r]/g, (c) => escapes[c] ?? c);

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
