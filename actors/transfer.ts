import type { TransferInfo } from "../src/model/session.ts";
import type { TransferObserver } from "../src/vfs/vfs.ts";

/** The transfers that one session has under way, as its VFS reports them. */
export interface Transfers {
  readonly observer: TransferObserver;
  readonly list: () => ReadonlyArray<TransferInfo>;
  readonly running: () => boolean;
}

interface Running {
  readonly operation_type: "upload" | "download";
  readonly path: string;
  readonly start_time: number;
  size: number;
}

/** `active` is called with each sign of life of a transfer; plain counters, no Effect. */
export const trackTransfers = (active: () => void): Transfers => {
  const open = new Set<Running>();
  return {
    observer: {
      begin: (path, operation) => {
        const transfer: Running = {
          operation_type: operation,
          path,
          start_time: Date.now(),
          size: 0,
        };
        open.add(transfer);
        return {
          moved: (bytes) => {
            transfer.size += bytes;
            active();
          },
          end: () => {
            open.delete(transfer);
            active();
          },
        };
      },
    },
    list: () => [...open].map((transfer) => ({ ...transfer })),
    running: () => open.size > 0,
  };
};
