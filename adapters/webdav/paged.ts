/** A text of many parts, which come a page at a time. */
export interface Paged<A> {
  readonly first: string;
  readonly last: string;
  /** The next page; undefined after the last. */
  readonly next: () => Promise<ReadonlyArray<A> | undefined>;
  /** The text of one part; empty for none. */
  readonly show: (part: A) => string;
}

const encoder = new TextEncoder();
/** Bytes of one chunk. */
const PIECE = 64 * 1024;

/**
 * The text as UTF-8, made when the client takes it: one page and one chunk are
 * all that is in memory. Each part is encoded at once and the loop is plain,
 * so that a long listing's garbage dies young.
 */
export const paged = <A>({ first, last, next, show }: Paged<A>): ReadableStream<Uint8Array> => {
  /** What is written next; undefined behind the last. */
  let text: string | undefined = first;
  let page: ReadonlyArray<A> = [];
  let index = 0;
  const following = async (): Promise<string | undefined> => {
    const found = await next();
    page = found ?? [];
    index = 0;
    return found ? "" : last;
  };
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      let piece = new Uint8Array(PIECE);
      let at = 0;
      while (text !== undefined) {
        // A unit of UTF-16 has at most three bytes.
        if (text.length * 3 > piece.length - at) {
          if (at > 0) return controller.enqueue(piece.subarray(0, at));
          piece = new Uint8Array(text.length * 3);
        }
        at += encoder.encodeInto(text, piece.subarray(at)).written;
        const part = page[index++];
        if (part !== undefined) text = show(part);
        else text = text === last ? undefined : await following();
      }
      controller.enqueue(piece.subarray(0, at));
      controller.close();
    },
  }, { highWaterMark: 0 });
};
