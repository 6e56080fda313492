import { Clock, Effect, type Scope } from "effect";
import type { CatalogError, FsError } from "../errors.ts";
import { held } from "../held.ts";
import type { Keeping } from "../storage/kept.ts";
import { lineage, parent, root, type VPath } from "../vpath.ts";
import type { Access } from "./access.ts";
import { attempt } from "./attempt.ts";
import { mkdir } from "./change.ts";
import { entryIfAny } from "./look.ts";
import { plan } from "./open.ts";
import { type NewResumable, type Part, type Resumable, shown } from "./resumable.ts";
import { ResumablePart } from "./resumable_part.ts";
import type { UploadKind, UploadOptions, UploadRecord, UploadRecords } from "./upload_records.ts";
import { toReplace } from "./vfs.ts";

type Records = typeof UploadRecords.Service;

/** The steps that all of it is made of. */
export class ResumableDesk {
  constructor(readonly access: Access, readonly records: Records) {}

  create(wanted: NewResumable): Effect.Effect<Resumable, FsError, Scope.Scope> {
    return Effect.gen(this, function* () {
      const record = yield* this.begin(wanted, wanted.path === undefined ? "partial" : "whole", []);
      return yield* this.stand(record);
    });
  }

  /** Checks all that can be checked ahead, then makes record and object, which is the caller's for the scope. */
  begin(
    { path, length, metadata, options, parents }: NewResumable,
    kind: UploadKind,
    parts: ReadonlyArray<string>,
  ): Effect.Effect<UploadRecord, FsError, Scope.Scope> {
    const { access } = this;
    const to = path ?? root;
    const checks = Effect.gen(this, function* () {
      const existing = path === undefined ? undefined : yield* this.#admit(path, options, parents);
      const { max_upload_file_size: most } = access.user.filters;
      const payer = access.payer(access.at(to));
      const { quota_size } = payer;
      if (most > 0 && length > most) {
        return yield* access.fail("TooLarge", "upload", to, `files may have at most ${most} bytes`);
      }
      const reserved = Math.max(0, length - (existing?.size ?? 0));
      yield* Effect.scoped(this.lease(to, existing?.size, parts.length > 0 ? 0 : length));
      const usage = yield* access.services.quota.usage(payer);
      const room = quota_size > 0 ? quota_size - usage.bytes : undefined;
      const record: UploadRecord = {
        id: crypto.randomUUID().replaceAll("-", ""),
        userId: access.user.id,
        storage: access.at(to).storage.identity,
        path: to,
        kind,
        parts,
        length,
        reserved,
        metadata,
        options,
        finishing: false,
        created: yield* Clock.currentTimeMillis,
      };
      const keeping = yield* this.keeping(record);
      yield* this.take(record);
      const refusal = yield* this.asked(this.records.add(record, room), to);
      if (refusal !== undefined) {
        const detail = refusal === "no_room"
          ? "disk quota exceeded"
          : "too many unfinished uploads";
        return yield* access.fail("QuotaExceeded", "upload", to, detail);
      }
      return yield* Effect.tapErrorCause(
        Effect.as(keeping.begin(record.id, access.at(to).key), record),
        () => Effect.ignore(this.drop(record)),
      );
    });
    return Effect.tapError(checks, access.recordFailure(access.event("upload", to)));
  }

  /** Fails unless a file may be put there now; answers what it would replace. */
  #admit(path: VPath, options: UploadOptions, parents: boolean) {
    const { access } = this;
    return Effect.gen(this, function* () {
      if (path === "/") return yield* access.fail("IsDirectory", "upload", path);
      yield* access.check("create", path);
      if (parents) yield* this.#makeAbove(path);
      const above = yield* entryIfAny(access, parent(path), true);
      if (!above) {
        return yield* access.fail("NotFound", "upload", parent(path), "no such directory");
      }
      return (yield* this.#target(path, options)).existing;
    });
  }

