/**
 * Uploads a file with tus-js-client, as a process of its own: what it is to do
 * comes as JSON in the first argument, and each line on standard output is an
 * event of the client's.
 */
import { createReadStream } from "node:fs";
import { Upload } from "tus-js-client";

const { endpoint, token, file, metadata, chunkSize, parallel } = JSON.parse(Deno.args[0] ?? "{}");
const say = (event: unknown) => {
  const line = new TextEncoder().encode(JSON.stringify(event) + "\n");
  for (let at = 0; at < line.length;) at += Deno.stdout.writeSync(line.subarray(at));
};

const upload = new Upload(createReadStream(file), {
  endpoint,
  metadata,
  chunkSize,
  headers: { authorization: `Bearer ${token}` },
  retryDelays: Array.from({ length: 60 }, () => 250),
  ...(parallel ? { parallelUploads: parallel } : {}),
  onShouldRetry: (error: { originalResponse?: { getStatus(): number } | null }) => {
    say({ retry: error.originalResponse?.getStatus() ?? 0 });
    return true;
  },
  onError: (error: Error) => {
    say({ failed: String(error) });
    Deno.exit(1);
  },
  onSuccess: () => {
    say({ done: upload.url });
    Deno.exit(0);
  },
});
upload.start();
