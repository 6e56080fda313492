/** What a storage can do. Flat, so that callers branch on `can`, never on a scheme. */
export interface Capabilities {
  readonly write: "random" | "sequential" | "none";
  /** `update` writers can extend a file in place. */
  readonly append: boolean;
  readonly atomicRename: boolean;
  readonly serverCopy: boolean;
  readonly emptyDirs: boolean;
  readonly setMtime: boolean;
  readonly symlinks: boolean;
  readonly hardLinks: boolean;
  /** chmod and chown. */
  readonly modes: boolean;
  /** Free and total space are known. */
  readonly space: boolean;
  readonly partSize?: { readonly min: number; readonly max: number };
  readonly maxSize?: number;
}
