import { Line } from "../../src/vfs/line.ts";

self.onmessage = ({ data }: MessageEvent<SharedArrayBuffer>) => {
  const line = new Line(data, 0);
  for (let i = 0; i < 10_000; i++) {
    line.reserve("upload", 1000, 1_000_000, 1_000_000);
    line.count("download", 3);
  }
  self.postMessage("done");
};
