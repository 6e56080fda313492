import { type Cause, Duration, Effect, Schedule } from "effect";
import type { CatalogError } from "../src/errors.ts";
import type { KeptObjects } from "../src/storage/kept.ts";
import { reapUploads } from "../src/vfs/resumable_reaper.ts";
import { UploadRecords } from "../src/vfs/upload_records.ts";
import { supervise } from "./supervisor.ts";

/** Permanent: removes unfinished uploads that are over, each minute or, where they live shortly, more often. */
export const uploadReaper: Effect.Effect<
  void,
  Cause.Cause<CatalogError>,
  UploadRecords | KeptObjects
> = Effect.flatMap(
  UploadRecords,
  ({ lifetime }) =>
    supervise(
      "upload reaper",
      { restart: "permanent", max: 10, within: "10 minutes" },
      Effect.repeat(
        reapUploads,
        Schedule.spaced(Duration.millis(Math.min(60_000, Math.max(1_000, lifetime / 4)))),
      ),
    ),
);
