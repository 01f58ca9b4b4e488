import Backups
import FaceModel
import Glibc
import MienClient
import WireProtocol

/// Reads ledgers of erasures from collections and from files.
enum LedgerReading {
    /// The ledger of a collection, as it is now.
    ///
    /// - Parameters:
    ///   - manifest: of the backup that it is read for: nothing that does not concern that is kept in memory.
    ///   - console: where it is told which shards do not answer, when less than all is enough: as long as one does,
    ///     there is a ledger, which then vouches for nothing.
    static func ledger(
        of collection: CollectionInfo,
        _ client: MienClient,
        for manifest: BackupManifest? = nil,
        passingOverShards console: Console? = nil
    ) async throws(CommandFailure) -> ErasureLedger {
        let until = Timestamp(milliseconds: TimeText.milliseconds)
        guard let id = CollectionID(collection.id) else {
            throw CommandFailure(.internalError, "the collection's id is no id")
        }
        var since = Timestamp(milliseconds: collection.created.millisecondsSince1970)
        // A collection's own backup is younger than it is, whatever clocks say.
        let isOwn = manifest.map { $0.collection.id == id } ?? true
        if let manifest, isOwn { since = min(since, manifest.created) }
        // What a shard has lost that was given up, it may have lost of its ledger.
        if let lost = try await latestLoss(of: collection, client) { since = max(since, lost) }
        let filter = manifest.map { ErasureFilter(for: $0) }
        var erasures = GatheredErasures()
        var keyMark: UInt128?
        var failure: CommandFailure?
        for shard in collection.shards {
            var position: ErasurePosition?
            do throws(CommandFailure) {
                repeat {
                    let after = position
                    let list = try await calling { () async throws(MienClientError) in
                        try await client.erasures(of: collection.options.name, shard: shard.index, after: after)
                    }
                    erasures.add(list.erasures.filter { filter?.concerns($0, isOwn: isOwn) ?? true })
                    keyMark = ErasureLedger.mark(of: list.key)
                    if let forgotten = list.forgotten { since = max(since, forgotten) }
                    position = list.next
                } while position != nil
            } catch {
                guard let console else { throw error }
                console.warn(
                    "not all that was deleted from shard \(shard.index) of \(collection.options.name) is known, which "
                        + "does not answer: \(error.message)"
                )
                failure = error
            }
        }
        if let failure {
            guard keyMark != nil else { throw failure }
            since = max(since, until)
        }
        // One may have been accepted while they were read.
        if let lost = try await latestLoss(of: collection, client) { since = max(since, lost) }
        try await collection.checkHasName(client)
        return ErasureLedger(
            collection: id,
            name: collection.options.name,
            keyMark: keyMark ?? 0,
            since: since,
            until: until,
            erasures: erasures.all()
        )
    }

    /// When faces of a collection were last given up, be they back or not.
    private static func latestLoss(
        of collection: CollectionInfo,
        _ client: MienClient
    ) async throws(CommandFailure) -> Timestamp? {
        try await calling { () async throws(MienClientError) in
            try await client.latestLoss(of: collection.options.name)
        }
    }

    /// Of how many shards at once the key is asked.
    private static let shardsAskedAtOnce = 16

    /// The mark of a collection's key, without its ledger: all shards have the same, and the first that answers tells.
    ///
    /// - Throws: why the first of them did not answer, when none does.
    private static func keyMark(
        of collection: CollectionInfo,
        _ client: MienClient
    ) async throws(CommandFailure) -> UInt128? {
        let name = collection.options.name
        let result = await withTaskGroup(of: Result<UInt128, CommandFailure>.self) {
            group -> Result<UInt128?, CommandFailure> in
            var remaining = collection.shards[...]
            func askAnother() {
                guard let shard = remaining.popFirst()?.index else { return }
                group.addTask {
                    do throws(CommandFailure) {
                        let list = try await calling { () async throws(MienClientError) in
                            try await client.erasures(of: name, shard: shard, after: nil, limit: 1)
                        }
                        return .success(ErasureLedger.mark(of: list.key))
                    } catch {
                        return .failure(error)
                    }
                }
            }
            for _ in 0..<shardsAskedAtOnce { askAnother() }
            var first: CommandFailure?
            while let answer = await group.next() {
                switch answer {
                case .success(let mark):
                    group.cancelAll()
                    return .success(mark)
                case .failure(let failure):
                    first = first ?? failure
                    askAnother()
                }
            }
            if let first { return .failure(first) }
            return .success(nil)
        }
        return try result.get()
    }