  #makeAbove(path: VPath) {
    const { access } = this;
    return Effect.forEach(
      lineage(parent(path)).reverse().filter((dir) => dir !== "/"),
      (dir) =>
        Effect.flatMap(
          entryIfAny(access, dir, true),
          (there) =>
            there ? Effect.void : Effect.catchIf(
              mkdir(access, dir),
              ({ reason }) => reason === "AlreadyExists",
              () => Effect.void,
            ),
        ),
      { discard: true },
    );
  }

  /** What is at a path, and how an upload is to be put there. Fails where it may not be. */
  #target(path: VPath, { overwrite }: UploadOptions) {
    const { access } = this;
    const options = { ...toReplace, exclusive: !overwrite };
    return Effect.gen(function* () {
      yield* access.check("create", path);
      const existing = yield* entryIfAny(access, path, overwrite);
      const how = yield* attempt(() => plan(access, path, existing, options));
      return { existing, how, options };
    });
  }

  lease(path: VPath, replaces: number | undefined, size: number) {
    const { access } = this;
    return Effect.gen(function* () {
      const lease = yield* held(
        access.services.quota.reserve(access.payer(access.at(path)), path, replaces),
        (taken) => Effect.sync(() => taken.release()),
      );
      if (lease.grow(size)) return lease;
      return yield* access.fail("QuotaExceeded", "upload", path, "disk quota exceeded");
    });
  }

  /** The record of one's own upload, with nobody else at work on it until the scope closes. */
  taken(id: string): Effect.Effect<UploadRecord, FsError, Scope.Scope> {
    return Effect.gen(this, function* () {
      // Before anybody is disturbed: is it the user's at all?
      yield* this.#find(id);
      yield* this.take({ id, path: root });
      return yield* this.#find(id);
    });
  }

  readonly #tickets = new Map<string, string>();

  take({ id, path }: Pick<UploadRecord, "id" | "path">): Effect.Effect<void, FsError, Scope.Scope> {
    return Effect.gen(this, function* () {
      const ticket = crypto.randomUUID();
      yield* Effect.addFinalizer(() => this.records.release(ticket));
      if (!(yield* this.records.take(id, ticket, "newest"))) {
        return yield* this.access.fail("Locked", "upload", path, "another request has the upload");
      }
      this.#tickets.set(id, ticket);
    });
  }

  wanted({ id }: UploadRecord): Effect.Effect<void> {
    return this.records.wanted(this.#tickets.get(id) ?? "");
  }

  #find(id: string): Effect.Effect<UploadRecord, FsError> {
    const none = this.access.fail("NotFound", "upload", root, "there is no such upload");
    if (!/^[0-9a-f]{32}$/.test(id)) return none;
    return Effect.flatMap(
      this.asked(this.records.find(id), root),
      (record) => record?.userId === this.access.user.id ? Effect.succeed(record) : none,
    );
  }

  keeping({ path, storage }: UploadRecord): Effect.Effect<Keeping, FsError> {
    const { access } = this;
    return Effect.suspend(() => {
      const at = access.at(path).storage;
      if (!at.keeping) {
        return access.fail("Unsupported", "upload", path, "uploads cannot be resumed here");
      }
      // The path leads to other files by now.
      return at.identity === storage
        ? Effect.succeed(at.keeping)
        : access.fail("NotFound", "upload", path, "there is no such upload");
    });
  }

  /** How an upload stands. The caller has it. One that is whole is finished here. */
  stand(record: UploadRecord): Effect.Effect<Resumable, FsError, Scope.Scope> {
    const { access } = this;
    return Effect.gen(this, function* () {
      const keeping = yield* this.keeping(record);
      const kept = yield* keeping.look(record.id);
      const none = access.fail("NotFound", "upload", record.path, "the upload is over");
      if (!kept) return record.finishing ? shown(record, record.length) : yield* none;
      const expires = Math.max(kept.touched, record.created) + this.records.lifetime;
      if (expires <= (yield* Clock.currentTimeMillis)) return yield* none;
      if (kept.size < record.length || record.kind === "partial") {
        return shown(record, kept.size, expires);
      }
      const part = yield* this.part(record, false);
      return yield* part.end();
    });
  }

  /** Opens the object at its end. The caller has the upload. */
  part(record: UploadRecord, checked: boolean): Effect.Effect<Part, FsError, Scope.Scope> {
    return Effect.gen(this, function* () {
      const { path, id } = record;
      const { access } = this;
      const spent = access.limits?.refusal("upload", path);
      if (spent) return yield* Effect.fail(spent);
      const keeping = yield* this.keeping(record);
      const target = record.kind === "partial" ? undefined : yield* this.#target(
        path,
        record.options,
      );
      const { storage, key } = access.at(path);
      const writer = yield* storage.writer(target ? key : `/${id}`, {
        mode: target?.how.mode === "create" ? "create" : "replace",
        kept: id,
        ...(target?.how.permissions === undefined ? {} : { permissions: target.how.permissions }),
      });
      const lease = yield* this.lease(path, target?.existing?.size, writer.size);
      if (checked) yield* keeping.mark(id, writer.size);
      const part = new ResumablePart({
        desk: this,
        record,
        keeping,
        writer,
        lease,
        target,
        checked,
      });
      yield* Effect.addFinalizer(() => part.quiet());
      return part;
    });
  }

  /** Removes object and record. The caller has the upload. */
  drop(record: UploadRecord): Effect.Effect<void, FsError> {
    return Effect.gen(this, function* () {
      const keeping = yield* this.keeping(record);
      // Else a crash in between would look like a file that was put in place.
      if (record.finishing) yield* this.setFinishing(record, false);
      yield* keeping.remove(record.id);
      yield* this.asked(this.records.remove([record.id]), record.path);
    });
  }

  setFinishing({ id, path }: UploadRecord, finishing: boolean): Effect.Effect<void, FsError> {
    return this.asked(this.records.setFinishing(id, finishing), path);
  }

  asked<A>(step: Effect.Effect<A, CatalogError>, path: VPath): Effect.Effect<A, FsError> {
    return Effect.catchAll(
      step,
      (cause) =>
        Effect.andThen(
          Effect.logWarning("the record of an upload cannot be used", cause),
          this.access.fail("Unavailable", "upload", path),
        ),
    );
  }
}
