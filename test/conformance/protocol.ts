/**
 * What every protocol must do alike: the words in which the conformance matrix
 * is written. A case says what is asked, what lies there before and after, how
 * it ends and what is recorded; a protocol only says how its client asks.
 */

export const protocols = ["SFTP", "SCP", "FTP", "FTPS", "WebDAV", "HTTP"] as const;
export type Protocol = typeof protocols[number];

/** What a file holds: a text, so many bytes of noise, or the beginning of such. */
export type Content = string | number | { readonly first: number; readonly of: number };

/** A file, a directory (key ends with `/`), a link with its raw target. */
export type Node = Content | null | { readonly link: string };

/** By virtual path; what is above is made. In `after`, `false` is what went, with all below it. */
export type Tree = Readonly<Record<string, Node>>;
export type Changes = Readonly<Record<string, Node | false>>;

/** What a client may be asked to do. Each answers what it {@linkcode Said}. */
export interface Verbs {
  put(path: string, content: Content): Promise<Said>;
  /** Where the client would put into a directory of that name, by one that does not. */
  putExactly(path: string, content: Content): Promise<Said>;
  /** With a modification time, in seconds. */
  putDated(path: string, content: Content, mtime: number): Promise<Said>;
  /** Goes on where the server's file ends. */
  resume(path: string, content: Content): Promise<Said>;
  append(path: string, content: Content): Promise<Said>;
  /** A directory `name` with what is in it, into the root. */
  putTree(name: string, tree: Tree): Promise<Said>;
  get(path: string): Promise<Said>;
  /** The client has so much of it already. */
  getRest(path: string, has: Content): Promise<Said>;
  /** Ten bytes, from the tenth on. */
  getRange(path: string): Promise<Said>;
  getTree(path: string): Promise<Said>;
  list(path: string): Promise<Said>;
  /** Size. */
  stat(path: string): Promise<Said>;
  /** SHA-1. */
  hash(path: string): Promise<Said>;
  mkdir(path: string): Promise<Said>;
  rmdir(path: string): Promise<Said>;
  remove(path: string): Promise<Said>;
  rename(from: string, to: string): Promise<Said>;
  copy(from: string, to: string): Promise<Said>;
  chmod(path: string, mode: number): Promise<Said>;
  touch(path: string, mtime: number): Promise<Said>;
  symlink(target: string, link: string): Promise<Said>;
}
export type Verb = keyof Verbs;
export type Ask = { [V in Verb]: readonly [V, ...Parameters<Verbs[V]>] }[Verb];

/** How a client ended. */
export interface Said {
  readonly ok: boolean;
  /** All that it and the server said, for the words of a refusal. */
  readonly text: string;
  /** What it got: a file as {@linkcode describe} has it, names in order, a number. */
  readonly shown?: string | ReadonlyArray<string>;
}

export const refusals = [
  "notFound",
  "noParent",
  "denied",
  "exists",
  "notEmpty",
  "isDirectory",
  "notDirectory",
  "quota",
  "tooLarge",
  "invalid",
  "tooLong",
  "unsupported",
] as const;
export type Refusal = typeof refusals[number];

/** How something ends, and what is to be seen of it. */
export interface Ending {
  readonly outcome: "done" | Refusal;
  readonly shown?: string | ReadonlyArray<string>;
  /** What is otherwise than before; nothing by default. */
  readonly after?: Changes;
  /** As {@linkcode eventLine} writes them, in order; none by default. */
  readonly events?: ReadonlyArray<string>;
  /** Modification time (seconds) and mode of a file afterwards. */
  readonly attributes?: {
    readonly path: string;
    readonly mtime?: number;
    readonly mode?: number;
  };
}

/** Where a protocol is another: it has no such operation, or it ends otherwise, for a reason. */
export type Exception = { readonly none: string } | ({ readonly why: string } & Partial<Ending>);

export interface Case extends Ending {
  readonly name: string;
  readonly ask: Ask;
  readonly before?: Tree;
  /** Members of the user, beside name, home and password. All is allowed by default. */
  readonly user?: Readonly<Record<string, unknown>>;
  /** Clients move the entries of a tree several at a time. */
  readonly anyOrder?: true;
  /** Folders by mount point; a quota of -1 is the user's own. */
  readonly mounts?: Readonly<Record<string, { readonly quota: number }>>;
  readonly except?: Partial<Record<Protocol, Exception>>;
}

/** How a protocol's clients ask. */
export interface Driver {
  readonly protocol: Protocol;
  /** As events name it. */
  readonly eventProtocol: string;
  /** The programs, for the table. */
  readonly clients: string;
  /** What it has no operation for, and why. */
  readonly lacks: Partial<Record<Verb, string>>;
  /** How it says each refusal. */
  readonly words: Readonly<Record<Refusal, RegExp>>;
  readonly verbs: (account: Account) => Partial<Verbs>;
}

/** What a client needs to know. */
export interface Account {
  readonly user: string;
  readonly password: string;
  /** Private key of the user, for SSH. */
  readonly key: string;
  readonly ports: { readonly ssh: number; readonly ftp: number; readonly ftps: number };
  /** `http://127.0.0.1:...` */
  readonly http: string;
  /** An empty folder of the client's own. */
  readonly dir: string;
  /** Writes a file of the client's own, and answers its name. */
  readonly local: (content: Content) => Promise<string>;
}

/** For who looks before it asks, by its client or by what its RFC has it answer, and so is refused by the look. */
export const looksFirst = (...who: ReadonlyArray<Protocol>): NonNullable<Case["except"]> =>
  Object.fromEntries(who.map((protocol) => [protocol, {
    why: "it looks at what is there before it asks for the change, and a refused look is no event",
    events: [],
  }]));

/** The ending that `protocol` is held to; a text where it has no such operation. */
export const expected = (one: Case, driver: Driver): Ending | string => {
  const exception = one.except?.[driver.protocol];
  if (exception && "none" in exception) return exception.none;
  const lacking = driver.lacks[one.ask[0]];
  if (lacking !== undefined) return lacking;
  return exception ? { ...one, ...exception } : one;
};

/**
 * `upload /f 5`, `rename /a -> /b`; `failed` and `quota` before what did not happen.
 * The random part of a name that WebDAV gives to what a MOVE replaces is left out.
 */
export const eventLine = (event: Readonly<Record<string, unknown>>): string => {
  const status = event["status"] === 1 ? [] : [event["status"] === 3 ? "quota" : "failed"];
  const target = event["virtual_target_path"];
  const sized = event["status"] === 1 && /^(?:up|down)load$/.test(String(event["action"]));
  return [
    ...status,
    event["action"],
    event["ssh_cmd"] ?? event["virtual_path"],
    ...(target === undefined ? [] : ["->", target]),
    ...(sized ? [event["file_size"]] : []),
  ].join(" ").replace(/(\.webdav-old)-[0-9a-f-]{36}/g, "$1");
};