    static func ledger(inFile path: String) throws(CommandFailure) -> ErasureLedger {
        let (folder, name) = parts(of: path)
        do throws(BackupError) {
            let bytes = try FolderStore(folder, createsFolder: false).get(
                name,
                limit: ErasureLedger.longestByteCount
            )
            return try ErasureLedger(bytes: bytes, object: path)
        } catch {
            throw CommandFailure(error)
        }
    }

    /// Puts a ledger into a file, in place of one of the same collection that tells nothing more.
    ///
    /// - Parameter loss: when faces of the collection were last given up. An export from before is the only one that
    ///   tells for certain what was deleted before.
    static func write(
        _ ledger: ErasureLedger,
        toFile path: String,
        latestLoss loss: Timestamp?
    ) throws(CommandFailure) {
        if isFile(path) { try checkReplacement(ofFile: path, by: ledger, latestLoss: loss) }
        let (folder, name) = parts(of: path)
        do throws(BackupError) {
            // A file that no restore reads must not look like one.
            let bytes = try ledger.sealed(for: path)
            let store = try FolderStore(folder, createsFolder: false)
            store.removePartial(of: name)
            try store.put(name, bytes)
        } catch {
            throw CommandFailure(error)
        }
    }

    private static func checkReplacement(
        ofFile path: String,
        by ledger: ErasureLedger,
        latestLoss loss: Timestamp?
    ) throws(CommandFailure) {
        let former: ErasureLedger
        do throws(CommandFailure) {
            former = try self.ledger(inFile: path)
        } catch {
            throw CommandFailure(
                .no,
                "'\(path)' is there already and cannot be read as a ledger: nothing was written; name another file, or "
                    + "remove it: \(error.message)"
            )
        }
        let what: String
        if former.collection != ledger.collection || former.keyMark != ledger.keyMark {
            what = "is of another collection, \(former.name) with the id \(former.collection)"
        } else if let loss, former.since < loss {
            what =
                "reaches back to \(text(former.since)), before faces of \(ledger.name) were given up at \(text(loss))"
        } else {
            let count = ledger.missingCount(of: former)
            guard count > 0 else { return }
            what =
                "has \(NumberText.counted(count, "erasure")) that the ledger of \(ledger.name) has not any more, and "
                + "should have"
        }
        throw CommandFailure(.no, "'\(path)' \(what): nothing was written; keep it, and name another file")
    }

