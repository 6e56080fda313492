import { Buffer } from "node:buffer";
import type { Readable, Writable } from "node:stream";
import busboy from "busboy";

/** One file of a form, to be read to its end before the next is asked for. */
export interface FormFile {
  /** Name of the form's field. */
  readonly field: string;
  /** As the client sent it, path and all; undefined where it sent none. */
  readonly filename: string | undefined;
  /** Ends early by a rejection, never silently. */
  readonly data: AsyncIterable<Uint8Array>;
}

type Parser = Writable & {
  on(event: "file", heard: (field: string, data: Readable, info: FileInfo) => void): unknown;
  on(event: "close" | "drain" | "fieldsLimit", heard: () => void): unknown;
  on(event: "error", heard: (error: unknown) => void): unknown;
};
interface FileInfo {
  readonly filename?: string;
}
type MakeParser = (options: {
  readonly headers: { readonly "content-type": string };
  readonly defParamCharset: "utf8";
  readonly preservePath: boolean;
  readonly fileHwm: number;
  readonly highWaterMark: number;
  readonly limits: { readonly fields: number; readonly fieldSize: number };
}) => Parser;

/** What the parser may hold of a body that nobody takes: bytes, and files of a few bytes. */
const held = 256 * 1024;
const heldFiles = 16;

/**
 * Reads `multipart/form-data` (RFC 7578) part by part as it comes in: the body
 * waits while a part is not taken, and nothing is kept of it. Fields that are
 * no files are dropped. Throws for a content type that is none.
 */
export class Form {
  readonly #parser: Parser;
  readonly #files: FormFile[] = [];
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #error: Error | undefined;
  #over = false;
  #full = false;
  /** Called when something changed for who waits. */
  #wake: () => void = () => {};
  #room: () => void = () => {};

  constructor(request: Request) {
    this.#parser = (busboy as MakeParser)({
      headers: { "content-type": request.headers.get("content-type") ?? "" },
      defParamCharset: "utf8",
      preservePath: true,
      fileHwm: held,
      highWaterMark: held,
      limits: { fields: 1000, fieldSize: 64 * 1024 },
    });
    this.#parser.on("file", (field, data, { filename }) => {
      // Without a listener an error of a part that nobody reads yet would be nobody's.
      data.on("error", () => {});
      this.#files.push({ field, filename, data });
      this.#wake();
    });
    this.#parser.on("drain", () => {
      this.#full = false;
      this.#room();
    });
    this.#parser.on("error", (error) => this.#end(error));
    this.#parser.on("close", () => this.#end());
    this.#reader = request.body?.getReader();
    this.#feed().catch((error) => this.cancel(error));
  }

  /** The next file, undefined after the last. Rejects when the form is malformed or was cut. */
  async next(): Promise<FormFile | undefined> {
    for (;;) {
      const file = this.#files.shift();
      this.#room();
      if (file) return file;
      if (this.#error) throw this.#error;
      if (this.#over) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Ends the reading; a part that is being read rejects. May be repeated. */
  cancel(why: unknown = new Error("cancelled")): void {
    this.#end(why);
    this.#parser.destroy(asError(why));
    this.#reader?.cancel().catch(() => {});
  }

  async #feed(): Promise<void> {
    while (!this.#over) {
      const { done, value } = await this.#reader?.read() ?? { done: true, value: undefined };
      if (this.#over) return;
      if (done) return void this.#parser.end();
      const { buffer, byteOffset, byteLength } = value;
      this.#full = !this.#parser.write(Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength));
      while (!this.#over && (this.#full || this.#files.length > heldFiles)) {
        await new Promise<void>((resolve) => {
          this.#room = resolve;
        });
      }
    }
  }

  #end(error?: unknown): void {
    if (this.#over) return;
    this.#over = true;
    if (error !== undefined) this.#error = asError(error);
    this.#wake();
    this.#room();
  }
}

const asError = (error: unknown): Error =>
  error instanceof Error ? error : new Error(String(error));
