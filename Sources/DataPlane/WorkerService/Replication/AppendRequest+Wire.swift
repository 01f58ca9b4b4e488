import ClusterModel
import PartitionStore
import ShardReplication
import WireProtocol

extension AppendEntries {
    init(_ request: AppendRequest<LogEntry>, of shard: ShardID, from sender: NodeID) {
        self.init(
            shard: shard,
            sender: sender,
            epoch: request.epoch,
            previousSequence: request.previous.sequence,
            previousEpoch: request.previous.epoch,
            committed: request.committed,
            sent: request.sent.wireNanoseconds,
            lease: request.lease.map {
                .init(echo: $0.echo.wireNanoseconds, confirmationAge: $0.confirmationAge.wireNanoseconds)
            },
            entries: request.entries.map { LogEntryBytes($0.payload.encoded()) },
            asks: request.asks
        )
    }
}

extension AppendRequest<LogEntry> {
    /// - Throws: `invalidRequest` for entries that are damaged or not in a row.
    init(_ message: AppendEntries) throws(WireStatus) {
        var entries: [LogItem<LogEntry>] = []
        entries.reserveCapacity(message.entries.count)
        var next = message.previousSequence
        for bytes in message.entries {
            let entry: LogEntry
            do throws(LogEntryError) {
                entry = try LogEntry(bytes: bytes.bytes)
            } catch {
                throw Refusal.invalid("a log entry for shard \(message.shard) cannot be read: \(error)")
            }
            let (sequence, overflows) = next.addingReportingOverflow(1)
            guard !overflows, entry.sequence == sequence, entry.epoch <= message.epoch.number else {
                throw Refusal.invalid("the log entries for shard \(message.shard) are not in a row")
            }
            next = sequence
            entries.append(
                LogItem(
                    sequence: entry.sequence,
                    epoch: Epoch(entry.epoch),
                    payload: entry,
                    byteCount: entry.byteCount
                )
            )
        }
        self.init(
            epoch: message.epoch,
            previous: LogPosition(sequence: message.previousSequence, epoch: message.previousEpoch),
            entries: entries,
            committed: message.committed,
            sent: Duration(wireNanoseconds: message.sent),
            lease: message.lease.map {
                .init(
                    echo: Duration(wireNanoseconds: $0.echo),
                    confirmationAge: Duration(wireNanoseconds: $0.confirmationAge)
                )
            },
            asks: message.asks
        )
    }
}

extension EntriesAppended {
    init(_ reply: AppendReply) {
        let outcome: Outcome =
            switch reply.outcome {
            case .accepted(let matched, let applied): .accepted(matched: matched, applied: applied)
            case .mismatch(let last): .mismatch(last: last)
            case .fenced(let promised): .fenced(promised: promised)
            case .ahead(let applied): .ahead(applied: applied)
            case .standing(let last, let applied):
                .standing(lastSequence: last.sequence, lastEpoch: last.epoch, applied: applied)
            }
        self.init(
            epoch: reply.epoch,
            outcome: outcome,
            sent: reply.sent.wireNanoseconds,
            replied: reply.replied.wireNanoseconds,
            version: reply.version,
            hasRoom: reply.hasRoom
        )
    }
}

extension AppendReply {
    init(_ message: EntriesAppended) {
        let outcome: Outcome =
            switch message.outcome {
            case .accepted(let matched, let applied): .accepted(matched: matched, applied: applied)
            case .mismatch(let last): .mismatch(last: last)
            case .fenced(let promised): .fenced(promised: promised)
            case .ahead(let applied): .ahead(applied: applied)
            case .standing(let sequence, let epoch, let applied):
                .standing(last: LogPosition(sequence: sequence, epoch: epoch), applied: applied)
            }
        self.init(
            epoch: message.epoch,
            outcome: outcome,
            sent: Duration(wireNanoseconds: message.sent),
            replied: Duration(wireNanoseconds: message.replied),
            version: message.version,
            hasRoom: message.hasRoom
        )
    }
}