    static func isFile(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    private static func parts(of path: String) -> (folder: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        return (slash == path.startIndex ? "/" : String(path[..<slash]), String(path[path.index(after: slash)...]))
    }

    /// Everything that is known of deletions since a backup was taken.
    ///
    /// - Parameters:
    ///   - sources: collections and files; none for the collections of the cluster that have the backup's key.
    ///   - isGapAccepted: whether less than all is enough.
    static func filter(
        for manifest: BackupManifest,
        from sources: [String],
        isGapAccepted: Bool,
        _ client: MienClient,
        _ console: Console
    ) async throws(CommandFailure) -> ErasureFilter {
        var filter = ErasureFilter(for: manifest)
        let mark = ErasureLedger.mark(of: manifest.erasureKey)
        let collections = try await calling { () async throws(MienClientError) in try await client.collections() }
        // Whoever does without waits less for what may never come.
        let brief = MienClient.CallOptions(timeout: .seconds(10), retryDuration: .seconds(10))
        let reader = isGapAccepted ? client.with(calls: brief) : client
        let gapConsole = isGapAccepted ? console : nil
        // When the ledger of the collection that was backed up was read from it.
        var readHere: Timestamp?
        func note(_ ledger: ErasureLedger) {
            if ledger.collection == manifest.collection.id { readHere = ledger.until }
        }
        if sources.isEmpty {
            for collection in collections where collection.restoredFrom == nil {
                do throws(CommandFailure) {
                    guard try await keyMark(of: collection, reader) == mark else { continue }
                    let ledger = try await self.ledger(
                        of: collection,
                        reader,
                        for: manifest,
                        passingOverShards: gapConsole
                    )
                    filter.add(ledger)
                    note(ledger)
                } catch {
                    let sentence =
                        "what was deleted from \(collection.options.name) since is not known, if it is the collection "
                        + "that was backed up or a copy of it"
                    guard isGapAccepted else { throw refusal(sentence, because: error.message) }
                    console.warn("\(sentence): \(error.message)")
                }
            }
        }
        for source in sources {
            let ledger: ErasureLedger
            if isFile(source) {
                ledger = try self.ledger(inFile: source)
            } else if let collection = collections.first(where: { $0.options.name == source }) {
                do throws(CommandFailure) {
                    ledger = try await self.ledger(of: collection, reader, for: manifest, passingOverShards: gapConsole)
                    note(ledger)
                } catch {
                    let sentence = "what was deleted from \(source) since is not known"
                    guard isGapAccepted else { throw error }
                    console.warn("\(sentence): \(error.message)")
                    continue
                }
            } else {
                throw CommandFailure(.no, "'\(source)' is neither a file nor a collection with a ledger")
            }
            guard filter.isOfKey(ledger) else {
                throw CommandFailure(
                    .badData,
                    "the ledger '\(source)' is of the collection \(ledger.name), whose erasures have another key than "
                        + "the backup's: it tells nothing of it"
                )
            }
            filter.add(ledger)
        }
        if let known = filter.knownUntil {
            // One that was just read is whole; a file of a minute ago lacks what was deleted in that minute.
            if readHere.map({ known < $0 }) ?? true {
                console.warn(
                    "the ledger of the collection that was backed up ends at \(text(known)): faces that were deleted "
                        + "from it after that come back"
                )
            }
            return filter
        }
        var sentence =
            "no ledger of erasures of the collection that was backed up reaches back to \(text(manifest.created)), "
            + "when that was done: faces that were deleted since would come back"
        var wayOut: String?
        if let (name, loss) = await latestLoss(of: manifest.collection.id, among: collections, reader),
            !filter.reachesBackup(from: loss)
        {
            let order =
                loss > manifest.created
                ? "after the backup" : "less than an hour before the backup by the clock of another machine"
            sentence =
                "faces of \(name) were given up at \(text(loss)), \(order), and its ledger of erasures may lack what "
                + "was deleted from it before that: \(sentence)"
            wayOut =
                "name an export of 'mien backup ledger export' from before that, the collection and its copies, "
                + "--ledger FILE --ledger \(name), or a backup that was made more than an hour after it"
        }
        guard isGapAccepted else { throw refusal(sentence, wayOut: wayOut) }
        console.warn(sentence + "; delete them again")
        return filter
    }

    /// When faces were last given up of a collection that is there, and its name.
    private static func latestLoss(
        of id: CollectionID,
        among collections: [CollectionInfo],
        _ client: MienClient
    ) async -> (name: String, time: Timestamp)? {
        guard let name = collections.first(where: { CollectionID($0.id) == id })?.options.name else { return nil }
        // Without it a refusal explains less.
        let time = try? await calling { () async throws(MienClientError) in try await client.latestLoss(of: name) }
        return time.map { (name: name, time: $0) }
    }

    /// - Parameters:
    ///   - reason: what a shard that should tell of deletions said, as a sentence.
    ///   - wayOut: what to do, if anything is known that is better than what helps always.
    private static func refusal(
        _ sentence: String,
        because reason: String? = nil,
        wayOut: String? = nil
    ) -> CommandFailure {
        let remedy = wayOut ?? "name a collection or a file of 'mien backup ledger export' with --ledger"
        return CommandFailure(
            .no,
            "\(sentence); \(remedy), or say --without-ledger and delete them again yourself"
                + (reason.map { ": \($0)" } ?? "")
        )
    }

    private static func text(_ time: Timestamp) -> String {
        TimeText.text(Face.Timestamp(millisecondsSince1970: time.milliseconds))
    }
}
